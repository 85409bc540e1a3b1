"""A use case with all that it may keep of one parcel: in the log, the spools, feedback, datasets, packages; and a look for it."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from lake.decoder import Decoder, epoch_us
from lake.home import Home
from lake.input_schema import InputSchema
from lake.log.group_commit import GroupCommit
from lake.log.log_key import LogKey
from lake.log.privacy import Privacy, Redactor
from lake.log.records import LabelRecord, PredictionRecord, encode_record
from lake.log.slot import Slot
from tests.scenario import label, parcel, parcel_schema, prediction, records_body

ERASED = "2013-04-01-17"
"""The parcel that is to be erased: one of those that the models of `tests.parcel_training` are trained on."""
OTHER = "2013-04-01-18"
ASKED_AT = "2013-06-05T09:30:00Z"
ENTITY = f'{{"parcel_id": "{ERASED}"}}'

Record = PredictionRecord | LabelRecord


class Parcels:
    """Makes records as a proxy logs them: hashed with the key of the home."""

    def __init__(self, home: Home, schema: InputSchema | None = None) -> None:
        self.schema = schema or parcel_schema()
        self._redactor = Redactor(self.schema, Privacy.read(home.keys / "privacy.key"))

    def key_hash(self, parcel_id: str) -> str:
        """How a parcel stands in rows."""
        key = self._redactor.key_hash(parcel_id)
        assert key is not None
        return key

    def asked(self, number: int, parcel_id: str, **changes: Any) -> PredictionRecord:
        """The answer of the `number`-th request, which was about this parcel."""
        at = datetime.fromisoformat(ASKED_AT)
        [row] = Decoder(self.schema).records(records_body(parcel(parcel_id=parcel_id, sent_at=at.isoformat()))).records
        facts: dict[str, Any] = {
            "event_time_us": epoch_us(at),
            "entity_key_hash": self.key_hash(parcel_id),
            "routing_key_hash": self.key_hash(parcel_id),
            "features": self._redactor.features(row),
        }
        return prediction(number, **(facts | changes))

    def about(self, number: int, parcel_id: str) -> LabelRecord:
        """A label that names the parcel and its time."""
        facts = {"entity_key_hash": self.key_hash(parcel_id), "event_time_us": epoch_us(datetime.fromisoformat(ASKED_AT))}
        return label(number, request_id=None, row=None, **facts)


def all_there_is(parcels: Parcels) -> list[list[Record]]:
    """Nine records about the parcel that is to be erased, among six about others, in seven group commits.

    It is asked about twice, once with a shadow; it stands in a request with another, in a refused body, in the features
    alone; labels name it by request, and by itself.
    """
    refused = b'{"records": [{"parcel_id": "%b", "weight_kg": -1}]}' % ERASED.encode()
    shadow = {"arm": "shadow", "role": "shadow", "purpose": "shadow"}
    nothing: dict[str, Any] = {"features": None, "entity_key_hash": None, "routing_key_hash": None}
    return [
        [parcels.asked(1, ERASED), parcels.asked(1, ERASED, **shadow), parcels.asked(2, OTHER)],
        [parcels.asked(3, OTHER), parcels.asked(3, ERASED, row=1, routing_key_hash=parcels.key_hash(OTHER))],
        [label(1), label(2)],
        [label(3, row=1), parcels.about(4, ERASED), parcels.about(5, OTHER)],
        [prediction(6, outcome="refused", status=400, raw=refused, **nothing)],
        [prediction(7, outcome="refused", status=400, raw=refused.replace(b"-17", b"-170"), **nothing)],
        [parcels.asked(8, ERASED, entity_key_hash=None, routing_key_hash=None), parcels.asked(9, OTHER), label(8)],
    ]


LOGGED, LOGGED_ABOUT_IT = 15, 9


def log(home: Home, groups: Sequence[Sequence[Record]]) -> None:
    """Have a worker log these groups, and end."""

    async def worked() -> None:
        worker = GroupCommit(Slot.lease(home.spools), LogKey.read_or_make(home.keys))
        for group in groups:
            await worker.append([encode_record(record) for record in group])
        await worker.close()

    asyncio.run(worked())


def traces(home: Home, *words: str) -> list[str]:
    """The files of the home and its lake that have one of these words: as bytes, or as a value of a Parquet file.

    A request to erase names its entity by hashes, on purpose, and is none.
    """
    found = []
    for path in sorted(path for path in home.root.rglob("*") if path.is_file()):
        if "erasure_requests" in path.parts or "dagster" in path.parts:
            continue
        content = path.read_bytes().decode("latin-1")
        if path.suffix == ".parquet":
            content += _values(path)
        found += [f"{path.relative_to(home.root)}: {word}" for word in words if word in content]
    return found


def _values(path: Path) -> str:
    return "\n".join(map(repr, pl.read_parquet(path, hive_partitioning=False).iter_rows()))


def now() -> datetime:
    """The moment, in UTC."""
    return datetime.now(timezone.utc)


def changed(record: Record, **changes: Any) -> Record:
    """The record with other members."""
    return msgspec.structs.replace(record, **changes)
