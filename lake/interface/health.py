"""What a balancer may ask on the port of clients where the operator's pages stand on a port of their own: whether, not why."""

from collections.abc import Callable

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from lake.interface.documentation import answer
from lake.interface.messages import Liveness


class BareReadiness(msgspec.Struct, frozen=True):
    """Whether requests can be answered; why not, the admin port says."""

    ready: bool


def bare_health_routes(is_ready: Callable[[], bool]) -> list[HTTPRouteHandler]:
    """Liveness and readiness, and no word about releases, lake or log."""

    @get(["/health/live", "/v2/health/live"], tags=["health"])
    async def live() -> Liveness:
        """Whether the process answers."""
        return Liveness()

    @get(
        ["/health/ready", "/v2/health/ready"], tags=["health"], responses={503: answer(BareReadiness, "Nothing can be answered")}
    )
    async def ready() -> Response[BareReadiness]:
        """Whether requests can be answered."""
        found = is_ready()
        return Response(BareReadiness(found), status_code=200 if found else 503)

    return [live, ready]
