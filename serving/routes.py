"""The predictor's routes: predictions, the model, and operation."""

from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, RawBody

from lake.copies import LakeStatus, Source
from lake.errors import Unavailable
from lake.interface.access import Access
from lake.interface.admission import Admission
from lake.interface.asked import Asked, Routed
from lake.interface.bodies import read_question, reply
from lake.interface.bundle import BUNDLE_MEDIA_TYPE, BUNDLE_PATH, NotABundle, encode_bundle, read_requests
from lake.interface.documentation import answer, problem
from lake.interface.health import live_route, metrics_route
from lake.interface.inference import OipModelMetadata, OipModelReadiness, ServerMetadata, oip_metadata
from lake.interface.labels import LabelsAccepted
from lake.interface.lane import Respond, RespondTo
from lake.interface.messages import (
    REQUEST_ID_HEADER,
    InterfaceName,
    ModelMetadata,
)
from lake.interface.problems import Refused
from lake.interface.reply import Reply
from lake.interface.worker import Worker
from lake.log.group_commit import GroupCommit
from serving.follower import Follower
from serving.prediction import Predictor
from serving.stand_alone import StandAlone

ABSENT = {
    404: problem("There is no such model here"),
    503: problem("Nothing released and verified can answer"),
}
REFUSALS = {
    400: problem("The request is wrong; every problem is named"),
    413: problem("The body is too large"),
    415: problem("The body is of another media type"),
    **ABSENT,
}


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /health/ready`: what is served and whence, or why nothing is.

    `alarm` says what is wrong although it answers, `notice` that the release expires soon.
    """

    ready: bool
    arm: str
    lake: LakeStatus
    release_seq: int | None = None
    model_version: str | None = None
    package_digest: str | None = None
    package_source: Source | None = None
    expires_at_utc: str | None = None
    alarm: str | None = None
    notice: str | None = None


def responder(
    predictor: Predictor, admission: Admission, alone: StandAlone | None = None, access: Access | None = None
) -> Respond:
    """What answers requests: `alone` logs them; without it they are for known keys only where `access` asks."""

    async def respond(interface: InterfaceName, name: str, asked: Asked, version: str | None = None) -> Reply:
        client_id = None
        try:
            if alone is not None:
                alone.check_is_client(asked)
            if access is not None:
                asked.known["client_id"] = client_id = access.client_id(asked.headers, "client")
            question = read_question(interface, name, await asked.read(), asked.headers, version)
        except Refused as refusal:
            predictor.count_refused(interface)
            if alone is None:
                raise
            return await alone.refuse(interface, name, refusal, asked, client_id)
        with admission:
            if alone is not None:
                return await alone.respond(question, asked, client_id)
            return reply(await predictor.answer(question, asked.headers.get(REQUEST_ID_HEADER)))

    return respond


def bundle_responder(predictor: Predictor, access: Access | None) -> RespondTo:
    """What answers several requests that a proxy sends as one."""

    async def respond(asked: Asked) -> Reply:
        if access is not None:
            access.client_id(asked.headers, "client")
        if (found := asked.headers.get("content-type", "")) != BUNDLE_MEDIA_TYPE:
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"The content-type is {found[:80]!r}, expected {BUNDLE_MEDIA_TYPE}.")
        try:
            requests = read_requests(await asked.read())
        except NotABundle as error:
            raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error
        responses = [await predictor.respond(one) for one in requests]
        asked.known["bundle"] = list(zip(requests, responses, strict=True))
        return Reply(encode_bundle(responses), media_type=BUNDLE_MEDIA_TYPE)

    return respond


def bundle_route(respond: RespondTo) -> HTTPRouteHandler:
    """The route of bundles; most take the lane past it."""

    @post(BUNDLE_PATH, status_code=200, include_in_schema=False)
    async def bundle(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Answer each request of a bundle for itself."""
        return (await respond(Routed(request))).response()

    return bundle


def label_routes(alone: StandAlone) -> list[HTTPRouteHandler]:
    """The route by which labels come to a predictor that keeps the log."""

    @post(
        "/models/{name:str}/labels",
        status_code=202,
        tags=["labels"],
        responses={202: answer(LabelsAccepted, "They are logged"), **REFUSALS},
    )
    async def labels(name: FromPath[str], body: RawBody, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Deliver the truth about predictions, one label or many. An observation that is delivered again is one label."""
        return (await alone.accept_labels(name, body, request)).response()

    return [labels]


def model_routes(follower: Follower, version: str) -> list[HTTPRouteHandler]:
    """The routes that describe what is served."""

    @get("/models/{name:str}", tags=["model"], responses=ABSENT)
    async def model(name: FromPath[str]) -> ModelMetadata:
        """What is served, who approved it, until when, what it takes and gives, and an example to try."""
        return follower.serving(name).metadata(follower.notice)

    @get(["/v2/models/{name:str}", "/v2/models/{name:str}/versions/{version:str}"], tags=["model"], responses=ABSENT)
    async def protocol_model(name: FromPath[str], version: FromPath[str | None] = None) -> OipModelMetadata:
        """The tensors that the model takes and gives."""
        found = follower.serving(name, version)
        return oip_metadata(found.signature, found.name, found.release.model_version, found.engine)

    @get(
        ["/v2/models/{name:str}/ready", "/v2/models/{name:str}/versions/{version:str}/ready"],
        tags=["health"],
        responses=ABSENT,
    )
    async def protocol_model_ready(name: FromPath[str], version: FromPath[str | None] = None) -> OipModelReadiness:
        """Whether the model can answer."""
        return OipModelReadiness(name=follower.serving(name, version).name, ready=True)

    @get("/v2", tags=["model"])
    async def protocol_server() -> ServerMetadata:
        """The server, as the Open Inference Protocol asks."""
        return ServerMetadata(name="trainserve-predictor", version=version)

    return [model, protocol_model, protocol_model_ready, protocol_server]


def why_not_ready(follower: Follower, worker: Worker, spool: GroupCommit | None) -> str | None:
    """Why nobody should ask; None where all is well."""
    if worker.leaving:
        return "it was told to stop, and answers only who is connected"
    if isinstance(judged := follower.judged(), Unavailable):
        return judged.why
    return None if spool is None or spool.failure is None else f"the log cannot be written: {spool.failure}"


def operation_routes(follower: Follower, worker: Worker, spool: GroupCommit | None = None) -> list[HTTPRouteHandler]:
    """The routes for those who run the service."""

    @get(
        ["/health/ready", "/v2/health/ready"],
        tags=["health"],
        responses={503: answer(Readiness, "Nothing can be answered, and why")},
    )
    async def ready() -> Response[Readiness]:
        """Whether a released model is loaded, which, and what is wrong."""
        model, lake, why = follower.current, follower.lake.status(), why_not_ready(follower, worker, spool)
        if model is None or why is not None:
            return Response(Readiness(ready=False, arm=follower.arm, lake=lake, alarm=why), status_code=503)
        release = model.release
        return Response(
            Readiness(
                ready=True,
                arm=follower.arm,
                lake=lake,
                release_seq=release.seq,
                model_version=release.model_version,
                package_digest=release.package_digest,
                package_source=model.source,
                expires_at_utc=release.expires_at_utc,
                alarm=follower.alarm,
                notice=follower.notice,
            )
        )

    return [live_route(), ready, metrics_route(worker)]
