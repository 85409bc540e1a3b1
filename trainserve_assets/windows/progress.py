"""How far the windows are: what of the log they were computed from, so that an update reads only what is new."""

from datetime import date, datetime, timedelta

import msgspec
import polars as pl

from lake.delta import Table
from lake.documents import Document, DocumentStore, canonical, decoded
from lake.filing import filing_time
from lake.tables import TIME

_NAMED = {
    "request_id": pl.String(),
    "row": pl.Int64(),
    "entity_key_hash": pl.String(),
    "event_time_utc": TIME,
    "spool_id": pl.String(),
    "seq": pl.Int64(),
}
_DOCUMENT = "windows_progress.json"
_WEEK = timedelta(days=7)
_STRAY_SHARE = 0.01


class Progress(Document, frozen=True, kw_only=True):
    """What was read of the log. Lost, or older than the table, it costs work and no figure: all of them are looked for anew.

    `days` has the rows that each day had when its figures were computed, `stale` the days that labels touched since, `labels`
    the highest number of each slot whose labels were seen. Figures were computed, and spans closed, until these event times;
    `holdouts` are the packages whose holdout is there, `slices` the fields by which figures were computed.
    """

    days: dict[str, int] = msgspec.field(default_factory=dict)
    stale: tuple[str, ...] = ()
    labels: dict[str, int] = msgspec.field(default_factory=dict)
    figures_until_utc: datetime | None = None
    spans_until_utc: datetime | None = None
    holdouts: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    format_version: int = 1


def read_progress(store: DocumentStore, use_case: str) -> Progress:
    """How far the windows of a use case are; nowhere, before the first update."""
    found = store.find(f"{use_case}/{_DOCUMENT}")
    return Progress() if found is None else decoded(found, f"{use_case}/{_DOCUMENT}", Progress)


def write_progress(store: DocumentStore, use_case: str, progress: Progress) -> None:
    """Say how far they are, once the figures are written. Safe to run twice."""
    store.put(f"{use_case}/{_DOCUMENT}", canonical(progress))


def logged_days(predictions: Table) -> dict[date, int]:
    """How many rows the log has under each day, in order, as its table's own log says: no row is read.

    Days far ahead of all others with next to no rows are left out: a wrong clock says nothing of what day it is.
    """
    files = predictions.files() if predictions.exists() else pl.DataFrame()
    if files.is_empty():
        return {}
    day = pl.col("partition.event_date").cast(pl.String).str.to_date()
    counted = files.group_by(day.alias("day")).agg(pl.col("num_records").sum()).sort("day")
    return _without_strays({row["day"]: row["num_records"] for row in counted.iter_rows(named=True) if row["num_records"]})


def _without_strays(logged: dict[date, int]) -> dict[date, int]:
    """The days before the first gap of more than a week behind which there is less than a hundredth of a week's rows."""
    days, end, ahead = [*logged], len(logged), 0
    for position in range(len(days) - 1, 0, -1):
        ahead += logged[days[position]]
        before = sum(logged[day] for day in days[max(position - _WEEK.days, 0) : position])
        if days[position] - days[position - 1] > _WEEK and ahead < _STRAY_SHARE * before:
            end = position
    return {day: logged[day] for day in days[:end]}


def newest_event(predictions: Table, day: date) -> tuple[datetime, datetime]:
    """The latest event time of the rows under this day, and when it arrived first."""
    rows = predictions.scan_partitions("event_date", "=", day).select(event=filing_time(), arrived="received_at_utc")
    newest = rows.filter(pl.col("event") == pl.col("event").max()).select(pl.col("event").first(), pl.col("arrived").min())
    event, arrived = newest.collect().row(0)
    return event, arrived


def unseen(labels: Table, seen: dict[str, int]) -> pl.DataFrame:
    """The labels that came since: which predictions they name, and where they stand."""
    slot = pl.col("spool_id")
    later = [(slot == name) & (pl.col("seq") > number) for name, number in seen.items()]
    if not labels.exists():
        return pl.DataFrame(schema=_NAMED)
    return labels.scan().filter(pl.any_horizontal(~slot.is_in([*seen]), *later)).select([*_NAMED]).collect()


def days_of(predictions: pl.LazyFrame, labels: pl.DataFrame) -> set[date]:
    """The days of the predictions that these labels name, looked for only where they can be."""
    found: set[date] = set()
    for keys, first in ((["request_id", "row"], "request_id"), (["entity_key_hash", "event_time_utc"], "event_time_utc")):
        named = labels.filter(pl.all_horizontal(pl.col(name).is_not_null() for name in keys)).select(keys)
        if named.height:
            near = pl.col(first).is_between(pl.lit(named[first].min()), pl.lit(named[first].max()))
            rows = predictions.filter(near).join(named.lazy(), on=keys, how="semi")
            found |= set(rows.select(pl.col("event_date").unique()).collect().to_series())
    return found
