"""The predictor's application, and the one way to make it."""

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from prometheus_client import Metric

from lake.copies import GREATEST_COPY_AGE_S
from lake.home import Home
from lake.interface.access import Access
from lake.interface.admission import Admission
from lake.interface.documentation import api_documentation, documentation_assets
from lake.interface.health import bare_health_routes
from lake.interface.lane import Lane, WithLane
from lake.interface.predictions import prediction_routes
from lake.interface.problems import EXCEPTION_HANDLERS
from lake.interface.worker import Worker
from lake.log.durability import Durability
from lake.log.group_commit import GroupCommit
from lake.log.log_key import LogKey
from lake.log.slot import Slot
from lake.log.spool_metrics import SpoolMetrics
from lake.times import Clock, now_utc
from serving.follower import Follower
from serving.metrics import Metrics
from serving.prediction import Predictor
from serving.routes import (
    REFUSALS,
    bundle_responder,
    bundle_route,
    label_routes,
    model_routes,
    operation_routes,
    responder,
    why_not_ready,
)
from serving.stand_alone import RowKeeper, StandAlone

DESCRIPTION = """Serves one arm of one use case, and only what a person released there.

`POST /models/{name}/predict` takes JSON records; `POST /v2/models/{name}/infer` speaks the Open Inference Protocol v2.
Errors are RFC 9457 problem documents that name every problem of a request."""

LOGGING = """

It stands alone: each answer is written to a durable log before it is sent. The header `trainserve-receipt` says where it
stands there; a request with the header `trainserve-proof` gets the member `proof` as well: the rows as they were logged, and
what binds them to a root that the log's key signed. `POST /models/{name}/labels` takes the truth about earlier
predictions."""


def create_app(
    home: Home,
    use_case: str,
    arm: str,
    *,
    log: Durability | None = None,
    ask_keys: bool = False,
    greatest_copy_age_s: float = GREATEST_COPY_AGE_S,
    clock: Clock = now_utc,
    worker: Worker | None = None,
) -> Litestar:
    """The application of the predictor of one arm, for clients; the worker gets another where the admin port is apart.

    With a `log` it stands alone, and keeps the prediction log itself: an answer waits for what the durability says. It then
    asks for keys as a proxy does, if there are credentials; without a log it does so only when told to `ask_keys`.
    """
    worker = worker or Worker()
    metrics = Metrics(use_case, arm)
    spool = None if log is None else GroupCommit(Slot.lease(home.spools, log), LogKey.read_or_make(home.keys))
    keeper = None if log is None else RowKeeper(home)
    prepare = None if keeper is None else keeper.prepare
    follower = Follower(home, use_case, arm, greatest_copy_age_s, clock, worker.settings.maximum_rows, prepare)
    predictor = Predictor(follower, metrics)
    access = Access(home.credentials) if ask_keys or log is not None else None
    alone = None
    if spool is not None and keeper is not None and access is not None:
        alone = StandAlone(predictor, follower, keeper, spool, access, metrics)
    spool_metrics = None if spool is None else SpoolMetrics(metrics.registry, home, spool)
    release = version("trainserve")

    def measured() -> Iterable[Metric]:
        if spool_metrics is not None:
            spool_metrics.measure()
        return metrics.measure(follower)

    @asynccontextmanager
    async def following(_app: Litestar) -> AsyncGenerator[None]:
        await follower.start()
        if spool is not None:
            spool.start()
        try:
            yield
        finally:
            await follower.stop()
            if spool is not None:
                await spool.close()

    def described(
        title: str, handlers: Sequence[HTTPRouteHandler], lifespan: Sequence[Callable[[Litestar], Any]] = ()
    ) -> dict[str, Any]:
        return {
            "route_handlers": [*handlers, documentation_assets()],
            "lifespan": list(lifespan),
            "exception_handlers": EXCEPTION_HANDLERS,
            "openapi_config": api_documentation(
                f"trainserve predictor: {title}",
                release,
                DESCRIPTION if log is None else DESCRIPTION + LOGGING,
                lambda: [model.schema] if (model := follower.current) else [],
                worker.settings.maximum_rows,
            ),
            "request_max_body_size": worker.settings.maximum_bytes,
            "logging_config": None,
        }

    admission = Admission(worker.settings.maximum_in_flight)
    worker.measures(measured)
    worker.measures(admission.collect)
    operation = operation_routes(follower, worker, spool)
    if worker.settings.admin_port:
        worker.admin = Litestar(**described(f"operation of {use_case}, {arm}", operation))
        operation = bare_health_routes(lambda: why_not_ready(follower, worker, spool) is None)
    respond = responder(predictor, admission, alone, access)
    respond_to_bundle = bundle_responder(predictor, access) if alone is None else None
    answering = [
        *prediction_routes(respond, REFUSALS, "The scores, and who gave them"),
        *([] if respond_to_bundle is None else [bundle_route(respond_to_bundle)]),
        *([] if alone is None else label_routes(alone)),
    ]
    routes = [*answering, *model_routes(follower, release), *operation]
    return WithLane(
        Lane(respond, worker.settings.maximum_bytes, respond_to_bundle), **described(f"{use_case}, {arm}", routes, [following])
    )
