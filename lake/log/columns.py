"""Columns: encoded records of one kind straight to a frame of their table, at the least cost for each record.

A record of its own for each row would cost more than all the rest of shipping. So records that begin alike, which are of
one use case, table and number of members, are decoded together, by one call, as plain tuples; each member is then a column.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from itertools import chain, compress
from typing import Annotated, Any, Literal

import msgspec
import polars as pl
from msgspec.structs import astuple

from lake.filing import filing_date
from lake.input_schema import InputSchema
from lake.log.commit_rows import commits_frame
from lake.log.commits import CommitRecord, Number
from lake.log.records import LabelRecord, PredictionRecord, column_of
from lake.tables import COMMITS, LABELS, LOG, PREDICTIONS, TIME, conform, features_dtype, labels_schema, predictions_schema

TABLES = (COMMITS, PREDICTIONS, LABELS)
_RECORDS: dict[str, type[msgspec.Struct]] = {PREDICTIONS: PredictionRecord, LABELS: LabelRecord}
_SCHEMAS: dict[str, Callable[[InputSchema], pl.Schema]] = {PREDICTIONS: predictions_schema, LABELS: labels_schema}

# Records that are decoded together: more of them would not stay in the processor's cache.
_TOGETHER = 1_024

_LONG_ARRAY = 0xDC  # how msgpack begins an array of 16 to 65,535 members; a shorter one begins with their number
_SHORT_ARRAY_MEMBERS = 0x0F
_ARRAY = b"\xdd"  # of any length, which follows in four bytes

# Bytes that are not UTF-8, and nesting without end, are no MsgspecError.
MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
FEATURES = "features"
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=timezone.utc), timedelta(microseconds=1)

_TYPES: dict[pl.DataType, Any] = {
    pl.String(): str,
    pl.Int64(): Number,
    pl.Float64(): float,
    pl.Boolean(): bool,
    TIME: Annotated[datetime, msgspec.Meta(tz=True)],
}


class Unreadable(ValueError):
    """A record that is of no kind known here."""


class Kind(msgspec.Struct, frozen=True):
    """What records share that can be decoded together; all of them begin with `beginning`."""

    use_case: str
    table: str
    members: int
    beginning: bytes


class _Head(msgspec.Struct, array_like=True):
    """How every record begins: with its table, and then with its use case, if it is of one."""

    table: str
    second: msgspec.Raw


_head = msgspec.msgpack.Decoder(_Head).decode
_text = msgspec.msgpack.Decoder(str).decode
_encode = msgspec.msgpack.Encoder().encode


def kind_of(record: bytes) -> Kind:
    """The kind of an encoded record. Raises Unreadable."""
    try:
        head = _head(record)
        use_case = LOG if head.table == COMMITS else _text(head.second)
    except MALFORMED as error:
        raise Unreadable from error
    if record[0] == _LONG_ARRAY:
        size, members = 3, int.from_bytes(record[1:3], "big")
    else:
        size, members = 1, record[0] & _SHORT_ARRAY_MEMBERS
    beginning = record[:size] + _encode(head.table) + (b"" if head.table == COMMITS else bytes(head.second))
    if head.table not in TABLES or not record.startswith(beginning):
        raise Unreadable
    return Kind(use_case, head.table, members, beginning)


class Columns:
    """Makes frames of the records of one kind, predictions or labels. Raises Unreadable where the kind lacks members."""

    def __init__(self, kind: Kind, schema: InputSchema) -> None:
        fields = msgspec.structs.fields(_RECORDS[kind.table])
        known = kind.members - 1  # behind the table's name
        if known < sum(field.required for field in fields):
            raise Unreadable
        self._table = kind.table
        self._target = _SCHEMAS[kind.table](schema)
        self._filed = filing_date(schema) if kind.table == PREDICTIONS else None
        self._names = [column_of(field.name) for field in fields]
        self._defaults = [field.default for field in fields]
        self._features = _Features(features_dtype(schema))
        begin = (Literal[kind.table], Literal[kind.use_case])  # which are known, so that no record makes its own
        later = (msgspec.Raw,) * (known - len(fields))  # members that a later version added
        self._typed, self._untyped = (
            _decoder(tuple.__class_getitem__((*begin, *[_member_type(field, row) for field in fields[1:known]], *later)))
            for row in (self._features.typed, self._features.untyped)
        )

    def frame(self, records: Sequence[bytes], seqs: Sequence[int], spool_id: str) -> tuple[pl.DataFrame, list[int]]:
        """The rows of these records, and the numbers of those among them that cannot be read.

        A record with fewer members than are known now was written before they were: they have their defaults.
        """
        frames, unreadable = [], list[int]()
        for begin in range(0, len(records), _TOGETHER):
            part, numbers = records[begin : begin + _TOGETHER], seqs[begin : begin + _TOGETHER]
            try:
                frames.append(self._rows(part, numbers, typed=True))
            except MALFORMED:
                readable = [_is_readable(record, self._untyped) for record in part]
                frames.append(self._rows(list(compress(part, readable)), list(compress(numbers, readable)), typed=False))
                unreadable += [seq for seq, whole in zip(numbers, readable, strict=True) if not whole]
        filed = {} if self._filed is None else {"event_date": self._filed}
        rows = pl.concat(frames, rechunk=True).with_columns(spool_id=pl.lit(spool_id), **filed)
        return conform(rows, self._target, self._table), unreadable

    def _rows(self, records: Sequence[bytes], seqs: Sequence[int], *, typed: bool) -> pl.DataFrame:
        decode = self._typed if typed else self._untyped
        members = list(zip(*decode(_together(records)), strict=True))[1:] or [()] * len(self._names)
        members += [(default,) * len(records) for default in self._defaults[len(members) :]]
        columns = [
            self._features.series(values, typed=typed)
            if name == FEATURES
            else _series(name, values, self._target[name], name != "label")
            for name, values in zip(self._names, members, strict=False)
            if name in self._target
        ]
        return pl.DataFrame([*columns, pl.Series("seq", seqs, dtype=pl.Int64)])


class _Features:
    """The rows of an input schema as one column of structs. A value that is not of its field's type becomes null."""

    def __init__(self, dtype: pl.Struct) -> None:
        self._fields = list(pl.Schema(dtype.to_schema()).items())
        self.typed = _row([(name, _TYPES[kind] | None, None) for name, kind in self._fields])
        self.untyped = _row([(name, Any, None) for name, _ in self._fields])

    def series(self, rows: Sequence[Any], *, typed: bool) -> pl.Series:
        """The column of these rows, of one type; None is a row that could not be decoded when it was received."""
        present = [row is not None for row in rows]
        absent = (None,) * len(self._fields)
        values = list(map(astuple, rows)) if all(present) else [absent if row is None else astuple(row) for row in rows]
        columns = zip(*values, strict=True) if values else [()] * len(self._fields)
        struct = pl.DataFrame(
            [
                _series(name, _moments(column) if dtype == TIME else column, dtype, typed)
                for (name, dtype), column in zip(self._fields, columns, strict=True)
            ]
        ).to_struct(FEATURES)
        if all(present):
            return struct
        return pl.select(pl.when(pl.Series(present)).then(struct).alias(FEATURES)).to_series()


