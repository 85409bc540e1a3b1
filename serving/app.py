"""The predictor's application, and the one way to make it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version

from litestar import Litestar

from lake.copies import GREATEST_COPY_AGE_S
from lake.home import Home
from lake.interface.documentation import api_documentation, documentation_assets
from lake.interface.problems import EXCEPTION_HANDLERS
from lake.limits import DEFAULT_LIMITS, Limits
from lake.times import Clock, now_utc
from serving.follower import Follower
from serving.metrics import Metrics
from serving.prediction import Predictor
from serving.routes import model_routes, operation_routes, prediction_routes

DESCRIPTION = """Serves one arm of one use case, and only what a person released there.

`POST /models/{name}/predict` takes JSON records; `POST /v2/models/{name}/infer` speaks the Open Inference Protocol v2.
Errors are RFC 9457 problem documents that name every problem of a request."""


def create_app(
    home: Home,
    use_case: str,
    arm: str,
    *,
    greatest_copy_age_s: float = GREATEST_COPY_AGE_S,
    clock: Clock = now_utc,
    limits: Limits = DEFAULT_LIMITS,
) -> Litestar:
    """The application of the predictor of one arm."""
    follower = Follower(home, use_case, arm, greatest_copy_age_s, clock, limits.rows)
    metrics = Metrics(use_case, arm)
    release = version("trainserve")

    @asynccontextmanager
    async def following(_app: Litestar) -> AsyncGenerator[None]:
        await follower.start()
        try:
            yield
        finally:
            await follower.stop()

    return Litestar(
        route_handlers=[
            *prediction_routes(Predictor(follower, metrics)),
            *model_routes(follower, release),
            *operation_routes(follower, metrics),
            documentation_assets(),
        ],
        lifespan=[following],
        exception_handlers=EXCEPTION_HANDLERS,
        request_max_body_size=limits.bytes,
        openapi_config=api_documentation(
            f"trainserve predictor: {use_case}, {arm}",
            release,
            DESCRIPTION,
            lambda: [model.schema] if (model := follower.current) else [],
            limits.rows,
        ),
        logging_config=None,
    )
