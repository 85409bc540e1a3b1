"""Drops of labels for tests: frames as a data engineer would write them, and what became of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

import polars as pl

from lake.delta import Table
from lake.documents import DocumentStore
from lake.home import Home
from lake.input_schema import InputSchema, publish_input_schema
from lake.log.audit import Audit, Counts, Scope
from lake.log.deliveries import Delivered, Deliveries
from lake.log.delivery import Deliverer, drop_folder
from lake.log.privacy import Privacy, Redactor
from lake.tables import LABELS, REJECTED_LABELS
from tests.scenario import USE_CASE, parcel_schema

OBSERVED = datetime(2013, 7, 2, tzinfo=timezone.utc)


def request(number: int) -> str:
    """The id of the `number`-th request, as `tests.scenario.prediction` has it."""
    return f"00000000-0000-7000-8000-{number:012}"


def by_request(*labels: object, first: int = 1, observed: bool = True) -> pl.DataFrame:
    """Labels about as many requests, from the first on, each observed an hour after the last."""
    rows = pl.DataFrame({"request_id": [request(first + number) for number in range(len(labels))], "label": labels})
    times = [OBSERVED + timedelta(hours=first + number) for number in range(len(labels))]
    return rows.with_columns(observed_at=pl.Series(times)) if observed else rows


def drops(home: Home, use_case: str = USE_CASE) -> Path:
    """The folder where drops are put."""
    folder = Path(home.lake) / use_case / "label_drops"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def put(home: Home, frame: pl.DataFrame, name: str = "july.parquet") -> None:
    """Put a file there as a careful writer does: whole, by renaming it."""
    staged = drops(home) / "_july"
    frame.write_parquet(staged)
    (drops(home) / name).parent.mkdir(parents=True, exist_ok=True)
    staged.rename(drops(home) / name)


def deliverer(home: Home, schema: InputSchema | None = None, address: str = "") -> Deliverer:
    """What delivers the drops of parcels in this home."""
    store = DocumentStore(home.lake)
    schema = schema or parcel_schema()
    publish_input_schema(store, schema)
    return Deliverer(home, drop_folder(home, schema.use_case, address), Redactor(schema, Privacy.open(home.keys, store)))


def delivered(home: Home, schema: InputSchema | None = None, address: str = "") -> list[Delivered]:
    """Deliver what is pending, as the asset does."""
    one = deliverer(home, schema, address)
    one.settle()
    pending = Deliveries(home.lake, USE_CASE).pending(drop_folder(home, USE_CASE, address).drops())
    return [one.deliver(drop).delivered for drop in pending]


def labels(home: Home) -> list[tuple[str, float]]:
    """The labels in the table, in the order in which they were appended: request and label."""
    table = Table(home.lake, USE_CASE, LABELS)
    return list(table.scan().sort("seq").select("request_id", "label").collect().iter_rows()) if table.exists() else []


def rejected(home: Home) -> pl.DataFrame:
    """The rejected rows, by drop and version, in the order in which they were rejected."""
    table = Table(home.lake, USE_CASE, REJECTED_LABELS)
    return table.scan().sort("drop", "version", "seq").collect()


def said(*values: float, first: int = 1) -> Sequence[tuple[str, float]]:
    """What `labels` gives for as many requests, from the first on."""
    return [(request(first + number), value) for number, value in enumerate(values)]


def audited(home: Home) -> Counts:
    """What an audit of the log, which finds nothing, has seen."""
    audit = Audit(home, Scope())
    assert list(audit.findings()) == []
    return audit.counts
