"""The delivery of drops: each label of a drop goes into the log exactly once, sealed as all others are.

A drop that was written again is read whole, and what it had not said before goes into the log. So one that grew adds its
new rows, and one that changed its corrections; a delivery that was killed goes on where it was, and two at once share the
work. What it had said before stands in the table of labels: there `client_id` is `drop:` and the name of the drop.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec
import polars as pl

from lake.delta import Table
from lake.documents import DocumentStore
from lake.errors import Conflict, InvalidInput
from lake.failpoints import reach
from lake.home import Home, now_us
from lake.log.chain import ChainHead
from lake.log.columns import Columns, kind_of
from lake.log.deliveries import Delivered, Deliveries
from lake.log.drop_rows import RejectedRow, reasons, sifted
from lake.log.drops import Drop, DropFolder
from lake.log.erasure_requests import read_requests
from lake.log.labels import Label, LabelReader
from lake.log.log_key import read_trusted_log
from lake.log.privacy import Redactor
from lake.log.records import LabelRecord, encode_record
from lake.log.shared_slot import SharedSlot
from lake.tables import LABELS, PREDICTIONS, labels_schema, predictions_schema
from lake.times import now_utc

SLOT = "label_slot"
DROPS = "label_drops"
_SHOWN = 20
_BY_REQUEST, _BY_ENTITY = ["request_id", "row"], ["entity_key_hash", "event_time_utc"]
_NAME = [*_BY_REQUEST, *_BY_ENTITY]


class Delivery(msgspec.Struct, kw_only=True):
    """What one run did with one drop: what is noted of it, how often each reason was found, and the first rejected rows."""

    delivered: Delivered
    reasons: Counter[str] = msgspec.field(default_factory=Counter)
    shown: list[RejectedRow] = msgspec.field(default_factory=list)


def drop_folder(home: Home, use_case: str, address: str = "") -> DropFolder:
    """Where the drops of a use case are put: `label_drops/` of the use case in the lake, or an address of their own."""
    if address:
        return DropFolder(DocumentStore(Home.at(home.root, address).lake, make=False))
    return DropFolder(DocumentStore(home.lake), f"{use_case}/{DROPS}")


class Deliverer:
    """Delivers the drops of one folder into the labels of a use case. Several may at once, on whatever machines."""

    def __init__(self, home: Home, folder: DropFolder, redactor: Redactor) -> None:
        self._schema = redactor.schema
        self._folder = folder
        self._reader = LabelReader(redactor)
        self.keeps_values = redactor.keeps_raw
        self._slot = SharedSlot(home, f"{self._schema.use_case}/{SLOT}")
        self._deliveries = Deliveries(home.lake, self._schema.use_case)
        self._labels = Table(home.lake, self._schema.use_case, LABELS)
        self._predictions = Table(home.lake, self._schema.use_case, PREDICTIONS)
        self._head = ChainHead()
        self._may_have_said = True
        self._erased_until_us = _erased(home, self._schema.use_case)

    def settle(self) -> None:
        """Ship what a delivery that was killed has left. Safe to run twice."""
        self._head = self._slot.settle()

    def deliver(self, drop: Drop) -> Delivery:
        """Deliver a drop as it is now; one whose file or columns are not those of labels is refused, and that is noted.

        Safe to run twice, and beside others. Raises NotFound where the drop is gone, VerificationError, Unavailable.
        """
        self.settle()
        before = self._deliveries.newest().get(drop.name, Delivered(drop=drop.name))
        self._may_have_said = self._said(drop).head(1).collect().height > 0
        delivery = Delivery(delivered=Delivered(drop=drop.name, seq=before.seq + 1, stamp=drop.stamp))
        try:
            self._take(drop, delivery)
        except InvalidInput as error:
            delivery.delivered.refused = str(error)
        reach("delivered")
        self._note(drop, delivery.delivered, before.last_seq)
        return delivery

    def _take(self, drop: Drop, delivery: Delivery) -> None:
        delivered = delivery.delivered
        with self._folder.pinned(drop, self._schema) as pinned:
            delivered.version = pinned.version
            for batch in pinned.batches():
                rows = sifted(batch, self._reader)
                self._append(drop, rows.labels)
                self._deliveries.reject(delivered, rows.rejected, now_utc(), with_values=self.keeps_values)
                delivered.rows += batch.height
                delivery.reasons.update(reasons(rows.rejected))
                delivery.shown += rows.rejected[: _SHOWN - len(delivery.shown)]

    def _append(self, drop: Drop, labels: Sequence[Label]) -> None:
        """Log those of these labels that the drop has not said before, and that are not about an entity that was erased."""
        received_at_us = now_us()
        read = [self._reader.record(label, _client(drop), received_at_us) for label in labels]
        records = [encode_record(record) for record in read if not self._is_erased(record)]
        while records and (unsaid := self._unsaid(drop, records) if self._may_have_said else records):
            try:
                self._head = self._slot.append(unsaid, self._head)
            except Conflict:  # another delivers too, and maybe the same
                self._head = self._slot.settle()
                self._may_have_said = True
            else:
                return

    def _is_erased(self, record: LabelRecord) -> bool:
        """Whether a label is about what happened to an entity up to the moment of its erasure: the drop may still tell it."""
        until_us = self._erased_until_us.get(record.entity_key_hash or "")
        return until_us is not None and (record.event_time_us or 0) <= until_us

    def _unsaid(self, drop: Drop, records: list[bytes]) -> list[bytes]:
        """Without those that the drop has said: ever, of an observation, or last, where it does not say when it was made."""
        frame, _ = Columns(kind_of(records[0]), self._schema).frame(records, range(len(records)), self._slot.spool_id)
        names = frame.lazy().select(_NAME).unique()
        said = self._said(drop).join(names, on=_NAME, how="semi", nulls_equal=True).collect(engine="streaming")
        dated = pl.col("observed_at_utc").is_not_null()
        last = said.filter(~dated).sort("seq").unique(_NAME, keep="last")
        unsaid = pl.concat(
            [
                _without(frame.filter(dated), said, [*_NAME, "label", "observed_at_utc"]),
                _without(frame.filter(~dated), last, [*_NAME, "label"]),
            ]
        )
        return [records[number] for number in unsaid["seq"].sort()]

    def _said(self, drop: Drop) -> pl.LazyFrame:
        """The labels that a drop has said so far."""
        rows = self._labels.scan() if self._labels.exists() else labels_schema(self._schema).to_frame().lazy()
        return rows.filter(spool_id=self._slot.spool_id, client_id=_client(drop))

    def _note(self, drop: Drop, delivered: Delivered, behind: int) -> None:
        """Count what a delivery came to, by the table, which knows also what its earlier lives did; and keep that."""
        new = self._said(drop).filter(pl.col("seq") > behind)
        delivered.accepted = int(new.select(pl.len()).collect().item())
        delivered.repeated = max(0, delivered.rows - delivered.rejected - delivered.accepted)
        delivered.unknown = self._unknown(new)
        delivered.last_seq = self._head.last_seq
        self._deliveries.note(delivered, now_utc())

    def _unknown(self, labels: pl.LazyFrame) -> int:
        """How many of these labels name no prediction that is logged."""
        schema = predictions_schema(self._schema)
        predictions = self._predictions.scan() if self._predictions.exists() else schema.to_frame().lazy()
        count = 0
        for keys in (_BY_REQUEST, _BY_ENTITY):
            named = labels.filter(pl.col(keys[0]).is_not_null()).select(keys)
            known = predictions.select(keys).join(named.unique(), on=keys, how="semi").unique()
            count += named.join(known, on=keys, how="anti").select(pl.len()).collect(engine="streaming").item()
        return count


def _erased(home: Home, use_case: str) -> dict[str, int]:
    """Up to when each entity was erased, by its hash. Raises VerificationError for a request that nobody trusted has signed."""
    asked = read_requests(DocumentStore(home.lake), use_case, read_trusted_log(home.keys))
    if asked.problems:
        raise asked.problems[0]
    return {request.entity_key_hash: request.until_us for request in asked.requests}


def _without(frame: pl.DataFrame, said: pl.DataFrame, on: list[str]) -> pl.DataFrame:
    return frame.join(said, on=on, how="anti", nulls_equal=True)


def _client(drop: Drop) -> str:
    return f"drop:{drop.name}"
