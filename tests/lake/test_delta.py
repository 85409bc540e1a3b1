"""The only door to Delta: each verb may run twice, and a source's rows arrive exactly once whatever comes between."""

import os
import threading
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

import deltalake
import polars as pl
import pytest
from deltalake.exceptions import CommitFailedError
from polars.testing import assert_frame_equal

import lake.delta
import lake.delta_log
from lake.delta import Table
from lake.delta_maintenance import checkpoint
from lake.errors import NotFound, Unavailable
from lake.home import Home
from tests.scenario import USE_CASE


def table(home: Home) -> Table:
    """A table of the use case."""
    return Table(home.lake, USE_CASE, "log")


def numbered(first: int, last: int, **columns: Any) -> pl.DataFrame:
    """The rows of one source from one sequence number to another."""
    seqs = list(range(first, last + 1))
    return pl.DataFrame({"seq": seqs, "value": [f"v{seq}" for seq in seqs]}).with_columns(**columns)


def seqs(home: Home) -> list[int]:
    """The sequence numbers in the table, sorted."""
    return table(home).scan().collect()["seq"].sort().to_list()


def appended(target: Table, frame: pl.DataFrame, source: str) -> None:
    """Have all rows of a frame appended by a competitor."""
    assert target.append_once(frame, source) == frame.height


def before_the_commit(monkeypatch: pytest.MonkeyPatch, *interruptions: Callable[[], None]) -> None:
    """Let something happen just before each of the next commits, in order."""
    waiting = list(interruptions)

    def interrupted(*arguments: Any, **options: Any) -> None:
        if waiting:
            waiting.pop(0)()
        deltalake.write_deltalake(*arguments, **options)

    monkeypatch.setattr(lake.delta, "write_deltalake", interrupted)


def test_before_the_first_rows_there_is_no_table(home: Home) -> None:
    missing = table(home)

    assert not missing.exists()
    assert missing.version() is None
    assert missing.digest() is None
    with pytest.raises(NotFound, match=r"no table 'late_parcel/log'.*appears with its first rows"):
        missing.scan()


def test_a_folder_that_is_no_readable_table_is_named(home: Home) -> None:
    table(home).append_once(numbered(1, 1), "a")
    (Path(home.lake) / USE_CASE / "log" / "_delta_log" / f"{0:020}.json").write_text("garbage")

    with pytest.raises(Unavailable, match="table late_parcel/log"):
        table(home).scan()


def test_rows_of_a_source_are_appended_once(home: Home) -> None:
    assert table(home).append_once(numbered(1, 3), "a") == 3
    assert table(home).append_once(numbered(1, 3), "a") == 0
    assert table(home).append_once(numbered(2, 5), "a") == 2
    assert table(home).append_once(numbered(4, 5), "a") == 0

    assert seqs(home) == [1, 2, 3, 4, 5]


def test_sources_do_not_know_each_other(home: Home) -> None:
    table(home).append_once(numbered(1, 3), "a")

    assert table(home).append_once(numbered(1, 2), "b") == 2
    assert seqs(home) == [1, 1, 2, 2, 3]


def test_no_rows_make_no_table(home: Home) -> None:
    assert table(home).append_once(numbered(1, 0), "a") == 0
    assert not table(home).exists()


