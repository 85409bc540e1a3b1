"""What predictor and proxy tell of themselves alike: that they live, what they count, and to a balancer whether, not why."""

from collections.abc import Callable

import msgspec
from litestar import MediaType, Response, get
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CONTENT_TYPE_LATEST

from lake.interface.documentation import answer
from lake.interface.messages import Liveness
from lake.interface.worker import Worker


class BareReadiness(msgspec.Struct, frozen=True):
    """Whether requests can be answered; why not, the admin port says."""

    ready: bool


def live_route() -> HTTPRouteHandler:
    """Liveness."""

    @get(["/health/live", "/v2/health/live"], tags=["health"])
    async def live() -> Liveness:
        """Whether the process answers."""
        return Liveness()

    return live


def metrics_route(worker: Worker) -> HTTPRouteHandler:
    """What the workers of a server have counted."""

    @get("/metrics", media_type=MediaType.TEXT, include_in_schema=False)
    async def prometheus() -> Response[bytes]:
        """Counters in Prometheus' text format."""
        return Response(await worker.metrics(), media_type=CONTENT_TYPE_LATEST)

    return prometheus


def bare_health_routes(is_ready: Callable[[], bool]) -> list[HTTPRouteHandler]:
    """For the port of clients where the operator's pages stand on another: no word about releases, lake or log."""

    @get(
        ["/health/ready", "/v2/health/ready"], tags=["health"], responses={503: answer(BareReadiness, "Nothing can be answered")}
    )
    async def ready() -> Response[BareReadiness]:
        """Whether requests can be answered."""
        found = is_ready()
        return Response(BareReadiness(found), status_code=200 if found else 503)

    return [live_route(), ready]
