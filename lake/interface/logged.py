"""Answers that are sent only when their rows are on disk: the same for a proxy, and for a predictor that stands alone."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

import msgspec

from lake.decoder import Rows
from lake.interface.access import NoRole
from lake.interface.bodies import reply
from lake.interface.messages import REQUEST_ID_HEADER, Encoded
from lake.interface.problems import MEDIA_TYPE, problem_document, problem_headers
from lake.interface.reply import Reply
from lake.log.exchange import Exchange
from lake.log.group_commit import GroupCommit
from lake.log.receipts import RECEIPT_HEADER, with_proof


class Answer(msgspec.Struct, frozen=True):
    """What the client gets, with headers beside those of every answer; its rows are on disk, where the receipt says."""

    status: int
    body: Encoded
    request_id: str
    receipt: str
    headers: Mapping[str, str] = {}

    def reply(self) -> Reply:
        """The answer with its id and its receipt as headers."""
        headers = {REQUEST_ID_HEADER: self.request_id, RECEIPT_HEADER: self.receipt, **self.headers}
        if self.status == HTTPStatus.OK:
            return reply(self.body, headers)
        return Reply(self.body.text, headers, MEDIA_TYPE, self.status)


class AnswerLog:
    """Writes down how an exchange ended, and gives the answer then. Raises SpoolUnavailable when it cannot be written."""

    def __init__(self, spool: GroupCommit, count: Callable[[Exchange], None] | None = None) -> None:
        self._spool = spool
        self._count = count

    async def answered(
        self, exchange: Exchange, body: Encoded, rows: Rows | None, scores: Sequence[list[float]] | None, *, prove: bool
    ) -> Answer:
        """An answer, by the outcome that the exchange tells, with its proof if that is asked for; `scores` are the model's."""
        exchange.status = HTTPStatus.OK
        return await self._logged(exchange, body, exchange.records(rows, scores), {}, prove=prove)

    async def refused(self, exchange: Exchange, error: Exception, rows: Rows | None, *, prove: bool) -> Answer:
        """The problem that answers an error; it is the client's, or else something has failed.

        A key that has not the role that is needed names its client all the same.
        """
        if isinstance(error, NoRole):
            exchange.client_id = error.client_id
        document = problem_document(error, exchange.request_id)
        if document.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            exchange.outcome = "refused"
        exchange.status = document.status
        body, records = Encoded(msgspec.json.encode(document)), exchange.records(rows, None)
        return await self._logged(exchange, body, records, problem_headers(error), prove=prove)

    async def _logged(
        self, exchange: Exchange, body: Encoded, records: list[bytes], headers: Mapping[str, str], *, prove: bool
    ) -> Answer:
        receipt = await self._spool.append(records)
        if self._count is not None:
            self._count(exchange)
        if prove:
            body = Encoded(with_proof(body.text, receipt.proof(records)), body.tensors)
        return Answer(exchange.status, body, exchange.request_id, receipt.text, headers)
