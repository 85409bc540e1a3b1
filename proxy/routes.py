"""The proxy's routes: predictions, labels, models, and operation."""

import asyncio
from typing import Any
from urllib.parse import quote

from litestar import MediaType, Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, RawBody

from lake.interface.access import Access
from lake.interface.admission import Admission
from lake.interface.asked import Asked
from lake.interface.bodies import read_question
from lake.interface.documentation import answer, problem
from lake.interface.health import live_route, metrics_route
from lake.interface.inference import OipModelMetadata, OipModelReadiness, ServerMetadata
from lake.interface.labels import LabelsAccepted
from lake.interface.lane import Respond
from lake.interface.logged import Answer
from lake.interface.messages import (
    ROUTING_KEY_HEADER,
    InterfaceName,
    ModelMetadata,
)
from lake.interface.predictions import prediction_routes
from lake.interface.problems import Refused
from lake.interface.reply import Reply
from lake.interface.trace import trace_of
from lake.interface.worker import Worker
from lake.log.receipts import PROOF_HEADER
from proxy.gateway import Gateway
from proxy.operation import Operation, Readiness
from proxy.status import StatusBoard
from proxy.status_page import HEADERS, status_page

PROBLEMS = {
    status: problem(description)
    for status, description in {
        400: "The request is wrong; every problem is named",
        401: "An API key is needed",
        403: "The API key has not the role that this needs",
        404: "There is no such model",
        413: "The body is too large",
        415: "The body is of another media type",
        422: "The operator's rules refuse this input",
        429: "This client has sent too much; the header Retry-After says when to go on",
        502: "The model's answer was unreadable, or not one of a released model, and was withheld",
        503: "No released model can be reached, the log cannot be written, or too many requests are under way",
        504: "The model did not answer in time",
    }.items()
}
_OF_RECORDS = "Score JSON records. One routing key (header `trainserve-routing-key`, else the first row's entity) meets one arm."
ABSENT = {status: PROBLEMS[status] for status in (404, 503)}


def responder(gateway: Gateway, access: Access, admission: Admission) -> Respond:
    """What answers requests for predictions."""

    async def answer_of(interface: InterfaceName, name: str, asked: Asked, version: str | None) -> Answer:
        headers, client_id = asked.headers, None
        try:
            asked.known["client_id"] = client_id = access.client_id(headers, "client")
            question = read_question(interface, name, await asked.read(), headers, version)
        except Refused as refusal:
            return await gateway.refuse(name, refusal, client_id)
        with admission:
            return await gateway.answer(
                question,
                routing_key=headers.get(ROUTING_KEY_HEADER),
                client_id=client_id,
                trace=trace_of(headers),
                prove=PROOF_HEADER in headers,
            )

    async def respond(interface: InterfaceName, name: str, asked: Asked, version: str | None = None) -> Reply:
        given = await answer_of(interface, name, asked, version)
        asked.known["request_id"] = given.request_id
        return given.reply()

    return respond


def client_routes(respond: Respond, gateway: Gateway, access: Access) -> list[HTTPRouteHandler]:
    """The routes that clients call."""
    predictions = prediction_routes(respond, PROBLEMS, "The scores, and who gave them; they are logged", _OF_RECORDS)

    @post(
        "/models/{name:str}/labels",
        status_code=202,
        tags=["labels"],
        responses={202: answer(LabelsAccepted, "They are logged"), **PROBLEMS},
    )
    async def labels(name: FromPath[str], body: RawBody, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Deliver the truth about predictions, one label or many. An observation that is delivered again is one label."""
        request.scope["state"]["client_id"] = client_id = access.client_id(request.headers, "labeller")
        accepted = await gateway.accept_labels(name, body, client_id, prove=PROOF_HEADER in request.headers)
        return accepted.response()

    return [*predictions, labels]


def model_routes(operation: Operation, version: str) -> list[HTTPRouteHandler]:
    """The routes that describe what the champion's predictor serves."""

    @get("/models/{name:str}", tags=["model"], responses={200: answer(ModelMetadata, "The champion"), **ABSENT})
    async def model(name: FromPath[str]) -> Response[bytes]:
        """What the champion is, who approved it, and an example to try."""
        return await operation.ask_champion(name, f"/models/{name}")

    @get(
        ["/v2/models/{name:str}", "/v2/models/{name:str}/versions/{version:str}"],
        tags=["model"],
        responses={200: answer(OipModelMetadata, "The champion's tensors"), **ABSENT},
    )
    async def protocol_model(name: FromPath[str], version: FromPath[str | None] = None) -> Response[bytes]:
        """The tensors that the champion takes and gives."""
        return await operation.ask_champion(name, f"/v2/models/{name}{_below(version)}")

    @get(
        ["/v2/models/{name:str}/ready", "/v2/models/{name:str}/versions/{version:str}/ready"],
        tags=["health"],
        responses={200: answer(OipModelReadiness, "It can answer"), **ABSENT},
    )
    async def protocol_model_ready(name: FromPath[str], version: FromPath[str | None] = None) -> Response[bytes]:
        """Whether the champion can answer."""
        return await operation.ask_champion(name, f"/v2/models/{name}{_below(version)}/ready")

    @get("/v2", tags=["model"])
    async def protocol_server() -> ServerMetadata:
        """The server, as the Open Inference Protocol asks."""
        return ServerMetadata(name="trainserve-proxy", version=version)

    return [model, protocol_model, protocol_model_ready, protocol_server]


def operation_routes(operation: Operation, board: StatusBoard, access: Access, worker: Worker) -> list[HTTPRouteHandler]:
    """The routes for those who run the service."""

    @get(
        ["/health/ready", "/v2/health/ready"],
        tags=["health"],
        responses={503: answer(Readiness, "Requests cannot be answered and logged, and why")},
    )
    async def ready() -> Response[Readiness]:
        """Whether requests can be answered and logged: the releases that are live, and what is wrong."""
        readiness = operation.readiness()
        return Response(readiness, status_code=200 if readiness.ready else 503)

    @get("/status", media_type=MediaType.HTML, include_in_schema=False)
    async def status(request: Request[Any, Any, Any]) -> Response[str]:
        """How it all stands, as a page for a person."""
        try:
            access.client_id(request.headers, "operator")
            names_people = True
        except Refused:
            names_people = False
        found = await asyncio.to_thread(board.look)
        return Response(status_page(found, names_people=names_people), media_type=MediaType.HTML, headers=HEADERS)

    return [live_route(), ready, status, metrics_route(worker)]


def _below(version: str | None) -> str:
    """Where the protocol has what is said of one version."""
    return "" if version is None else f"/versions/{quote(version, safe='')}"