class Commits:
    """Makes frames of the records of commits."""

    def frame(self, records: Sequence[bytes], seqs: Sequence[int], spool_id: str) -> tuple[pl.DataFrame, list[int]]:
        """The rows of these records, which tell their slot themselves, and the numbers of those that cannot be read."""
        del spool_id
        try:
            return commits_frame(_commits(_together(records)), seqs), []
        except MALFORMED:
            readable = [_is_readable(record, _commits) for record in records]
        kept = commits_frame(_commits(_together(list(compress(records, readable)))), list(compress(seqs, readable)))
        return kept, [seq for seq, whole in zip(seqs, readable, strict=True) if not whole]


def _decoder(of: Any) -> Callable[[bytes], list[Any]]:
    decode: Callable[[bytes], list[Any]] = msgspec.msgpack.Decoder(list[of]).decode
    return decode


_commits = _decoder(CommitRecord)


def _row(fields: list[tuple[str, Any, None]]) -> Any:
    """What a row of features is decoded as; a field that a row lacks is null, one that the table lacks is left out."""
    return msgspec.defstruct("Row", fields, gc=False) | None


def _is_readable(record: bytes, decode: Callable[[bytes], list[Any]]) -> bool:
    try:
        decode(_together([record]))
    except MALFORMED:
        return False
    return True


def _together(encoded: Sequence[bytes]) -> bytes:
    """Several encoded values as one encoded array of them."""
    return b"".join([_ARRAY, len(encoded).to_bytes(4, "big"), *encoded])


def _member_type(field: msgspec.structs.FieldInfo, row: Any) -> Any:
    """What a member is decoded as: integers are those that a column can hold."""
    if field.name == FEATURES:
        return row
    if field.type is int:
        return Number
    return Number | None if field.type == int | None else field.type


def _series(name: str, values: Sequence[Any], dtype: pl.DataType, strict: bool) -> pl.Series:  # noqa: FBT001 - as Polars has it
    """A column of these values. Of those that are not of its type, strict is an error, and else they are null."""
    return _rows_of_numbers(name, values, dtype) if isinstance(dtype, pl.List) else pl.Series(name, values, dtype, strict=strict)


def _moments(values: Sequence[Any]) -> list[int | None]:
    """Times as the integers that their column holds; Polars would take each apart for itself."""
    return [(value - _EPOCH) // _MICROSECOND if isinstance(value, datetime) else None for value in values]


def _rows_of_numbers(name: str, values: Sequence[list[float] | None], dtype: pl.List) -> pl.Series:
    """A column of lists. Polars would make a series of each row; here all are of one length, so they are cut from one."""
    rows = [row for row in values if row is not None]
    lengths = set(map(len, rows))
    if len(lengths) != 1 or 0 in lengths:
        return pl.Series(name, values, dtype=dtype)
    [length] = lengths
    cut = pl.Series(name, list(chain.from_iterable(rows)), dtype=pl.Float64).reshape((-1, length)).cast(dtype)
    if len(rows) == len(values):
        return cut
    places = iter(range(len(rows)))
    return cut.gather(pl.Series([None if row is None else next(places) for row in values], dtype=pl.UInt32))