def test_the_same_rows_committed_by_another_in_between_are_not_doubled(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The competitor has read the same segments: it is a second shipper, or the first one's former life."""
    table(home).append_once(numbered(1, 2), "a")
    competitor: list[int] = []
    before_the_commit(monkeypatch, lambda: competitor.append(table(home).append_once(numbered(3, 4), "a")))

    assert table(home).append_once(numbered(3, 6), "a") == 2
    assert competitor == [2]
    assert seqs(home) == [1, 2, 3, 4, 5, 6]


def test_everything_committed_by_another_in_between_leaves_nothing_to_do(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    before_the_commit(monkeypatch, lambda: None, lambda: appended(table(home), numbered(1, 6), "a"))

    assert table(home).append_once(numbered(1, 4), "a") == 0
    assert seqs(home) == [1, 2, 3, 4, 5, 6]


def test_a_table_that_another_makes_in_between_is_used(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    before_the_commit(monkeypatch, lambda: appended(table(home), numbered(1, 2), "b"))

    assert table(home).append_once(numbered(1, 3), "a") == 3
    assert seqs(home) == [1, 1, 2, 2, 3]


def test_a_commit_is_on_disk_when_it_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """delta-rs syncs nothing: the first commit of a source syncs the disk, each later one the files that it made."""
    root = Path(home.lake) / USE_CASE / "log"
    synced: list[Path] = []
    whole_disk: list[bool] = []
    monkeypatch.setattr(lake.delta_log, "sync_file", synced.append)
    monkeypatch.setattr(lake.delta_log, "sync_folder", synced.append)
    monkeypatch.setattr(os, "sync", lambda: whole_disk.append(True))
    day = pl.lit("2013-07-01")

    table(home).append_once(numbered(1, 2, day=day), "a", ["day"])
    assert whole_disk == [True]
    before = {path for path in root.rglob("*") if path.is_file()}
    table(home).append_once(numbered(3, 4, day=day), "a", ["day"])

    made = {path for path in root.rglob("*") if path.is_file()} - before
    assert len(made) == 2, "one data file and one log entry"
    assert {*made, *(path.parent for path in made)} <= set(synced)
    assert whole_disk == [True]


def test_another_source_in_between_is_no_conflict(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    table(home).append_once(numbered(1, 1), "a")
    before_the_commit(monkeypatch, lambda: appended(table(home), numbered(1, 2), "b"))

    assert table(home).append_once(numbered(2, 3), "a") == 2
    assert seqs(home) == [1, 1, 2, 2, 3]


def test_a_commit_that_fails_after_it_was_made_is_not_repeated(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def made_but_not_told(*arguments: Any, **options: Any) -> None:
        deltalake.write_deltalake(*arguments, **options)
        monkeypatch.setattr(lake.delta, "write_deltalake", deltalake.write_deltalake)
        raise OSError("the connection broke off")

    table(home).append_once(numbered(1, 1), "a")
    monkeypatch.setattr(lake.delta, "write_deltalake", made_but_not_told)

    table(home).append_once(numbered(2, 3), "a")

    assert seqs(home) == [1, 2, 3]


def test_a_life_that_ended_between_commit_and_removal_is_taken_up_without_doubling(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    table(home).append_once(numbered(1, 1), "a")
    with monkeypatch.context() as dying:
        dying.setattr(Table, "_sync_commits_after", killed)
        with pytest.raises(KeyboardInterrupt):
            table(home).append_once(numbered(2, 3), "a")

    assert table(home).append_once(numbered(2, 4), "a") == 1
    assert seqs(home) == [1, 2, 3, 4]


def test_a_table_that_refuses_every_commit_is_unavailable(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise CommitFailedError("too many writers")

    table(home).append_once(numbered(1, 1), "a")
    monkeypatch.setattr(lake.delta, "write_deltalake", refused)

    with pytest.raises(Unavailable, match="5 commits failed, the last with: too many writers"):
        table(home).append_once(numbered(2, 3), "a")
    assert seqs(home) == [1]


def test_many_sources_that_make_the_table_together_lose_and_double_nothing(home: Home) -> None:
    sources = ["a", "b", "c", "d"]
    start = threading.Barrier(len(sources))
    failures: list[Exception] = []

    def append(source: str) -> None:
        try:
            start.wait()
            for first in (1, 3, 3, 5):
                table(home).append_once(numbered(first, first + 1, source=pl.lit(source)), source)
        except Exception as error:  # noqa: BLE001 - a thread's failure has to reach the test
            failures.append(error)

    threads = [threading.Thread(target=append, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures
    rows = table(home).scan().collect()
    assert sorted(rows.select("source", "seq").rows()) == [(source, seq) for source in sources for seq in range(1, 7)]


def test_a_checkpoint_whose_writer_has_not_yet_pointed_to_it_holds_up_no_other(home: Home) -> None:
    table(home).append_once(numbered(1, 2), "a")
    checkpoint(table(home))
    pointer = Path(table(home).uri) / "_delta_log" / "_last_checkpoint"
    pointer.unlink()

    assert table(home).append_once(numbered(3, 4), "a") == 2
    assert not pointer.exists()


def test_a_column_that_appears_later_is_null_in_older_rows(home: Home) -> None:
    table(home).append_once(numbered(1, 2, features=pl.struct(a=pl.lit(1.0))), "a")
    table(home).append_once(numbered(3, 3, features=pl.struct(a=pl.lit(2.0), b=pl.lit("x")), rule=pl.lit("limit")), "a")

    rows = table(home).scan().sort("seq").collect()
    assert rows["rule"].to_list() == [None, None, "limit"]
    assert rows["features"].to_list() == [{"a": 1.0, "b": None}, {"a": 1.0, "b": None}, {"a": 2.0, "b": "x"}]


def test_rows_of_an_older_schema_still_fit_a_grown_table(home: Home) -> None:
    table(home).append_once(numbered(1, 1, features=pl.struct(a=pl.lit(2.0), b=pl.lit("x")), rule=pl.lit("limit")), "new")

    assert table(home).append_once(numbered(1, 2, features=pl.struct(a=pl.lit(1.0))), "old") == 2
    assert table(home).scan().filter(pl.col("rule").is_null()).collect()["features"].to_list() == [{"a": 1.0, "b": None}] * 2


def test_a_table_is_partitioned_as_its_first_rows_asked(home: Home) -> None:
    day = pl.lit(datetime(2013, 7, 1, tzinfo=timezone.utc).date())
    for first in (1, 3):
        table(home).append_once(numbered(first, first + 1, event_date=day), "a", ["event_date"])

    assert (Path(home.lake) / USE_CASE / "log" / "event_date=2013-07-01").is_dir()
    assert seqs(home) == [1, 2, 3, 4]


DAY = date(2013, 7, 2)


@pytest.mark.parametrize(
    ("comparison", "value", "holds"),
    [
        ("=", DAY, pl.col("day") == DAY),
        (">", DAY, pl.col("day") > DAY),
        (">=", DAY, pl.col("day") >= DAY),
        ("=", date(2014, 1, 1), pl.col("day") > date(2013, 12, 31)),
    ],
)
def test_rows_of_some_partitions_are_those_of_all_rows_the_oldest_first(
    home: Home, comparison: Literal["=", ">", ">="], value: date, holds: pl.Expr
) -> None:
    for number, days in enumerate((-1, 0, 0, 1, -1)):
        rows = numbered(3 * number, 3 * number + 2, day=pl.lit(DAY + timedelta(days=days)), features=pl.struct(a="seq"))
        if number > 1:  # its schema has grown
            rows = rows.with_columns(late=pl.lit(1.5), features=pl.struct(a="seq", b="value"))
        assert table(home).append_once(rows, "A", partition_by=["day"]) == 3

    found = table(home).scan_partitions("day", comparison, value).collect()

    assert_frame_equal(found, table(home).scan().filter(holds).sort("seq").collect())


def test_a_slice_of_some_partitions_is_read_as_a_slice(home: Home) -> None:
    for first, last in ((1, 9), (10, 11)):
        table(home).append_once(numbered(first, last, day=pl.lit(DAY)), "A", partition_by=["day"])

    newest = table(home).scan_partitions("day", "=", DAY).tail(3)

    assert newest.collect()["seq"].to_list() == [9, 10, 11]
    plan = newest.explain()
    assert plan.startswith("Parquet SCAN"), plan
    assert "SLICE" in plan
    assert "SELECTION" not in plan


def test_replacing_makes_the_table_hold_just_the_frame(home: Home) -> None:
    table(home).replace(numbered(1, 3), "one")
    version = table(home).replace(numbered(5, 6, more=pl.lit(1)), "two", {"why": "new day"})

    assert seqs(home) == [5, 6]
    assert (table(home).version(), table(home).digest()) == (version, "two")
    assert table(home).open().history(1)[0]["why"] == "new day"


def test_replacing_with_what_is_there_writes_nothing(home: Home) -> None:
    first = table(home).replace(numbered(1, 3), "one")

    assert table(home).replace(numbered(1, 3), "one") == first
    assert table(home).version() == first


def test_replacing_goes_back_to_what_was_there_before(home: Home) -> None:
    table(home).replace(numbered(1, 3), "one")
    table(home).replace(numbered(4, 5), "two")
    table(home).replace(numbered(1, 3), "one")

    assert seqs(home) == [1, 2, 3]


def test_what_was_appended_since_is_replaced_too(home: Home) -> None:
    table(home).replace(numbered(1, 3), "one")
    table(home).append_new(numbered(9, 9), ["seq"])
    table(home).replace(numbered(1, 3), "one")

    assert seqs(home) == [1, 2, 3]


def test_a_compacted_table_still_holds_what_it_was_replaced_with(home: Home) -> None:
    version = table(home).replace(numbered(1, 3), "one")
    table(home).open().optimize.z_order(["seq"])

    assert table(home).version() == version + 1
    assert table(home).digest() == "one"
    assert table(home).replace(numbered(1, 3), "one") == version + 1


def test_an_older_version_can_still_be_read(home: Home) -> None:
    first = table(home).replace(numbered(1, 3), "one")
    table(home).replace(numbered(4, 4), "two")

    assert table(home).scan(first).collect().height == 3


def test_only_rows_with_a_new_key_are_appended(home: Home) -> None:
    assert table(home).append_new(numbered(1, 2), ["seq", "value"]) == 2
    assert table(home).append_new(numbered(1, 3), ["seq", "value"]) == 1
    assert table(home).append_new(numbered(1, 3), ["seq", "value"]) == 0

    assert seqs(home) == [1, 2, 3]


def test_a_key_that_stands_twice_in_a_frame_is_appended_once(home: Home) -> None:
    twice = pl.concat([numbered(1, 2), numbered(2, 2)])

    assert table(home).append_new(twice, ["seq"]) == 2
    assert table(home).append_new(pl.concat([twice, numbered(3, 3), numbered(3, 3)]), ["seq"]) == 1
    assert seqs(home) == [1, 2, 3]


def test_a_null_in_a_key_is_a_value_like_others(home: Home) -> None:
    frame = pl.DataFrame({"arm": [None, "a"], "value": [1.0, 2.0]}, schema={"arm": pl.String, "value": pl.Float64})

    assert [table(home).append_new(frame, ["arm"]) for _ in range(2)] == [2, 0]


def test_a_shared_handle_is_what_makes_append_once_safe(home: Home) -> None:
    """Pins delta-rs: a transaction number is compared on the handle that is held, and on no other."""
    table(home).append_once(numbered(1, 2), "a")
    stale = table(home).open()
    table(home).append_once(numbered(3, 4), "a")
    properties = deltalake.CommitProperties(app_transactions=[deltalake.Transaction("a", 4)])

    with pytest.raises(deltalake.exceptions.DeltaError):
        deltalake.write_deltalake(stale, numbered(3, 4), mode="append", commit_properties=properties)
    assert seqs(home) == [1, 2, 3, 4]
    deltalake.write_deltalake(table(home).uri, numbered(3, 4), mode="append", commit_properties=properties)
    assert seqs(home) == [1, 2, 3, 3, 4, 4], "given a path, the same transaction is written twice: never do that"
