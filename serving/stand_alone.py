"""A predictor without a proxy: it keeps the prediction log itself, and answers only with what is in it."""

from http import HTTPStatus
from typing import Any

from litestar import Request, Response

from lake.documents import DocumentStore
from lake.errors import NotFound, SpoolUnavailable, TrainServeError
from lake.home import Home
from lake.interface.access import Access
from lake.interface.logged import AnswerLog
from lake.interface.messages import REQUEST_ID_HEADER, InterfaceName
from lake.interface.problems import Refused
from lake.interface.trace import trace_of
from lake.log.exchange import STAND_ALONE, Exchange
from lake.log.group_commit import GroupCommit
from lake.log.privacy import Privacy, Redactor
from lake.log.receipts import PROOF_HEADER
from serving.metrics import Metrics
from serving.model import ReleasedModel
from serving.prediction import Course, Predictor


class RowKeeper:
    """Says of each model's rows what of them the log may keep."""

    def __init__(self, home: Home) -> None:
        self._keys = home.keys
        self._store = DocumentStore(home.lake, make=False)
        self._privacy: Privacy | None = None

    def prepare(self, model: ReleasedModel) -> None:
        """Before a model serves. Raises SettingError for a key that is not the lake's, Unavailable where there is none yet."""
        if self._privacy is None:
            self._privacy = Privacy.open(self._keys, self._store)
        model.redactor = Redactor(model.schema, self._privacy)


class StandAlone:
    """Answers clients: lets them in, has the predictor answer, and logs that before it is sent."""

    def __init__(self, predictor: Predictor, arm: str, spool: GroupCommit, access: Access, metrics: Metrics) -> None:
        self._predictor = predictor
        self._arm = arm
        self._access = access
        self._metrics = metrics
        self._log = AnswerLog(spool)

    async def respond(self, interface: InterfaceName, name: str, body: bytes, request: Request[Any, Any, Any]) -> Response[bytes]:
        """The logged answer. Raises NotFound, Refused without a key or from a proxy, SpoolUnavailable."""
        if REQUEST_ID_HEADER in request.headers:
            why = "This predictor stands alone and keeps the log itself: behind a proxy it would be logged twice."
            raise Refused(HTTPStatus.MISDIRECTED_REQUEST, f"{why} Start it without --stand-alone, or ask it directly.")
        known = request.scope["state"]
        known["client_id"] = client_id = self._access.client_id(request, "client")
        exchange = Exchange(use_case=name, body=body, client_id=client_id, parameters_version=0, arm=self._arm, rule=STAND_ALONE)
        known["request_id"] = exchange.request_id
        if (trace := trace_of(request.headers)) is not None:
            exchange.trace_id = trace.trace_id
        try:
            return await self._answered(exchange, interface, prove=PROOF_HEADER in request.headers)
        except SpoolUnavailable:
            self._metrics.unlogged[interface].inc()
            raise

    async def _answered(self, exchange: Exchange, interface: InterfaceName, *, prove: bool) -> Response[bytes]:
        course = Course()
        try:
            body = await self._predictor.answer(interface, exchange.use_case, exchange.body, exchange.request_id, course)
        except NotFound:
            raise
        except TrainServeError as error:
            _tell(exchange, course)
            return (await self._log.refused(exchange, error, course.rows, prove=prove)).response()
        _tell(exchange, course)
        return (await self._log.answered(exchange, body, course.rows, course.scores, prove=prove)).response()


def _tell(exchange: Exchange, course: Course) -> None:
    if course.model is not None:
        exchange.release, exchange.redactor = course.model.release, course.model.redactor
        exchange.engine = course.model.engine if course.scores is not None else None
