"""A replay lives through days as they were: the same windows each time, alerts that begin and end, and faults that are found."""

import shutil
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest

from lake.delta import Table
from lake.delta_maintenance import compact
from lake.tables import LABELS, PREDICTIONS, WINDOWS
from tests.replay.__main__ import BEGIN, END, write_page
from tests.replay.alerts import Alert, Book, Finding
from tests.replay.champion import FLIGHTS, Champion, release_champion
from tests.replay.days import A_DAY, Replay
from tests.replay.faults import Fault, Found, Search, column, doubling, outage
from tests.replay.report import Replayed, Report, markdown, shown

NEW_YEAR, JULY, NEXT_YEAR = date(2013, 1, 1), date(2013, 7, 1), date(2014, 1, 1)
A_WEEK = 7 * A_DAY
MAY, JUNE = date(2013, 6, 1), date(2013, 6, 30)
MIDNIGHT = datetime(2013, 7, 1, tzinfo=timezone.utc)


def windows(champion: Champion) -> pl.DataFrame:
    """The whole table, sorted: in which files its rows stand is no part of it."""
    table = Table(champion.home.lake, FLIGHTS, WINDOWS).scan().collect()
    return table.sort(table.columns)


def newest(champion: Champion) -> pl.DataFrame:
    """Of each figure of a year what is known at its end."""
    figure = ["span_start_utc", "span_end_utc", "arm", "metric", "slice"]
    return windows(champion).sort(*figure, "labels_as_of_utc", "n").unique(figure, keep="last", maintain_order=True)


def as_bytes(frame: pl.DataFrame) -> bytes:
    """Its rows on end, and so its strings: how they lay in memory is no part of them."""
    return frame.rechunk().write_ipc(None, compat_level=pl.CompatLevel.oldest()).getvalue()


def lived(root: Path, first: date, until: date, trained_until: date = MAY) -> Replay:
    replay = Replay(release_champion(root / "home", trained_until, first), first, until)
    replay.run(root, names=[])
    return replay


def join_files(champion: Champion) -> None:
    for name in (PREDICTIONS, LABELS, WINDOWS):
        assert compact(Table(champion.home.lake, FLIGHTS, name), 2) > 0


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_the_whole_year_replayed_twice_gives_the_same_windows_byte_for_byte(tmp_path: Path) -> None:
    released = release_champion(tmp_path / "released", MAY, NEW_YEAR)
    once, twice, weekly = (released.moved(shutil.copytree(tmp_path / "released", tmp_path / name)) for name in ("1", "2", "3"))

    def joined_each_month(now: datetime) -> None:
        if now.day <= 2:
            join_files(once)

    def joined_each_week_and_at_a_loss_each_quarter(now: datetime) -> None:
        if now.weekday() <= 1:
            join_files(twice)
        if now.day <= 2 and now.month in (4, 7, 10):
            (Path(twice.home.lake) / FLIGHTS / "windows_progress.json").unlink()

    for champion, commits, then in ((once, 1, joined_each_month), (twice, 2, joined_each_week_and_at_a_loss_each_quarter)):
        Replay(champion, NEW_YEAR, NEXT_YEAR, every=2 * A_DAY, commits=commits).run(tmp_path, names=[], then=then)
    seen = windows(once)
    assert seen.height > 500_000
    assert seen["span_start_utc"].dt.date().n_unique() == 365
    assert as_bytes(seen) == as_bytes(windows(twice)), "in which files rows stand, and what an update remembers, is all one"

    Replay(weekly, NEW_YEAR, NEXT_YEAR, every=A_WEEK).run(tmp_path, names=[])
    assert as_bytes(newest(once)) == as_bytes(newest(weekly)), "who updates more seldom knows the same in the end"


@pytest.mark.slow
def test_a_week_has_the_same_windows_twice_and_a_fault_in_it_is_found_within_its_time(tmp_path: Path) -> None:
    once = Replay(release_champion(tmp_path / "once" / "home", MAY, JULY), JULY, JULY + timedelta(days=5))
    once.run(tmp_path, mornings=[JULY + timedelta(days=3)], names=[])
    twice = lived(tmp_path / "twice", JULY, JULY + timedelta(days=5))
    assert as_bytes(windows(once.champion)) == as_bytes(windows(twice.champion))

    faults = [
        Fault("outage", outage, is_traffic=True),
        Fault("doubling", doubling, is_traffic=True),
        Fault("nulls", column("temperature_f", pl.lit(None))),
    ]
    found = {one.fault: one for one in Search(once.champion, []).run(once.mornings, faults)}

    assert found["outage"].checks == ("requests_come_as_usual",)
    assert "requests_come_once" in found["doubling"].checks
    assert all((found[name].minutes or 60) <= 10 for name in ("outage", "doubling"))
    assert "inputs_make_no_step" in found["nulls"].checks
    assert found["nulls"].minutes == 24 * 60


def finding(check: str = "calibration", about: str = "champion") -> Finding:
    return Finding(check=check, about=about, severity="error", reason="why")


def test_a_cause_is_one_alert_from_its_first_look_to_its_last() -> None:
    book = Book()
    for hour, found in enumerate(([finding()], [finding(), finding(about="challenger")], [], [finding()])):
        book.note(MIDNIGHT + timedelta(hours=hour), ["calibration"], found)
    book.note(MIDNIGHT + timedelta(hours=9), ["another"], [])

    spans = [(one.about, one.first.hour, one.last.hour) for one in book.alerts]
    assert spans == [("champion", 0, 1), ("challenger", 1, 1), ("champion", 3, 3)]


def alert(check: str, day: date, severity: str = "error") -> Alert:
    at = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
    return Alert(check=check, about="champion", severity=severity, first=at, last=at, reason="why")


def report(june: list[Alert], may: list[Alert], *faults: Found) -> Report:
    def replayed(trained_until: date, alerts: list[Alert]) -> Replayed:
        return Replayed(trained_until=trained_until, first=JULY, until=date(2013, 12, 30), alerts=tuple(alerts))

    return Report(replays=(replayed(JUNE, june), replayed(MAY, may)), faults=faults)


CALIBRATION = "answers_are_calibrated"
SOUND = (
    [alert(CALIBRATION, date(2013, 9, 3)), alert(CALIBRATION, date(2013, 12, 20))],
    [alert(CALIBRATION, date(2013, 7, 9))],
)


def failing(made: Report) -> list[str]:
    return [one.what for one in shown(made) if not one.holds]


def test_a_report_says_of_each_thing_that_must_be_shown_whether_it_was() -> None:
    june, may = SOUND
    found = Found(fault="outage", began=MIDNIGHT, minutes=10.0, checks=("requests_come_as_usual",), is_traffic=True)

    assert failing(report(june, may, found)) == []
    assert failing(report(june[:1], may)) == ["trained to June: an error of calibration in December"]
    early = alert("answers_beat_the_base_rate", date(2013, 8, 2))
    assert failing(report([*june, early], may)) == ["trained to June: no error on performance in July and August"]
    assert failing(report(june, [alert(CALIBRATION, date(2013, 7, 21))])) == [
        "trained to May: an error of calibration by 20 July"
    ]
    drift = alert("inputs_look_like_training", date(2013, 7, 2))
    assert failing(report(june, [*may, drift])) == ["trained to May: input drift is never above a warning"]
    weekly = [alert("requests_come_as_usual", date(2013, month, day)) for month in (7, 8, 9) for day in (1, 11)]
    assert failing(report([*june, *weekly], may)) == ["trained to June: traffic alerts at most 0.2 a week"]
    same = [alert("requests_come_as_usual", date(2013, 7, day)) for day in range(1, 31)]
    assert failing(report([*june, *same], may)) == [], "each within a day of the one before"


@pytest.mark.parametrize("minutes", [15.0, None])
def test_a_fault_of_traffic_that_is_found_late_or_not_at_all_does_not_hold(minutes: float | None) -> None:
    late = Found(fault="outage", began=MIDNIGHT, minutes=minutes, checks=(), is_traffic=True)

    assert failing(report(*SOUND, late)) == ["outage"]


def test_the_page_has_the_tables_between_its_marks_and_keeps_the_rest(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    made = report(*SOUND)

    write_page(made, page)
    write_page(made, page)

    assert page.read_text() == f"before\n{BEGIN}\n{markdown(made)}\n{END}\nafter\n"
    assert "| answers_are_calibrated, error | 2: 3 Sep to 3 Sep, 20 Dec to 20 Dec | 1: 9 Jul to 9 Jul |" in markdown(made)
