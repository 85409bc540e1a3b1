"""What proxy tests share: a proxy on the home of a test, what it has logged, and predictors that answer as a test says."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import polars as pl
from litestar import Litestar, Request, Response, post
from litestar.params import FromPath, RawBody

from lake.delta import Table
from lake.home import Home
from lake.interface.messages import REQUEST_ID_HEADER, InterfaceName
from lake.log.privacy import PRIVACY_KEY, Privacy
from lake.log.records import LabelRecord, PredictionRecord, decode_record
from lake.log.segment import read_segment, segments
from lake.log.shipper import Shipper
from lake.log.slot import slots
from lake.parameters import Arm, Parameters
from lake.tables import PREDICTIONS
from proxy.app import create_app
from tests.scenario import USE_CASE
from tests.served import Client, eventually

NOBODY = "http://127.0.0.1:9"  # the discard port: nothing listens there


def parameters(upstreams: Mapping[str, str], **changes: Any) -> Parameters:
    """Version 0: each arm with its address. A share is given as `<arm>_share`, another arm's document by its name."""
    arms = {
        name: changes.pop(name, None) or Arm(upstreams=(url,), share=changes.pop(f"{name}_share", 0.0))
        for name, url in upstreams.items()
    }
    return Parameters(use_case=USE_CASE, arms=arms, **changes)


@contextmanager
def proxied(home: Home, document: Parameters, **settings: Any) -> Iterator[Client]:
    """The proxy of a home, with these parameters as version 0."""
    with Client(create_app(home, {document.use_case: document}, **settings)) as client:
        yield client


def logged(home: Home) -> list[PredictionRecord | LabelRecord]:
    """Everything that is in the spools of a home, as it stands on disk."""
    return [
        decode_record(record)
        for folder in slots(home.spools)
        for path in segments(folder)
        for record in read_segment(path).records
        if record is not None
    ]


def predictions(home: Home) -> list[PredictionRecord]:
    """The predictions in the spools of a home."""
    return [record for record in logged(home) if isinstance(record, PredictionRecord)]


def labels(home: Home) -> list[LabelRecord]:
    """The labels in the spools of a home."""
    return [record for record in logged(home) if isinstance(record, LabelRecord)]


def ship_rows(home: Home, count: int) -> None:
    """Ship what is in the spools until the table has so many rows; a segment is closed a while after its last row."""
    table = Table(home.lake, USE_CASE, PREDICTIONS)

    def has_shipped() -> bool:
        Shipper(home).ship()
        return table.exists() and table.scan().select(pl.len()).collect().item() >= count

    eventually(has_shipped)


def key_hash(home: Home, key: str) -> str:
    """How a key of a client, or an entity, stands in the rows of a home."""
    return Privacy.read(home.keys / PRIVACY_KEY).key_hash(USE_CASE, key)


Answerer = Callable[[InterfaceName, bytes, str], tuple[int, bytes]]


def scripted(answer: Answerer) -> Litestar:
    """A predictor that answers as the function says: interface, body and request id in, status and body out.

    It runs the function in a thread, so that one may block.
    """

    @post("/models/{name:str}/predict", sync_to_thread=True)
    def predict(name: FromPath[str], body: RawBody, request: Request[Any, Any, Any]) -> Response[bytes]:
        return respond("predict", name, body, request)

    @post("/v2/models/{name:str}/infer", sync_to_thread=True)
    def infer(name: FromPath[str], body: RawBody, request: Request[Any, Any, Any]) -> Response[bytes]:
        return respond("infer", name, body, request)

    def respond(interface: InterfaceName, name: str, body: bytes, request: Request[Any, Any, Any]) -> Response[bytes]:
        assert name == USE_CASE
        status, content = answer(interface, body, request.headers[REQUEST_ID_HEADER])
        return Response(content, status_code=status, media_type="application/json")

    return Litestar([predict, infer], logging_config=None)


def answered(request_id: str, package_digest: str, scores: list[Any], arm: str = "champion", **changes: Any) -> bytes:
    """The body of an answer to JSON records, as a predictor of this package would give it."""
    provenance = {
        "request_id": request_id,
        "arm": arm,
        "role": arm,
        "release_seq": 1,
        "package_digest": package_digest,
        "engine": "catboost",
    }
    document = {
        "model_name": USE_CASE,
        "model_version": f"{USE_CASE} 1.0.0",
        "predictions": [{"score": score} for score in scores],
        "provenance": provenance,
    }
    return msgspec.json.encode({**document, **changes})
