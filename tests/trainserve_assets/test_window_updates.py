"""Bringing windows up to date: only what was touched is computed again, and each figure is kept as it was known."""

from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from lake.delta import Table
from lake.delta_maintenance import compact
from lake.home import Home
from lake.tables import LABELS, PREDICTIONS
from tests.parcel_log import CHALLENGER, CHAMPION, LOG_FROM, answers, append_log, labels_of, parcels_sent, write_history
from tests.scenario import USE_CASE
from tests.window_figures import DAY, figure, spans, table, update
from trainserve_assets.windows.update import Update

CARRIERS = pl.col("parcel_id").str.ends_with("7")


def test_spans_of_the_open_day_are_written_as_they_close_and_its_figures_once_an_hour(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 1, per_day=1_440)
    minutes = (pl.col("sent_at") - parcels["sent_at"][0]).dt.total_minutes()
    read = []
    for number, (first, last) in enumerate([(0, 63), (63, 70), (70, 118), (118, 125)]):
        append_log(home.lake, answers(parcels.filter(minutes.is_between(first, last, closed="left"))), source=str(number))
        read.append((update(home), len(spans(home, "rows"))))

    assert [one.days for one, _ in read] == [(LOG_FROM,), (), (), (LOG_FROM,)]
    assert [closed for _, closed in read] == [12, 13, 23, 24]
    assert [one.rows for one, _ in read] == [63, 10, 53, 125]
    assert set(spans(home, "rows").values()) == {5.0}


def test_the_last_span_of_a_day_is_written_though_no_row_of_that_day_came_since(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 2, per_day=1_440)
    minutes = (pl.col("sent_at") - parcels["sent_at"][0]).dt.total_minutes()
    append_log(home.lake, answers(parcels.filter(minutes < 1_440)), labels_of(parcels.filter(minutes < 10)), source="one day")
    update(home)
    assert len(spans(home, "rows")) == 287, "the last has not closed: for all that is known it goes on"

    append_log(home.lake, answers(parcels.filter(minutes.is_between(1_450, 1_459))), source="the next")
    last = update(home)

    assert list(spans(home, "rows").values()) == [5.0] * 289
    assert last.days == (LOG_FROM + timedelta(days=1),)
    assert last.rows == 10 + 5, "of the day before the newest span alone is read"


def test_labels_of_the_open_day_are_not_forgotten_until_its_figures_are_computed(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 2, per_day=1_440)
    minutes = (pl.col("sent_at") - parcels["sent_at"][0]).dt.total_minutes()
    first, then = parcels.filter(minutes < 63), parcels.filter(minutes.is_between(63, 68))
    append_log(home.lake, answers(first))
    update(home)
    append_log(home.lake, answers(then), labels_of(first, received_at_utc=pl.lit(DAY)), source="second")

    assert update(home).days == ()
    append_log(home.lake, answers(parcels.filter(minutes >= 2_000)), source="third")
    update(home)

    assert figure(home, "labelled", start=DAY - timedelta(days=1)) == 63


@pytest.mark.parametrize("slices", [(), ("depot", "carrier")], ids=["whole", "by slice"])
def test_what_becomes_of_the_log_afterwards_changes_no_window(home: Home, tmp_path: Path, slices: tuple[str, ...]) -> None:
    """Replayed into two lakes, of which one joins its files between the updates, the windows are the same bytes."""
    tables = []
    for name, joins in (("one", False), ("other", True)):
        home = Home.at(tmp_path / name)
        write_history(home.lake, days=30)
        for day in range(3):
            parcels = parcels_sent(LOG_FROM + timedelta(days=day), 1, seed=day)
            append_log(home.lake, answers(parcels), labels_of(parcels.filter(~CARRIERS)), source=f"{day}")
            append_log(home.lake, labels=labels_of(parcels.filter(CARRIERS)), source=f"late-{day}")
            if joins:
                for log in (PREDICTIONS, LABELS):
                    compact(Table(home.lake, USE_CASE, log), 2)
            update(home, slices=slices)
        tables.append(table(home).scan().collect())

    assert tables[0].height > 1_000
    assert tables[0].filter(pl.col("slice").str.contains("=")).is_empty() == (not slices)
    one, other = (frame.write_ipc(None).getvalue() for frame in tables)
    assert one == other


def test_running_twice_adds_nothing_and_computes_nothing(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 3)
    append_log(home.lake, answers(parcels), labels_of(parcels))

    first, second = update(home), update(home)

    assert first.figures > 0
    assert second == Update(days=(), rows=0, figures=0)


def test_late_labels_add_figures_with_a_later_knowledge_and_keep_the_earlier(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 3)
    append_log(home.lake, answers(parcels), labels_of(parcels.filter(~CARRIERS)))
    update(home)
    early = figure(home, "log_loss")

    late = labels_of(parcels.filter(CARRIERS), received_at_utc=pl.col("sent_at") + pl.duration(days=30))
    append_log(home.lake, labels=late, source="late")
    update(home)

    that_day = (pl.col("metric") == "log_loss") & (pl.col("span_start_utc") == DAY)
    kept = table(home).scan().filter(that_day).sort("labels_as_of_utc").collect()
    assert kept["n"].to_list() == [180, 200]
    assert kept["labels_as_of_utc"].is_sorted(descending=False)
    assert kept["value"][0] == early
    assert figure(home, "log_loss") == kept["value"][1] != early


def test_only_days_that_were_touched_are_computed_again(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 5)
    append_log(home.lake, answers(parcels), labels_of(parcels.filter(pl.col("sent_at") < DAY)))
    update(home)

    append_log(home.lake, labels=labels_of(parcels.filter(pl.col("sent_at").dt.date() == date(2013, 7, 3))), source="late")

    assert update(home).days == (date(2013, 7, 3),)


def test_days_beyond_the_horizon_are_left_as_they_are(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 5)
    append_log(home.lake, answers(parcels))

    assert update(home, days_back=2).days == (date(2013, 7, 4), date(2013, 7, 5))


def test_rows_that_arrive_later_in_a_day_add_figures_over_more_rows(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 3)
    packages = (CHAMPION, CHALLENGER)
    for source, (package, hour) in enumerate(zip(packages, (6, 12), strict=True)):
        part = parcels.filter(pl.col("sent_at").dt.hour().is_between(hour - 6, hour - 1))
        append_log(home.lake, answers(part, package_digest=pl.lit(package)), source=str(source))
        update(home)

    kept = table(home).scan().filter((pl.col("metric") == "rows") & (pl.col("span_start_utc") == DAY)).collect()
    days = kept.filter(pl.col("span_end_utc") - pl.col("span_start_utc") == timedelta(days=1)).sort("labels_as_of_utc")
    assert all(earlier < later for earlier, later in pairwise(days["n"]))
