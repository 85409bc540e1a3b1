"""The one decoder of rows, generated from an input schema: JSON records and Open Inference Protocol tensors.

A body that is right is decoded by msgspec alone, in C, with types made once from the schema. Only a body that is
wrong is walked again in Python, to name every problem with its path.
"""

from collections.abc import Iterable, Sequence
from datetime import MAXYEAR, MINYEAR, datetime, timezone
from operator import attrgetter
from typing import Annotated, Any

import msgspec

from lake.columns import ColumnRecords, Columns
from lake.errors import InvalidInput
from lake.explanation import MALFORMED, Explainer, is_kept
from lake.input_schema import InputSchema
from lake.protocol import LONGEST_ID, SCORE, Output
from lake.repetition import RecordQuotes
from lake.tensors import TensorReader

MAXIMUM_ROWS = 10_000


class Rows(msgspec.Struct, frozen=True):
    """A decoded request: its rows as records of the schema, the client's own id for it, and the tensors it wants, if any.

    Those that came in tensors are there as columns too, and no record is made of them before one is looked at.
    """

    records: Sequence[Any]
    client_request_id: str | None
    outputs: tuple[Output, ...] = ()
    columns: Columns | None = None

    @property
    def wants_scores_in_json(self) -> bool:
        """Whether an answer in the protocol is JSON alone, and has the scores."""
        return any(output.name == SCORE for output in self.outputs) and not any(output.binary for output in self.outputs)


class Decoder:
    """Decodes and validates the rows of one use case. Every refusal is an InvalidInput with all its problems."""

    def __init__(self, schema: InputSchema, maximum_rows: int = MAXIMUM_ROWS) -> None:
        self.schema = schema
        self.entity = schema.entity_reader()
        self._explainer = Explainer(schema, maximum_rows)
        self._quotes = RecordQuotes(schema)
        self._tensors = TensorReader(schema, self._explainer, maximum_rows)
        self._numbers = [attrgetter(field.name) for field in schema.fields if field.type == "number"]
        self._times = [attrgetter(field.name) for field in schema.fields if field.type == "timestamp"]
        types = {field.name: field.python_type() for field in schema.fields}
        required = [field.name for field in schema.fields if not field.nullable]
        nullable = [field.name for field in schema.fields if field.nullable]
        self._order = (*required, *nullable)
        self.record_type: type[msgspec.Struct] = msgspec.defstruct(
            "Record",
            [*((name, types[name]) for name in required), *((name, types[name], None) for name in nullable)],
            frozen=True,
            forbid_unknown_fields=True,
            omit_defaults=True,  # the log keeps no null: what a row lacks and what it leaves open are one
            gc=False,
        )
        records = Annotated[list[self.record_type], msgspec.Meta(min_length=1, max_length=maximum_rows)]  # type: ignore[name-defined]
        client_id = Annotated[str, msgspec.Meta(max_length=LONGEST_ID)] | None | msgspec.UnsetType
        request = msgspec.defstruct(
            "PredictRequest", [("records", records), ("id", client_id, msgspec.UNSET)], frozen=True, forbid_unknown_fields=True
        )
        self._records: msgspec.json.Decoder[Any] = msgspec.json.Decoder(request)

    def records(self, body: bytes) -> Rows:
        """Decode `{"records": [{...}, ...], "id": "..."}`."""
        try:
            request = self._records.decode(body)
        except MALFORMED as error:
            raise InvalidInput(self._explainer.body_of_records(body, error)) from error
        if repeated := self._quotes.find_repeated(body, request.records, request.id):
            raise InvalidInput(repeated)
        if not self._have_years(request.records):
            raise InvalidInput(self._explainer.body_of_records(body))
        return Rows(request.records, request.id if isinstance(request.id, str) else None)

    def tensors(self, body: bytes, json_length: str | None = None) -> Rows:
        """Decode an Open Inference Protocol request: one tensor of shape [rows] or [rows, 1] for each field.

        `json_length` is the header that says where the JSON of the body ends, for one with binary tensors behind it.
        """
        request = self._tensors.read(body, json_length)
        records = ColumnRecords(request.columns, self._order, self.record_type)
        return Rows(records, request.id, request.outputs, request.columns)

    def written(self, rows: Rows) -> bytes:
        """The rows as a body of records, whichever way they came."""
        return msgspec.json.encode({"records": list(rows.records)})

    def convert(self, rows: Iterable[dict[str, Any]]) -> list[Any]:
        """Records from plain rows, as batch scoring and parity checks have them, under the same rules, any number."""
        plain = list(rows)
        try:
            records = msgspec.convert(plain, list[self.record_type])  # type: ignore[name-defined]
        except msgspec.ValidationError as error:
            raise InvalidInput(self._explainer.rows(plain, error)) from error
        finite = all(is_kept(read(record)) for read in self._numbers for record in records)
        if not finite or not self._have_years(records):  # a frame has numbers that JSON cannot say
            raise InvalidInput(self._explainer.rows(plain))
        return records

    def _have_years(self, records: Sequence[Any]) -> bool:
        """Whether every time can be said in UTC."""
        for read in self._times:
            for time in map(read, records):
                if time is not None and not MINYEAR < time.year < MAXYEAR and not is_kept(time):
                    return False
        return True


def event_times_us(schema: InputSchema, records: Sequence[Any], arrival_us: int) -> list[int]:
    """When each row happened, in microseconds since 1970 UTC: its time field, else its arrival."""
    if schema.event_time is None:
        return [arrival_us] * len(records)
    times = (getattr(record, schema.event_time) for record in records)
    return [arrival_us if time is None else epoch_us(time) for time in times]


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def epoch_us(time: datetime) -> int:
    """Microseconds since 1970 UTC, exactly."""
    elapsed = time - _EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds
