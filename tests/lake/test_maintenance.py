"""What upkeep joins, removes and keeps: little stays, nothing in use goes, and no row is lost."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lake.delta import Table
from lake.delta_maintenance import configure
from lake.errors import NotFound
from lake.home import Home
from lake.log.log_key import LogKey, read_trusted_log
from lake.log.maintenance import FEWEST_SMALL_FILES, Done, Upkeep, append_maintenance, maintain
from lake.log.retirement import read_retirements
from lake.tables import MAINTENANCE
from tests.lake.maintained import NOW, UPKEEP, age, files, fill, numbers, rows, table, unused


def test_small_files_of_a_crowded_partition_are_joined_and_the_rows_are_the_same(home: Home) -> None:
    target = fill(home)
    before = target.scan().sort("seq").collect()

    done = maintain(target, UPKEEP, NOW, thorough=False)

    assert (done.joined_files, done.files, done.rows) == (2 * FEWEST_SMALL_FILES, 2, before.height)
    assert target.scan().sort("seq").collect().equals(before)
    assert sorted(target.files()["partition.event_date"]) == [date(2026, 3, 1), date(2026, 3, 2)]


def test_partitions_with_few_files_are_left_alone(home: Home) -> None:
    target = fill(home, FEWEST_SMALL_FILES - 1)
    configure(target, UPKEEP.properties)
    version = target.version()

    assert maintain(target, UPKEEP, NOW, thorough=True).joined_files == 0
    assert target.version() == version, "nothing to do makes no version"


def test_a_table_without_partitions_is_joined_too(home: Home) -> None:
    for number in range(FEWEST_SMALL_FILES):
        table(home).append_once(rows(number + 1, number + 1), "a")

    assert maintain(table(home), UPKEEP, NOW, thorough=False).files == 1
    assert numbers(table(home)) == list(range(1, FEWEST_SMALL_FILES + 1))


def test_a_full_file_of_a_table_without_partitions_stays_as_it_is_and_of_one_stretch(home: Home) -> None:
    """Joined with others again and again its rows would be mixed with theirs, and whoever looks for some would read all."""
    noise = np.random.default_rng(1).bytes(96 * 100_000).hex()
    texts = [noise[first : first + 192] for first in range(0, len(noise), 192)]
    table(home).append_once(rows(1, 100_000).drop("event_date").with_columns(text=pl.Series(texts)), "a")
    full = files(table(home))
    for number in range(FEWEST_SMALL_FILES):
        table(home).append_once(rows(100_001 + number, 100_001 + number).drop("event_date"), "a")

    assert maintain(table(home), UPKEEP, NOW, thorough=False).joined_files == FEWEST_SMALL_FILES

    assert table(home).files()["num_records"].sort().to_list() == [FEWEST_SMALL_FILES, 100_000]
    assert {Path(path) for path in table(home).open().file_uris()} & full == full
    assert numbers(table(home)) == [*range(1, 100_001 + FEWEST_SMALL_FILES)]


def test_a_source_goes_on_where_it_was_after_its_files_and_its_log_are_gone(home: Home) -> None:
    target = fill(home)
    unused(target)
    maintain(target, Upkeep(unused=timedelta(0)), NOW, thorough=True)
    age(target, 48)
    maintain(target, Upkeep(unused=timedelta(0)), NOW, thorough=True)

    assert table(home).append_once(rows(1, 2 * FEWEST_SMALL_FILES + 1), "a", ["event_date"]) == 1
    assert numbers(target) == list(range(1, 2 * FEWEST_SMALL_FILES + 2))


def test_log_entries_before_a_checkpoint_go_when_they_are_old(home: Home) -> None:
    target = fill(home)
    log = Path(target.uri) / "_delta_log"
    maintain(target, UPKEEP, NOW, thorough=False)
    assert len(list(log.glob("*.json"))) > FEWEST_SMALL_FILES, "they are young"
    age(target, 3)
    fill_more = rows(1001, 1002)
    table(home).append_once(fill_more, "b", ["event_date"])

    maintain(target, UPKEEP, NOW, thorough=False)

    assert len(list(log.glob("*.json"))) <= 3
    assert target.scan().collect().height == 2 * FEWEST_SMALL_FILES + 2


def test_the_log_of_a_table_with_cited_versions_is_kept_whole(home: Home) -> None:
    dataset = Upkeep(versions=True, unused=timedelta(0), cited=lambda: [1])
    target = table(home, "dataset")
    for number in range(1, 6):
        target.replace(rows(number, number), f"digest {number}")
    maintain(target, dataset, NOW, thorough=False)
    age(target, 24 * 365)

    done = maintain(target, dataset, NOW, thorough=True)

    assert done.removed_files == 3, "those of versions 0, 2 and 3"
    assert target.scan(1).collect()["seq"].to_list() == [2]
    assert numbers(target) == [5]
    with pytest.raises(OSError, match="No such file"):
        target.scan(2).collect()
    assert target.digest() == "digest 5", "so that the same rows are not written again"
    version = target.version()
    assert maintain(target, dataset, NOW, thorough=True).removed_files == 0
    assert target.version() == version, "what is gone is not removed once more"
    assert target.scan(1).collect()["seq"].to_list() == [2]


def test_nothing_is_removed_while_nobody_can_say_what_is_cited(home: Home) -> None:
    def unknown() -> list[int]:
        raise NotFound("document", "packages/f/manifest.json")

    target = table(home, "dataset")
    for number in range(1, 4):
        target.replace(rows(number, number), f"digest {number}")

    done = maintain(target, Upkeep(versions=True, unused=timedelta(0), cited=unknown), NOW, thorough=True)

    assert done.removed_files == 0
    assert "cannot be told which versions are cited: There is no document 'packages/f/manifest.json'" in done.left
    assert target.scan(0).collect()["seq"].to_list() == [1]


def test_rows_go_by_their_age_since_they_arrived_and_their_files_later(home: Home) -> None:
    target = table(home)
    for number, days_ago in enumerate((40, 31, 29, 0)):
        target.append_once(rows(2 * number + 1, 2 * number + 2, days_ago=days_ago), "a", ["event_date"])
    upkeep = Upkeep(arrival="received_at_utc", keep_days=30)

    assert maintain(target, upkeep, NOW, thorough=False).retired_rows == 0
    done = maintain(target, upkeep, NOW, thorough=True)

    assert (done.retired_rows, done.retired_before_utc) == (4, NOW - timedelta(days=30))
    assert numbers(target) == [5, 6, 7, 8]
    assert len(files(target)) == 8, "a reader may still need them"
    unused(target)
    assert maintain(target, Upkeep(unused=timedelta(0)), NOW, thorough=True).removed_files == 4
    assert len(files(target)) == 4


def test_rows_that_are_appended_while_old_ones_are_retired_stay(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    target = table(home)
    target.append_once(rows(1, 2, days_ago=40), "a", ["event_date"])
    open_table = Table.open
    waiting = [rows(3, 4)]

    def opened(self: Table, version: int | None = None) -> object:
        handle = open_table(self, version)
        if waiting:
            self.append_once(waiting.pop(), "a", ["event_date"])
        return handle

    monkeypatch.setattr(Table, "open", opened)

    assert target.delete_before("received_at_utc", NOW - timedelta(days=30)) == 2
    assert numbers(target) == [3, 4]


def test_a_legal_hold_keeps_rows_and_files_and_says_so(home: Home) -> None:
    target = table(home)
    target.append_once(rows(1, 2, days_ago=1000), "a", ["event_date"])
    upkeep = Upkeep(arrival="received_at_utc", keep_days=30, held=True, unused=timedelta(0))

    done = maintain(target, upkeep, NOW, thorough=True)

    assert (done.retired_rows, done.removed_files) == (0, 0)
    assert "legal hold" in done.left
    assert numbers(target) == [1, 2]


def test_what_was_done_is_kept_and_nothing_is_no_row(home: Home) -> None:
    kept = table(home, MAINTENANCE)
    key = LogKey.read_or_make(home.keys)
    assert list(read_retirements(kept, "log")) == []
    assert append_maintenance(kept, NOW, [Done(table="log", files=3)], key) == 0
    for at in (NOW, NOW, NOW + timedelta(days=1)):
        append_maintenance(kept, at, [Done(table="log", retired_rows=4, retired_before_utc=at), Done(table="other")], key)

    assert kept.scan().collect().height == 2
    later, first = read_retirements(kept, "log")
    assert (later.before_utc, first.before_utc) == (NOW + timedelta(days=1), NOW)
    assert {one.problem(read_trusted_log(home.keys)) for one in (later, first)} == {None}
    assert list(read_retirements(kept, "other")) == []


def test_files_that_no_commit_names_yet_may_be_a_writers(home: Home) -> None:
    """A writer makes its files first; what a killed one left goes when nobody can be about to commit it."""
    target = fill(home, 1)
    left = Path(target.uri) / "event_date=2026-03-01" / "part-of-a-commit-to-come.parquet"
    left.write_bytes(next(iter(files(target))).read_bytes())

    assert maintain(target, UPKEEP, NOW, thorough=True).removed_files == 0
    age(target, 3)
    assert maintain(target, UPKEEP, NOW, thorough=True).removed_files == 1
    assert not left.exists()
    assert numbers(target) == [1, 2]
