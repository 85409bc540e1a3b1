"""Bringing the table `windows` up to date: only what new predictions or labels touched is computed again."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

import msgspec
import polars as pl

from lake.delta import Table
from lake.documents import DocumentStore
from lake.errors import NotFound
from lake.filing import filing_time
from lake.input_schema import InputSchema
from lake.tables import LABELS, PREDICTIONS, WINDOWS
from trainserve_assets.logged import NO_ARM, Usual, read_day, with_losses
from trainserve_assets.windows.holdouts import holdout_windows
from trainserve_assets.windows.inputs import input_windows
from trainserve_assets.windows.metrics import (
    OF_PACKAGE,
    OF_PARAMETERS,
    class_windows,
    count_windows,
    day_windows,
    latency_windows,
    sorted_windows,
)
from trainserve_assets.windows.progress import (
    Progress,
    days_of,
    logged_days,
    newest_event,
    read_progress,
    unseen,
    write_progress,
)
from trainserve_assets.windows.reference import Reference, References
from trainserve_assets.windows.slices import slice_windows, sliced_fields
from trainserve_assets.windows.spans import span_columns, span_start, span_windows, spans_since
from trainserve_assets.windows.table import append_windows

_FIGURES = ("package_digest", "parameters_version", "scores", "answer", "features", "event_date")
_ARRIVAL = ("arm", "outcome", "received_at_utc", "latency_us")
_RESOLUTION = timedelta(microseconds=1)


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """What an update did: the days whose figures it computed, the rows that it read for them and for spans, and new figures.

    `without_reference` are packages that answered and that the lake does not hold.
    """

    days: tuple[date, ...]
    rows: int
    figures: int
    without_reference: tuple[str, ...] = ()


def update_windows(
    lake: str,
    schema: InputSchema,
    days_back: int,
    false_alarm_rate: float,
    slices: Sequence[str] = (),
    references: References | None = None,
) -> Update:
    """Append the figures of all days, at most `days_back` before the newest, about which more is known than before.

    The newest day is still open: its spans are written as they close, its other figures once for each hour of event time.
    What answers are judged by is also computed by each of the `slices`; where these are others than before, all days are computed
    anew. Else it costs what the rows of these days cost, however many there were before. Who updates again may hand in the
    `references` of the time before: they never change. Raises NotFound before the first prediction.
    """
    updating = _Updating(
        lake, schema, days_back, sliced_fields(schema, slices), references or References(DocumentStore(lake), schema)
    )
    return updating.run(false_alarm_rate)


class _Updating:
    def __init__(self, lake: str, schema: InputSchema, days_back: int, slices: tuple[str, ...], references: References) -> None:
        self._lake, self._schema, self._slices = lake, schema, slices
        self._predictions, labels, self._table = (Table(lake, schema.use_case, name) for name in (PREDICTIONS, LABELS, WINDOWS))
        logged = logged_days(self._predictions)
        if not logged:
            raise NotFound("logged prediction of", schema.use_case, "Send requests to the proxy, and let the shipper run.")
        self._open = max(logged)
        self._logged = {day: rows for day, rows in logged.items() if day > self._open - timedelta(days=days_back)}
        self._until, _ = newest_event(self._predictions, self._open)
        self._store = DocumentStore(lake)
        before = read_progress(self._store, schema.use_case) if self._table.exists() else Progress()
        self._before = before if before.slices == slices else Progress()
        self._labels = labels
        self._references = references
        self._known: dict[str, Reference | None] = {}
        self._holdouts = {*self._before.holdouts}

    def run(self, false_alarm_rate: float) -> Update:
        grown = [day for day, rows in self._logged.items() if self._before.days.get(day.isoformat()) != rows]
        computed_anyway = {*grown} - ({self._open} if self._same_hour() else set())
        others = self._predictions.scan().filter(~pl.col("event_date").is_in([*computed_anyway]))
        labels = unseen(self._labels, self._before.labels)
        seen = dict(labels.group_by("spool_id").agg(pl.col("seq").max()).iter_rows())
        labelled = {*map(date.fromisoformat, self._before.stale), *days_of(others, labels)}
        del labels  # of a busy day they are many, and none is needed any more
        touched = sorted({*grown, *(labelled & self._logged.keys())})
        days = [day for day in touched if not (day == self._open and day in grown and self._same_hour())]
        rows, parts = 0, list[pl.DataFrame]()
        for day in days:
            of_day = read_day(self._lake, self._schema, day, [*_FIGURES, *span_columns()]).with_columns(
                event_time_utc=filing_time()
            )
            rows += of_day.height
            parts += self._figures(of_day, false_alarm_rate)
            if day in grown:
                parts.append(span_windows(of_day, self._until))
        for day in self._only_spans(touched, days, grown):
            since = self._spans_of(day)
            rows += since.height
            parts.append(span_windows(since, self._until))
        if computed := [day for day in days if day in grown]:
            parts.append(self._latencies(computed))
        figures = append_windows(self._table, sorted_windows(parts)) if parts else 0
        self._remember(days, [day for day in labelled if day not in days], seen)
        without = tuple(sorted(digest for digest, found in self._known.items() if found is None))
        return Update(days=tuple(days), rows=rows, figures=figures, without_reference=without)

    def _same_hour(self) -> bool:
        until = self._before.figures_until_utc
        if until is None or self._open.isoformat() not in self._before.days:
            return False
        return self._until.replace(minute=0, second=0, microsecond=0) <= until

    def _figures(self, of_day: pl.DataFrame, false_alarm_rate: float) -> list[pl.DataFrame]:
        known = self._references_of(of_day["package_digest"].drop_nulls().unique().sort())
        usual = {digest: found.usual for digest, found in known.items()}
        rows = with_losses(of_day.lazy(), self._schema, usual).collect()
        return [
            day_windows(rows, self._schema),
            input_windows(rows, known, false_alarm_rate),
            class_windows(rows, self._schema),
            slice_windows(rows, self._schema, self._slices),
            count_windows(rows, OF_PACKAGE, "package_digest"),
            count_windows(rows, OF_PARAMETERS, "parameters_version"),
            *self._holdouts_of(usual),
        ]

    def _holdouts_of(self, usual: Mapping[str, Usual]) -> Iterator[pl.DataFrame]:
        """The holdout of each package that answered for the first time."""
        for digest, base in usual.items():
            if digest in self._holdouts:
                continue
            if (windows := holdout_windows(self._store, self._schema, digest, base, self._slices)) is not None:
                self._holdouts.add(digest)
                yield windows

    def _references_of(self, packages: pl.Series) -> Mapping[str, Reference]:
        for digest in packages:
            if digest not in self._known:
                self._known[digest] = self._references.of(digest)
        return {digest: found for digest in packages if (found := self._known[digest]) is not None}

    def _only_spans(self, touched: list[date], days: list[date], grown: list[date]) -> Iterator[date]:
        """Days of which nothing but spans is written: the open one within its hour, and the one that was open until now.

        The last span of that one closed with the first row of another day, and needs no row of its own.
        """
        if self._open in touched and self._open not in days:
            yield self._open
        was_open = None if self._before.spans_until_utc is None else self._before.spans_until_utc.date()
        if was_open in self._logged and was_open not in grown and was_open != self._open:
            yield was_open

    def _spans_of(self, day: date) -> pl.DataFrame:
        """The rows of such a day since the newest span that is written; of the open day one that comes later waits its hour."""
        of_day = self._predictions.scan_partitions("event_date", "=", day)
        return spans_since(of_day, self._before.spans_until_utc or self._until)

    def _latencies(self, days: list[date]) -> pl.DataFrame:
        """The latencies of all answers that arrived on the days on which those under these days did."""
        scan = self._predictions.scan()
        arrival = pl.col("received_at_utc")
        arrived = scan.filter(pl.col("event_date").is_in(days)).select(arrival.dt.truncate("1d").unique().sort()).collect()
        near = arrival.is_between(arrived.item(0, 0), arrived.item(-1, 0) + timedelta(days=1) - _RESOLUTION)
        rows = scan.filter(near, arrival.dt.truncate("1d").is_in(arrived.to_series().to_list())).select(_ARRIVAL)
        return latency_windows(rows.with_columns(pl.col("arm").fill_null(NO_ARM)).collect())

    def _remember(self, days: list[date], stale: list[date], seen: dict[str, int]) -> None:
        rows = {day.isoformat(): number for day, number in self._logged.items()}
        if self._open not in days:
            rows.pop(self._open.isoformat())
        kept = {day: number for day, number in self._before.days.items() if day not in rows and day == self._open.isoformat()}
        progress = Progress(
            days=rows | kept,
            stale=tuple(day.isoformat() for day in sorted(stale)),
            labels=self._before.labels | seen,
            figures_until_utc=self._until.replace(minute=0, second=0, microsecond=0),
            spans_until_utc=span_start(self._until),
            holdouts=tuple(sorted(self._holdouts)),
            slices=self._slices,
        )
        write_progress(self._store, self._schema.use_case, progress)
