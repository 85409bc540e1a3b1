"""Maintenance beside whoever writes and reads: no row is lost or doubled, nothing in use goes, and little stays."""

import os
import threading
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import lake.log.maintenance
from lake.delta import Table
from lake.delta_maintenance import compact, configure
from lake.documents import DocumentStore
from lake.errors import Conflict, NotFound
from lake.home import Home
from lake.input_schema import Field, publish_input_schema
from lake.log.log_key import LogKey, read_trusted_log
from lake.log.maintenance import FEWEST_SMALL_FILES, Done, Upkeep, append_maintenance, maintain
from lake.log.records import PredictionRecord, encode_record
from lake.log.retirement import read_retirements
from lake.log.shipper import Shipper
from lake.log.slot import Slot
from lake.tables import MAINTENANCE, PREDICTIONS, features_dtype
from tests.scenario import USE_CASE, parcel, parcel_schema, prediction

NOW = datetime(2026, 3, 6, 12, tzinfo=timezone.utc)
UPKEEP = Upkeep()


def table(home: Home, name: str = "log") -> Table:
    return Table(home.lake, USE_CASE, name)


def rows(first: int, last: int, *, days_ago: int = 0, source: str = "a") -> pl.DataFrame:
    """Rows of one source with these numbers, which arrived so many days ago, on two days of event time."""
    return pl.DataFrame({"seq": range(first, last + 1)}).with_columns(
        source=pl.lit(source),
        received_at_utc=pl.lit(NOW - timedelta(days=days_ago), pl.Datetime("us", "UTC")),
        event_date=pl.date(2026, 3, 1 + pl.col("seq") % 2),
    )


def fill(home: Home, commits: int = FEWEST_SMALL_FILES) -> Table:
    """A table with two files for each commit, one on each day of event time."""
    for number in range(commits):
        table(home).append_once(rows(2 * number + 1, 2 * number + 2), "a", ["event_date"])
    return table(home)


def numbers(target: Table) -> list[int]:
    return target.scan().collect()["seq"].sort().to_list()


def files(target: Table) -> set[Path]:
    """The data files that stand in the table's folder."""
    return set(Path(target.uri).rglob("*.parquet")) - set((Path(target.uri) / "_delta_log").iterdir())


def age(target: Table, hours: float) -> None:
    """Let all that stands in the table's folder be older."""
    for path in Path(target.uri).rglob("*"):
        if path.is_file():
            at = path.stat().st_mtime - hours * 3600
            os.utime(path, (at, at))


def unused(target: Table) -> None:
    """Let files be removed as soon as they are without use, as they are when hours have gone by."""
    configure(target, {"delta.deletedFileRetentionDuration": "interval 0 hours"})


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


def test_a_reader_goes_on_with_what_it_opened_while_its_files_are_joined_and_old_ones_removed(home: Home) -> None:
    target = fill(home)
    scan = target.scan()
    orphan = Path(target.uri) / "event_date=2026-03-01" / "left-by-a-killed-writer.parquet"
    orphan.write_bytes(next(iter(files(target))).read_bytes())
    os.utime(orphan, (0, 0))

    done = maintain(target, UPKEEP, NOW, thorough=True)

    assert (done.joined_files, done.removed_files) == (2 * FEWEST_SMALL_FILES, 1)
    assert scan.collect()["seq"].sort().to_list() == list(range(1, 2 * FEWEST_SMALL_FILES + 1))


def test_a_file_is_removed_only_after_the_time_that_a_reader_may_take(home: Home) -> None:
    target = fill(home)
    scan = target.scan()
    maintain(target, UPKEEP, NOW, thorough=True)
    unused(target)

    assert maintain(target, Upkeep(unused=timedelta(0)), NOW, thorough=True).removed_files == 2 * FEWEST_SMALL_FILES
    with pytest.raises(OSError, match="No such file"):
        scan.collect()
    assert numbers(target) == list(range(1, 2 * FEWEST_SMALL_FILES + 1))


