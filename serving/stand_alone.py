"""A predictor without a proxy: it keeps the prediction log itself, and answers only with what is in it."""

from http import HTTPStatus
from typing import Any

from litestar import Request

from lake.documents import DocumentStore
from lake.errors import NotFound, SpoolUnavailable, TrainServeError, Unavailable
from lake.home import Home
from lake.interface.access import Access
from lake.interface.asked import Asked
from lake.interface.bodies import Question
from lake.interface.labels import label_records, log_labels
from lake.interface.logged import AnswerLog
from lake.interface.messages import REQUEST_ID_HEADER, InterfaceName
from lake.interface.problems import Refused
from lake.interface.reply import Reply
from lake.interface.strangers import Strangers
from lake.interface.trace import trace_of
from lake.log.exchange import STAND_ALONE, Exchange
from lake.log.group_commit import GroupCommit
from lake.log.labels import LabelReader
from lake.log.privacy import Privacy, Redactor
from lake.log.receipts import PROOF_HEADER
from serving.follower import Follower
from serving.metrics import Metrics
from serving.model import ReleasedModel
from serving.prediction import Course, Predictor


class RowKeeper:
    """Says of each model's rows what of them the log may keep. `newest` and `labels` are for the model that was loaded last."""

    def __init__(self, home: Home) -> None:
        self.newest: Redactor | None = None
        self.labels: LabelReader | None = None
        self._keys = home.keys
        self._store = DocumentStore(home.lake, make=False)
        self._privacy: Privacy | None = None

    def prepare(self, model: ReleasedModel) -> None:
        """Before a model serves. Raises SettingError for a key that is not the lake's, Unavailable where there is none yet."""
        if self._privacy is None:
            self._privacy = Privacy.open(self._keys, self._store)
        model.redactor = self.newest = Redactor(model.schema, self._privacy)
        self.labels = LabelReader(model.redactor)


class StandAlone:
    """Answers clients: has the predictor answer, and logs that, or why nothing was answered, before it is sent."""

    def __init__(
        self,
        predictor: Predictor,
        follower: Follower,
        keeper: RowKeeper,
        spool: GroupCommit,
        access: Access,
        metrics: Metrics,
    ) -> None:
        self._predictor = predictor
        self._follower = follower
        self._keeper = keeper
        self._spool = spool
        self._access = access
        self._metrics = metrics
        self._log = AnswerLog(spool)
        self._strangers = Strangers()

    def check_is_client(self, asked: Asked) -> None:
        """Refuse a proxy, with 421: it logs what it asks about."""
        if REQUEST_ID_HEADER in asked.headers:
            why = "This predictor stands alone and keeps the log itself: behind a proxy it would be logged twice."
            raise Refused(HTTPStatus.MISDIRECTED_REQUEST, f"{why} Start it without --stand-alone, or ask it directly.")

    async def respond(self, question: Question, asked: Asked, client_id: str | None) -> Reply:
        """The logged answer. Raises NotFound for a model that is not here, SpoolUnavailable."""
        exchange = self._exchange(question.name, question.body, client_id, asked)
        exchange.redactor = self._keeper.newest
        try:
            return await self._logged(exchange, question, prove=PROOF_HEADER in asked.headers)
        except SpoolUnavailable:
            self._metrics.unlogged[question.interface].inc()
            raise

    async def refuse(self, interface: InterfaceName, name: str, error: Refused, asked: Asked, client_id: str | None) -> Reply:
        """The problem that answers a request for predictions which was refused before it was read; a row as well.

        Raises the error itself where there is no row: for a proxy, which has one of its own, for a model that is not here, and
        for strangers beyond a few a second. Raises SpoolUnavailable.
        """
        if error.status == HTTPStatus.MISDIRECTED_REQUEST:
            raise error
        if name != self._follower.use_case or not self._strangers.may_leave_a_row(error):
            self._metrics.count_not_logged(error.status)
            raise error
        exchange = self._exchange(name, b"", client_id, asked)
        try:
            return (await self._log.refused(exchange, error, None, prove=False)).reply()
        except SpoolUnavailable:
            self._metrics.unlogged[interface].inc()
            raise

    async def accept_labels(self, name: str, body: bytes, request: Request[Any, Any, Any]) -> Reply:
        """Write labels to the log, all or none. Raises NotFound, Refused, Unavailable, InvalidInput, SpoolUnavailable."""
        if name != self._follower.use_case:
            raise NotFound("model", name, f"This predictor serves {self._follower.use_case!r}.")
        request.scope["state"]["client_id"] = client_id = self._access.client_id(request.headers, "labeller")
        if self._keeper.labels is None:
            why = "nothing was released here since this predictor started"
            raise Unavailable(f"the labels of {name!r}", why, "They are taken once a model is loaded.")
        records = label_records(body, self._keeper.labels, client_id)
        return await log_labels(self._spool, records, prove=PROOF_HEADER in request.headers)

    def _exchange(self, name: str, body: bytes, client_id: str | None, asked: Asked) -> Exchange:
        """What begins."""
        exchange = Exchange(
            use_case=name,
            body=body,
            client_id=client_id,
            parameters_version=0,
            arm=self._follower.arm,
            rule=STAND_ALONE,
        )
        asked.known["request_id"] = exchange.request_id
        if (trace := trace_of(asked.headers)) is not None:
            exchange.trace_id = trace.trace_id
        return exchange

    async def _logged(self, exchange: Exchange, question: Question, *, prove: bool) -> Reply:
        course = Course()
        try:
            body = await self._predictor.answer(question, exchange.request_id, course)
        except TrainServeError as error:
            if isinstance(error, NotFound) and question.name != self._follower.use_case:
                self._metrics.count_not_logged(HTTPStatus.NOT_FOUND)
                raise
            _tell(exchange, course)
            return (await self._log.refused(exchange, error, course.rows, prove=prove)).reply()
        _tell(exchange, course)
        exchange.outcome = "answered"
        return (await self._log.answered(exchange, body, course.rows, course.scores, prove=prove)).reply()


def _tell(exchange: Exchange, course: Course) -> None:
    if course.model is not None:
        exchange.release, exchange.redactor = course.model.release, course.model.redactor
        exchange.engine = None if course.scores is None else course.model.engine
