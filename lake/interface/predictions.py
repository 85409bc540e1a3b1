"""The routes by which predictions are asked for, which predictor and proxy have in common."""

from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from lake.interface.asked import Routed
from lake.interface.documentation import answer
from lake.interface.inference import InferResponse
from lake.interface.lane import Respond
from lake.interface.messages import PredictResponse


def prediction_routes(
    respond: Respond, refusals: Mapping[int, ResponseSpec], answered: str, of_records: str = "Score JSON records."
) -> list[HTTPRouteHandler]:
    """The routes as they are documented: with refusals by status, what an answer is, and what records are asked for.

    Most requests take the lane past them.
    """

    @post(
        "/models/{name:str}/predict",
        status_code=200,
        tags=["predict"],
        description=of_records,
        responses={200: answer(PredictResponse, answered), **refusals},
    )
    async def predict(name: FromPath[str], request: Request[Any, Any, Any]) -> Response[bytes]:
        return (await respond("predict", name, Routed(request), None)).response()

    @post(
        ["/v2/models/{name:str}/infer", "/v2/models/{name:str}/versions/{version:str}/infer"],
        status_code=200,
        tags=["predict"],
        responses={200: answer(InferResponse, answered), **refusals},
    )
    async def infer(
        name: FromPath[str], request: Request[Any, Any, Any], version: FromPath[str | None] = None
    ) -> Response[bytes]:
        """Score tensors, one for each field, as JSON or as bytes behind it (Open Inference Protocol v2)."""
        return (await respond("infer", name, Routed(request), version)).response()

    return [predict, infer]
