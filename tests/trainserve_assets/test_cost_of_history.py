"""What a day costs to monitor depends on its rows: of what was logged before it nothing is read that is far from it."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest

import trainserve_assets.logged
from lake.delta import Table
from lake.home import Home
from lake.tables import LABELS, PREDICTIONS, TIME
from tests.parcel_log import LOG_FROM, answers, append_log, labels_by_entity, labels_of, parcels_sent, write_history
from tests.scenario import USE_CASE
from tests.window_figures import DAY, figure, table, update

NEW_DAY = LOG_FROM + timedelta(days=2)
NEW = datetime(2013, 7, 3, tzinfo=timezone.utc)
FAR = datetime(9999, 12, 31, tzinfo=timezone.utc)


def paths(home: Home, name: str) -> set[str]:
    """The files of a table."""
    return {*Table(home.lake, USE_CASE, name).files()["path"]}


def lose(home: Home, name: str, lost: set[str]) -> None:
    """Take away some files of a table: without them it cannot be read."""
    for path in lost:
        (Path(home.lake) / USE_CASE / name / path).unlink()
    with pytest.raises(FileNotFoundError):
        Table(home.lake, USE_CASE, name).scan().collect()


@pytest.mark.parametrize("told", [labels_of, labels_by_entity])
def test_a_new_day_is_computed_though_no_label_of_the_days_before_it_is_there_nor_what_they_were_about(
    home: Home, told: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    """One of its rows is of a client whose clock is far off. Of the day before the last span is read, which closes only now."""
    write_history(home.lake, days=30)
    for day in range(2):
        parcels = parcels_sent(LOG_FROM + timedelta(days=day), 1, seed=day)
        append_log(home.lake, answers(parcels), told(parcels), source=str(day))
    update(home)
    labels = paths(home, LABELS)
    parcels = parcels_sent(NEW_DAY, 1, per_day=20)
    is_lost = pl.col("parcel_id").str.ends_with("-7")
    logged = answers(parcels, event_time_utc=pl.when(is_lost).then(pl.lit(FAR, TIME)).otherwise("sent_at"))
    append_log(home.lake, logged, told(parcels), source="new")

    lose(home, PREDICTIONS, {path for path in paths(home, PREDICTIONS) if str(LOG_FROM) in path})
    lose(home, LABELS, labels)
    made = update(home)

    assert made.days == (NEW_DAY,)
    assert made.rows == 20 + 1, "and of the day before what is in its last span"
    assert figure(home, "labelled", start=NEW) == (20 if told is labels_of else 19)


def test_late_labels_of_a_day_are_computed_though_no_file_of_other_labels_is_there(home: Home) -> None:
    write_history(home.lake, days=30)
    files = []
    for day in range(3):
        parcels = parcels_sent(LOG_FROM + timedelta(days=day), 1, seed=day)
        append_log(home.lake, answers(parcels), labels_of(parcels.filter(pl.int_range(pl.len()) % 4 > 0)), source=str(day))
        update(home)
        files.append(paths(home, LABELS))
    late = parcels_sent(DAY.date(), 1, seed=1).gather_every(4)
    append_log(home.lake, labels=labels_of(late, received_at_utc=pl.lit(NEW + timedelta(days=30))), source="late")

    lose(home, LABELS, files[0] | (files[2] - files[1]))
    made = update(home)

    assert (made.days, made.rows) == ((DAY.date(),), 200)
    assert figure(home, "labelled") == 200


def test_a_day_is_the_same_in_however_many_pieces_it_is_read(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels by both names, some corrected, and rows in no order: the windows are the same bytes."""
    made = []
    for name, at_once in (("one", 10_000), ("many", 7)):
        monkeypatch.setattr(trainserve_assets.logged, "_AT_ONCE", at_once)
        home = Home.at(tmp_path / name)
        write_history(home.lake, days=30)
        parcels = parcels_sent(LOG_FROM, 2)
        half = pl.int_range(pl.len()) % 2 == 0
        append_log(home.lake, answers(parcels.reverse(), seq=pl.len() - pl.int_range(pl.len())), labels_of(parcels.filter(half)))
        append_log(home.lake, labels=labels_by_entity(parcels.filter(~half)), source="by entity")
        corrected = labels_of(parcels.gather_every(5), label=1 - pl.col("label"), observed_at_utc=pl.lit(None, TIME))
        append_log(home.lake, labels=corrected, source="corrected")
        update(home)
        made.append(table(home).scan().collect())

    assert made[0].filter(pl.col("metric") == "labelled")["value"].to_list() == [200.0, 200.0]
    one, many = (frame.write_ipc(None).getvalue() for frame in made)
    assert one == many
