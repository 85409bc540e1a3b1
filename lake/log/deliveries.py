"""What was delivered of each drop, and the rows that were rejected, as tables of the use case."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
import polars as pl

from lake.delta import Table
from lake.fixed_schemas import LABEL_DELIVERIES_SCHEMA, REJECTED_LABELS_SCHEMA
from lake.log.drop_rows import RejectedRow
from lake.log.drops import Drop
from lake.tables import LABEL_DELIVERIES, REJECTED_LABELS, conform


class Delivered(msgspec.Struct, kw_only=True):
    """One delivery: a drop at one version, as it was taken. `seq` counts the deliveries of the drop.

    Of its rows the accepted are labels that the drop said for the first time, the repeated it had said before, or twice.
    `unknown` of the accepted named no prediction that was logged by then. `refused` says why no more of it was read;
    `last_seq` is where the slot of labels then stood.
    """

    drop: str
    seq: int = 0
    version: str = ""
    stamp: str = ""
    rows: int = 0
    accepted: int = 0
    repeated: int = 0
    rejected: int = 0
    unknown: int = 0
    refused: str | None = None
    last_seq: int = 0


class Deliveries:
    """The deliveries of one use case."""

    def __init__(self, lake: str, use_case: str) -> None:
        self._notes = Table(lake, use_case, LABEL_DELIVERIES)
        self._rejected = Table(lake, use_case, REJECTED_LABELS)

    def newest(self) -> dict[str, Delivered]:
        """The newest delivery of each drop."""
        if not self._notes.exists():
            return {}
        rows = self._notes.scan().sort("seq").unique("drop", keep="last").sort("drop").drop("delivered_at_utc").collect()
        return {row["drop"]: msgspec.convert(row, Delivered) for row in rows.iter_rows(named=True)}

    def pending(self, drops: Sequence[Drop]) -> list[Drop]:
        """The drops that were written since they were last delivered."""
        newest = self.newest()
        return [drop for drop in drops if drop.name not in newest or newest[drop.name].stamp != drop.stamp]

    def note(self, delivered: Delivered, at: datetime) -> None:
        """Keep that a drop was delivered. Safe to run twice; of two who deliver the same at once one is noted."""
        frame = pl.DataFrame(
            [{**msgspec.structs.asdict(delivered), "delivered_at_utc": at}], schema_overrides=LABEL_DELIVERIES_SCHEMA
        ).select(LABEL_DELIVERIES_SCHEMA.names())
        self._notes.append_once(conform(frame, LABEL_DELIVERIES_SCHEMA, LABEL_DELIVERIES), f"drop {delivered.drop}")

    def reject(self, delivered: Delivered, rows: Sequence[RejectedRow], at: datetime, *, with_values: bool) -> None:
        """Keep further rows that were rejected, and count them. Safe to run twice: a version of a drop has each row once."""
        if not rows:
            return
        frame = pl.DataFrame(
            [
                {
                    "drop": delivered.drop,
                    "version": delivered.version,
                    "row": row.number,
                    "problems": row.words(with_values=with_values),
                    "content": msgspec.json.encode(row.content).decode() if with_values else None,
                    "delivered_at_utc": at,
                    "seq": number,
                }
                for number, row in enumerate(rows, start=delivered.rejected + 1)
            ],
            schema=REJECTED_LABELS_SCHEMA,
        )
        source = f"drop {delivered.drop}, {delivered.version}"
        self._rejected.append_once(conform(frame, REJECTED_LABELS_SCHEMA, REJECTED_LABELS), source)
        delivered.rejected += frame.height