def test_what_is_rewritten_is_on_disk_before_the_next_step(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    target = fill(home)
    before = {path for path in Path(target.uri).rglob("*") if path.is_file()}
    synced: list[Path] = []
    monkeypatch.setattr("lake.delta_log.sync_file", synced.append)
    monkeypatch.setattr("lake.delta_log.sync_folder", synced.append)

    maintain(target, UPKEEP, NOW, thorough=False)

    made = {path for path in Path(target.uri).rglob("*") if path.is_file()} - before
    assert {path.suffix for path in made} == {".json", ".parquet"}
    assert {*made, Path(target.uri) / "_delta_log" / "_last_checkpoint"} <= set(synced)


def test_a_deletion_in_between_is_a_conflict_that_the_next_run_gets_over(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    target = fill(home)
    configure(target, UPKEEP.properties)
    open_table = Table.open
    waiting = ["seq = 1"]

    def opened(self: Table, version: int | None = None) -> object:
        handle = open_table(self, version)
        if waiting:
            assert open_table(self).delete(waiting.pop())["num_deleted_rows"] == 1
        return handle

    with monkeypatch.context() as deleting:
        deleting.setattr(Table, "open", opened)
        with pytest.raises(Conflict, match="that nobody rewrites it meanwhile"):
            compact(target, 2)

    assert maintain(target, UPKEEP, NOW, thorough=False).joined_files > 0
    assert numbers(target) == list(range(2, 2 * FEWEST_SMALL_FILES + 1))


def test_a_conflict_is_left_to_the_next_run_in_so_many_words(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def faster(joined: Table, fewest: int) -> int:
        raise Conflict(f"table {joined.name}", f"no more than {fewest} files", "a deletion")

    target = fill(home)
    monkeypatch.setattr(lake.log.maintenance, "compact", faster)

    assert maintain(target, UPKEEP, NOW, thorough=True).left.startswith("left to the next run: table log: expected")


class Together:
    """Work in threads of their own; what fails in one is known at the end."""

    def __init__(self) -> None:
        self.failures: list[BaseException] = []
        self.ended = threading.Event()

    def start(self, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=self._run, args=(work,))
        thread.start()
        return thread

    def until_ended(self, work: Callable[[], None]) -> threading.Thread:
        def again() -> None:
            while not self.ended.is_set():
                work()

        return self.start(again)

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - a thread's failure has to reach the test
            self.failures.append(error)


def test_a_compactor_in_a_loop_beside_two_writers_and_a_reader_loses_and_doubles_nothing(home: Home) -> None:
    commits, reads, runs, together = 30, list[int](), list[Done](), Together()
    table(home).append_once(rows(1, 2, source="a"), "a", ["event_date"])

    def write(source: str) -> None:
        for number in range(commits):
            last = 2 * number + 2
            table(home).append_once(rows(max(1, last - 3), last, source=source), source, ["event_date"])

    def read() -> None:
        found = table(home).scan().collect()
        assert found.select("source", "seq").is_unique().all()
        reads.append(found.height)

    writers = [together.start(partial(write, source)) for source in "ab"]
    upkeep = Upkeep(arrival="received_at_utc", keep_days=1)
    others = [
        together.until_ended(lambda: runs.append(maintain(table(home), upkeep, NOW, thorough=True))),
        together.until_ended(read),
    ]
    for thread in writers:
        thread.join()
    together.ended.set()
    for thread in others:
        thread.join()

    assert not together.failures
    assert any(done.joined_files for done in runs)
    assert reads == sorted(reads), "no row ever went"
    found = table(home).scan().select("source", "seq").collect()
    assert sorted(found.rows()) == [(source, seq) for source in "ab" for seq in range(1, 2 * commits + 1)]
    assert table(home).files().height < 2 * commits, "it was compacted meanwhile"


def log_and_ship(home: Home, *records: PredictionRecord) -> int:
    """Have a worker log these, and a shipper ship them."""
    with Slot.lease(home.spools) as slot:
        slot.append([encode_record(record) for record in records])
    return Shipper(home).ship()


def test_a_schema_grows_without_a_file_being_rewritten_and_old_and_new_rows_are_one_table(home: Home) -> None:
    grown = parcel_schema(fields=(*parcel_schema().fields, Field(name="fragile", type="boolean", nullable=True)), version=2)
    target = table(home, PREDICTIONS)
    publish_input_schema(DocumentStore(home.lake), parcel_schema())
    for number in range(FEWEST_SMALL_FILES):
        log_and_ship(home, prediction(number, features=parcel(parcel_id=f"old-{number}"), event_time_us=0))
    before = {path: path.stat().st_mtime_ns for path in files(target)}

    publish_input_schema(DocumentStore(home.lake), grown)
    log_and_ship(
        home,
        prediction(100, features=parcel(parcel_id="new", fragile=True), package_digest="b" * 64, event_time_us=0),
        prediction(101, features=parcel(parcel_id="of an old client"), event_time_us=0),
    )

    assert {path: path.stat().st_mtime_ns for path in before} == before
    for _ in ("as written", "compacted"):
        features = target.scan().collect()["features"]
        assert features.dtype == features_dtype(grown)
        fragile = {row["parcel_id"]: row["fragile"] for row in features.to_list()}
        assert fragile == {**{f"old-{n}": None for n in range(FEWEST_SMALL_FILES)}, "new": True, "of an old client": None}
        maintain(target, UPKEEP, NOW, thorough=True)
    assert target.files().height == 1
