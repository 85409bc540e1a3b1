"""Maintenance beside whoever writes and reads: no row is lost or doubled, and nothing that somebody reads goes."""

import os
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

import lake.log.maintenance
from lake.delta import Table
from lake.delta_maintenance import compact, configure
from lake.documents import DocumentStore
from lake.errors import Conflict
from lake.home import Home
from lake.input_schema import Field, publish_input_schema
from lake.log.maintenance import FEWEST_SMALL_FILES, Done, Upkeep, maintain
from lake.log.records import PredictionRecord, encode_record
from lake.log.shipper import Shipper
from lake.log.slot import Slot
from lake.tables import PREDICTIONS, features_dtype
from tests.lake.maintained import NOW, UPKEEP, files, fill, numbers, rows, table, unused
from tests.scenario import parcel, parcel_schema, prediction


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
