"""The table `erasures`: audit rows that say which records were erased on purpose, on whose word and why.

Each is signed by the key of the log on the machine that erased: whoever can write to the lake, but holds no such key, can
pass no removal off as an erasure. Of what was erased they say nothing but where it stood, its leaf, and the request's id,
by which a label may still name it.
"""

from collections.abc import Iterator, Sequence

import msgspec
import polars as pl

from lake.delta import Table
from lake.fixed_schemas import ERASURES_SCHEMA
from lake.log.records import column_of
from lake.log.vouched import Vouched
from lake.tables import ERASURES, conform


class ErasedRecord(Vouched, frozen=True, kw_only=True, omit_defaults=True):
    """An audit row. `found_by` says by what it was about the entity: its key, features or body, or the request that it labels."""

    SIGNED_FOR = b"trainserve erasure\n"

    erasure_id: str
    table: str
    spool_id: str
    seq: int
    leaf: bytes
    request_id: str | None
    row: int | None
    found_by: str
    erased_at_us: int
    asked_by: str
    why: str


_COLUMNS = {column_of(name): name for name in ErasedRecord.__struct_fields__}


def append_erasures(table: Table, records: Sequence[ErasedRecord]) -> int:
    """Append these audit rows, durably, but for those that are there; returns how many. Safe to run twice."""
    rows = pl.DataFrame(
        [msgspec.structs.asdict(record) for record in records],
        schema={name: ERASURES_SCHEMA[column] for column, name in _COLUMNS.items()},
    ).rename({name: column for column, name in _COLUMNS.items()})
    return table.append_new(conform(rows, ERASURES_SCHEMA, ERASURES), ERASURES_SCHEMA.names())


def read_erasures(lake: str, use_case: str, which: pl.Expr) -> Iterator[ErasedRecord]:
    """The audit rows of which this holds; a row that was made of none has an empty signature, which nothing proves."""
    table = Table(lake, use_case, ERASURES)
    if not table.exists():
        return
    rows = table.scan().filter(which).collect()
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in ERASURES_SCHEMA.items() if name not in rows.columns]
    plain = rows.with_columns(absent).select(pl.col(column).to_physical().alias(name) for column, name in _COLUMNS.items())
    for row in plain.iter_rows(named=True):
        try:
            yield msgspec.convert(row, ErasedRecord)
        except msgspec.ValidationError:
            yield _proving_nothing(row["spool_id"], row["seq"], row["leaf"])


def _proving_nothing(spool_id: str, seq: int, leaf: bytes) -> ErasedRecord:
    return ErasedRecord(
        erasure_id="",
        table="",
        spool_id=spool_id,
        seq=seq,
        leaf=leaf or b"",
        request_id=None,
        row=None,
        found_by="",
        erased_at_us=0,
        asked_by="",
        why="",
    )
