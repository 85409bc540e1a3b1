"""The proxy's application, and the one way to make it."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from lake.copies import GREATEST_COPY_AGE_S
from lake.home import Home
from lake.interface.access import Access
from lake.interface.admission import Admission
from lake.interface.documentation import api_documentation, documentation_assets
from lake.interface.health import bare_health_routes
from lake.interface.lane import Lane, WithLane
from lake.interface.problems import EXCEPTION_HANDLERS
from lake.interface.worker import Worker
from lake.log.durability import Durability
from lake.log.group_commit import GroupCommit
from lake.log.log_key import LogKey
from lake.log.slot import Slot
from lake.parameters import Parameters
from lake.times import Clock, now_utc
from proxy.arms import Arms
from proxy.change import Changes
from proxy.gateway import Gateway
from proxy.guardrail import Guardrail
from proxy.metrics import Metrics
from proxy.observed import Outcomes
from proxy.operation import Operation
from proxy.parameter_routes import parameter_routes
from proxy.routes import client_routes, model_routes, operation_routes, responder
from proxy.shadows import Shadows
from proxy.status import StatusBoard
from proxy.upstream import Upstreams
from proxy.watch import Watch

DESCRIPTION = """Answers for every use case with what was released, splits traffic between champion and challengers, and
writes each answer to a durable log before it is sent.

`POST /models/{name}/predict` takes JSON records; `POST /v2/models/{name}/infer` speaks the Open Inference Protocol v2;
`POST /models/{name}/labels` takes the truth about earlier predictions. The header `trainserve-receipt` of an answer says
where it stands in the log; a request with the header `trainserve-proof` gets the member `proof` as well: the rows as they
were logged, and what binds them to a root that the log's key signed. Errors are RFC 9457 problem documents."""


def create_app(
    home: Home,
    parameters: Mapping[str, Parameters],
    *,
    durability: Durability = "disk",
    greatest_copy_age_s: float = GREATEST_COPY_AGE_S,
    clock: Clock = now_utc,
    worker: Worker | None = None,
) -> Litestar:
    """The application of one proxy worker, for clients; the worker gets another where the admin port is apart.

    `parameters` are version 0 of each use case.
    """
    worker = worker or Worker()
    watch = Watch(home, parameters, greatest_copy_age_s, clock, worker.settings.maximum_rows)
    metrics = Metrics()
    upstreams = Upstreams(metrics)
    outcomes = Outcomes(circuit_open=upstreams.is_open)
    spool = GroupCommit(Slot.lease(home.spools, durability), LogKey.read_or_make(home.keys))
    shadows = Shadows(watch, spool, metrics, outcomes)
    access = Access(home.credentials)
    arms = Arms(watch, upstreams, metrics, outcomes)
    operation = Operation(home, watch, upstreams, shadows, spool, metrics, worker)
    board = StatusBoard(home, watch, operation, metrics, outcomes)
    changes = Changes(home, watch)
    watch.then(changes.bring)
    watch.then(Guardrail(watch, changes, outcomes).look)
    release = version("trainserve")

    @asynccontextmanager
    async def running(_app: Litestar) -> AsyncGenerator[None]:
        await watch.start()
        spool.start()
        try:
            yield
        finally:
            await watch.stop()
            await shadows.close()
            await upstreams.close()
            await spool.close()

    def described(
        title: str, handlers: Sequence[HTTPRouteHandler], lifespan: Sequence[Callable[[Litestar], Any]] = ()
    ) -> dict[str, Any]:
        return {
            "route_handlers": [*handlers, documentation_assets()],
            "lifespan": list(lifespan),
            "exception_handlers": EXCEPTION_HANDLERS,
            "openapi_config": api_documentation(title, release, DESCRIPTION, watch.schemas, worker.settings.maximum_rows),
            "request_max_body_size": worker.settings.maximum_bytes,
            "logging_config": None,
        }

    admission = Admission(worker.settings.maximum_in_flight)
    worker.measures(operation.measure)
    worker.measures(admission.collect)
    for_operators = [*operation_routes(operation, board, access, worker), *parameter_routes(operation, changes, access)]
    if worker.settings.admin_port:
        worker.admin = Litestar(**described("trainserve proxy, operation", for_operators))
        for_operators = bare_health_routes(lambda: operation.readiness().ready)
    gateway = Gateway(watch, arms, shadows, spool, metrics, outcomes)
    respond = responder(gateway, access, admission)
    routes = [*client_routes(respond, gateway, access), *model_routes(operation, release), *for_operators]
    return WithLane(Lane(respond, worker.settings.maximum_bytes), **described("trainserve proxy", routes, [running]))
