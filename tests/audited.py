"""A log that is audited: how it comes about, how anybody edits its tables, and what an audit says."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
from deltalake import write_deltalake

from lake.delta import Table
from lake.documents import DocumentStore
from lake.home import Home
from lake.input_schema import publish_input_schema
from lake.log.audit import Audit, Counts, Scope
from lake.log.group_commit import GroupCommit
from lake.log.log_key import LogKey
from lake.log.records import LabelRecord, PredictionRecord, encode_record
from lake.log.shipper import Shipper
from lake.log.slot import Slot
from lake.tables import COMMITS, LOG
from tests.scenario import USE_CASE, parcel_schema

Record = PredictionRecord | LabelRecord
Groups = Sequence[Sequence[Record]]


def log(home: Home, *slots_of_groups: Groups, ship: bool = True) -> None:
    """Workers that each log some groups of records, side by side; and the shipper, once."""

    async def worked() -> None:
        workers = [GroupCommit(Slot.lease(home.spools), LogKey.read_or_make(home.keys)) for _ in slots_of_groups]
        for worker, groups in zip(workers, slots_of_groups, strict=True):
            for group in groups:
                await worker.append([encode_record(record) for record in group])
        for worker in workers:
            await worker.close()

    publish_input_schema(DocumentStore(home.lake), parcel_schema())
    asyncio.run(worked())
    if ship:
        Shipper(home).ship()


def findings(home: Home, **scope: Any) -> list[str]:
    """What an audit says."""
    return list(Audit(home, Scope(**scope)).findings())


def counts(home: Home, **scope: Any) -> Counts:
    """What an audit that finds nothing has seen."""
    audit = Audit(home, Scope(**scope))
    assert list(audit.findings()) == []
    return audit.counts


def table(home: Home, name: str) -> Table:
    """A table of the log."""
    return Table(home.lake, LOG if name == COMMITS else USE_CASE, name)


def rewrite(home: Home, name: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Edit a table as anybody can who may write to the lake: its history and its high marks stay."""
    rows = table(home, name).scan().collect()
    write_deltalake(table(home, name).open(), change(rows), mode="overwrite")


def row_of(number: int) -> pl.Expr:
    """The rows of the `number`-th request."""
    return pl.col("request_id") == f"00000000-0000-7000-8000-{number:012}"
