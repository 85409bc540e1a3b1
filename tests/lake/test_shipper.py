"""The shipper moves every record into its table exactly once, whatever is damaged, missing or interrupted."""

import fcntl
import os
import threading
from collections.abc import Callable, Sequence
from datetime import date, datetime, timezone
from pathlib import Path

import msgspec
import polars as pl
import pytest

import lake.delta
import lake.log.batch
import lake.log.shipper
from lake.delta import Table
from lake.documents import DocumentStore
from lake.errors import NotFound, Unavailable
from lake.home import Home
from lake.input_schema import Field, InputSchema, publish_input_schema, read_input_schema
from lake.log.backlog import backlog
from lake.log.batch import closed_part
from lake.log.records import LabelRecord, PredictionRecord, encode_record
from lake.log.segment import FRAME_BYTES, closed_segments, segments
from lake.log.shipper import Pace, Shipper
from lake.log.slot import Slot
from lake.tables import LABELS, PREDICTIONS
from tests.scenario import USE_CASE, label, parcel_schema, prediction

Records = Sequence[PredictionRecord | LabelRecord]


class Killed(BaseException):
    """Ends the shipper's life at once, as a signal would."""


def write(home: Home, *groups: Records, rotate: bool = True) -> Path:
    """Have a worker log these records, a segment for each group; returns its slot, given back."""
    publish_input_schema(DocumentStore(home.lake), parcel_schema())
    with Slot.lease(home.spools) as slot:
        for group in groups:
            slot.append([encode_record(record) for record in group])
            if rotate:
                slot.rotate()
    return slot.folder


def logged(home: Home, table: str = PREDICTIONS) -> list[int]:
    """The numbers of the requests in a table, sorted."""
    opened = Table(home.lake, USE_CASE, table)
    if not opened.exists():
        return []
    return sorted(int(request_id[-12:]) for request_id in opened.scan().collect()["request_id"])


def set_aside(home: Home) -> bytes:
    """Everything that could not be read."""
    return b"".join(path.read_bytes() for path in sorted((home.root / "set_aside").glob("*")))


def test_closed_segments_become_rows_and_go(home: Home) -> None:
    folder = write(home, [prediction(1), label(1)], [prediction(2), prediction(3)])

    assert Shipper(home).ship() == 4
    assert (logged(home), logged(home, LABELS)) == ([1, 2, 3], [1])
    assert [path.stat().st_size for path in segments(folder)] == [0]
    assert Shipper(home).ship() == 0


def test_a_row_says_where_it_came_from(home: Home) -> None:
    folder = write(home, [prediction(1), label(1), prediction(2)])
    Shipper(home).ship()

    rows = Table(home.lake, USE_CASE, PREDICTIONS).scan().sort("seq").collect()
    assert rows["seq"].to_list() == [1, 3]
    assert rows["spool_id"].unique().to_list() == [(folder / "spool_id").read_text()]


LOOKED_FOR = [
    pl.col("event_date") == date(2013, 7, 1),
    pl.col("event_time_utc") < datetime(2013, 7, 1, 12, tzinfo=timezone.utc),
    pl.col("arm") == "no such arm",
    pl.col("package_digest") == "b" * 64,
    pl.col("outcome") == "refused",
    pl.col("spool_id") == "another",
    pl.col("seq") == 1,
]


@pytest.mark.parametrize("looked_for", LOOKED_FOR, ids=str)
def test_whoever_looks_for_a_few_rows_opens_only_the_files_that_can_have_them(home: Home, looked_for: pl.Expr) -> None:
    """Monitoring and the audit depend on it. Of a column behind the 32nd the ranges would be written, and never read."""
    write(home, [prediction(1), prediction(30)])
    Shipper(home).ship()
    table = Table(home.lake, USE_CASE, PREDICTIONS)
    found = table.scan().filter(looked_for).select("seq").collect()

    for file in Path(table.uri).glob("event_date=2013-07-02/*.parquet"):
        file.unlink()

    assert table.scan().filter(looked_for).select("seq").collect().equals(found)


def test_what_a_worker_still_writes_is_left_alone(home: Home) -> None:
    write(home)
    with Slot.lease(home.spools) as slot:
        slot.append([encode_record(prediction(1))])
        slot.rotate()
        slot.append([encode_record(prediction(2))])

        assert Shipper(home).ship() == 1
        slot.append([encode_record(prediction(3))])
    assert Shipper(home).ship() == 2
    assert logged(home) == [1, 2, 3]


def test_what_a_dead_worker_left_open_is_shipped(home: Home) -> None:
    write(home, [prediction(1)], [prediction(2)], rotate=False)

    assert Shipper(home).ship() == 2
    assert logged(home) == [1, 2]


def test_every_slot_is_shipped(home: Home) -> None:
    with Slot.lease(home.spools):
        write(home, [prediction(1)])
    write(home, [prediction(2)])

    assert Shipper(home).ship() == 2
    assert logged(home) == [1, 2]


@pytest.mark.parametrize(("pace", "commits"), [(Pace(rows_by_commit=4), 5), (Pace(bytes_by_commit=1), 20), (Pace(), 1)])
def test_a_long_backlog_is_shipped_in_commits_of_bounded_size(home: Home, pace: Pace, commits: int) -> None:
    write(home, *([prediction(number)] for number in range(20)))

    assert Shipper(home, pace).ship() == 20
    assert logged(home) == list(range(20))
    assert Table(home.lake, USE_CASE, PREDICTIONS).version() == commits, "the table was made by version 0"


def test_a_segment_that_another_shipper_removed_meanwhile_is_passed_over(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(home, [prediction(1)], [prediction(2)])
    listed = closed_segments(folder)
    listed[0].unlink()
    monkeypatch.setattr(lake.log.batch, "closed_segments", lambda _: listed)

    assert closed_part(folder, Pace().bound) == ([listed[1]], False)


def test_the_schema_of_a_batch_is_read_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of two versions of ours are in it, and the use case's schema grows between them."""
    write(home)
    older = msgspec.msgpack.decode(encode_record(prediction(1)))[:-1]
    with Slot.lease(home.spools) as slot:
        slot.append([msgspec.msgpack.encode(older), encode_record(prediction(2))])
    read: list[str] = []

    def growing(store: DocumentStore, use_case: str) -> InputSchema:
        read.append(use_case)
        more = Field(name=f"field_{len(read)}", type="number", nullable=True)
        return parcel_schema(fields=(*read_input_schema(store, use_case).fields, more))

    monkeypatch.setattr(lake.log.shipper, "read_input_schema", growing)

    assert Shipper(home).ship() == 2
    assert read == [USE_CASE]
    assert logged(home) == [1, 2]


def test_the_backlog_counts_what_waits(home: Home) -> None:
    assert backlog(home).segments == 0
    folder = write(home, [prediction(1)], [prediction(2)])
    with Slot.lease(home.spools) as slot:
        slot.append([b"open"])
        waiting = backlog(home)
    assert waiting.segments == 3
    assert waiting.bytes == sum(path.stat().st_size for path in segments(folder))


def before(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, times: int) -> None:
    """Kill the shipper when it is about to do something for the `times`-th time."""
    done = getattr(owner, name)
    remaining = [times]

    def dies(*arguments: object, **options: object) -> object:
        remaining[0] -= 1
        if remaining[0] == 0:
            raise Killed
        return done(*arguments, **options)

    monkeypatch.setattr(owner, name, dies)


@pytest.mark.parametrize(
    ("owner", "name", "times"),
    [
        (lake.delta, "write_deltalake", 1),
        (lake.delta, "write_deltalake", 2),
        (lake.delta, "write_deltalake", 3),
        (lake.delta, "write_deltalake", 4),
        (os, "sync", 1),
        (os, "sync", 2),
        (Path, "unlink", 1),
        (Path, "unlink", 2),
        (lake.log.shipper, "sync_folder", 1),
    ],
)
def test_killed_anywhere_it_goes_on_without_loss_or_doubling(
    home: Home, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, times: int
) -> None:
    write(home, [prediction(1), label(1)], [prediction(2), label(2)])
    with monkeypatch.context() as dying:
        before(dying, owner, name, times)
        with pytest.raises(Killed):
            Shipper(home).ship()
    write(home, [prediction(3), label(3)])

    Shipper(home).ship()

    assert (logged(home), logged(home, LABELS)) == ([1, 2, 3], [1, 2, 3])
    assert backlog(home).segments == 0


def test_segments_that_come_back_after_they_were_shipped_add_nothing(home: Home) -> None:
    folder = write(home, [prediction(1)], [prediction(2)])
    kept = {path: path.read_bytes() for path in closed_segments(folder)}
    Shipper(home).ship()
    for path, content in kept.items():
        path.write_bytes(content)

    assert Shipper(home).ship() == 0
    assert logged(home) == [1, 2]
    assert closed_segments(folder) == []


def damage(path: Path, record: PredictionRecord, position: int) -> None:
    """Flip a bit of a record as it stands in a segment, at this byte of its frame."""
    content = bytearray(path.read_bytes())
    content[content.index(encode_record(record)) - FRAME_BYTES + position] ^= 1
    path.write_bytes(content)


def test_a_damaged_record_is_set_aside_and_the_rest_is_shipped(home: Home) -> None:
    folder = write(home, [prediction(1), prediction(2), prediction(3)], [prediction(4)])
    damage(closed_segments(folder)[0], prediction(2), position=30)

    assert Shipper(home).ship() == 3
    assert logged(home) == [1, 3, 4]
    assert len(set_aside(home)) == FRAME_BYTES + len(encode_record(prediction(2)))
    assert closed_segments(folder) == []


def test_what_follows_a_damaged_length_is_shipped_by_its_numbers(home: Home) -> None:
    folder = write(home, [prediction(1), prediction(2), prediction(3)], [prediction(4)])
    damage(closed_segments(folder)[0], prediction(2), position=8)

    assert Shipper(home).ship() == 3
    assert logged(home) == [1, 3, 4]
    assert encode_record(prediction(2)) in set_aside(home)


def test_a_record_that_nobody_can_read_is_set_aside_and_the_rest_is_shipped(home: Home) -> None:
    folder = write(home)
    with Slot.lease(home.spools) as slot:
        slot.append([encode_record(prediction(1)), b"\xc1 no record", encode_record(prediction(3))])

    assert Shipper(home).ship() == 2
    assert logged(home) == [1, 3]
    assert set_aside(home) == b"\xc1 no record"
    assert closed_segments(folder) == []


def test_records_wait_for_their_schema_and_do_not_hold_up_another_slot(home: Home) -> None:
    with Slot.lease(home.spools):
        write(home, [prediction(2)])
    folder = write(home, [prediction(1, use_case="unknown")], [prediction(3)])

    with pytest.raises(NotFound, match="use case 'unknown'"):
        Shipper(home).ship()
    assert logged(home) == [2]
    assert len(closed_segments(folder)) == 2, "nothing is removed that no table has"
    publish_input_schema(DocumentStore(home.lake), parcel_schema(use_case="unknown"))

    assert Shipper(home).ship() == 2
    assert logged(home) == [2, 3]


def test_an_error_is_tried_again_until_it_is_over(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[Exception] = [OSError(5, "Input/output error"), Unavailable("the lake", "it is away")]
    append_once = Table.append_once
    shipped = threading.Event()
    stopped = threading.Event()

    def unreliable(self: Table, *arguments: object) -> int:
        if failures:
            raise failures.pop()
        try:
            return append_once(self, *arguments)  # type: ignore[arg-type]
        finally:
            shipped.set()

    monkeypatch.setattr(Table, "append_once", unreliable)
    write(home, [prediction(1)])
    monkeypatch.setattr(lake.log.shipper, "_FIRST_PAUSE_S", 0.01)
    running = threading.Thread(target=Shipper(home).run, args=(stopped,))
    running.start()
    assert shipped.wait(10)
    stopped.set()
    running.join(10)

    assert not running.is_alive()
    assert logged(home) == [1]


def test_a_shipper_that_is_stopped_ships_what_is_closed_by_then(home: Home) -> None:
    write(home, [prediction(1)])
    stopped = threading.Event()
    stopped.set()

    Shipper(home).run(stopped)

    assert logged(home) == [1]


def overtaken(monkeypatch: pytest.MonkeyPatch, competitor: Callable[[], int]) -> list[int]:
    """Let a second shipper run just before the first appends its rows; what it shipped is in the list, afterwards."""
    append_once = Table.append_once
    shipped: list[int] = []
    began = threading.Event()

    def late(self: Table, *arguments: object) -> int:
        if not began.is_set():
            began.set()
            shipped.append(competitor())
        return append_once(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Table, "append_once", late)
    return shipped


def test_a_slot_is_in_the_hands_of_one_shipper(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, [prediction(1)], [prediction(2), label(2)])
    by_another = overtaken(monkeypatch, Shipper(home).ship)

    assert Shipper(home).ship() == 3
    assert by_another == [0]
    assert (logged(home), logged(home, LABELS)) == ([1, 2], [2])


def test_two_shippers_that_take_the_same_segments_ship_them_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they do where a file system has no locks."""
    write(home, [prediction(1)], [prediction(2), label(2)])
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    by_another = overtaken(monkeypatch, Shipper(home).ship)

    assert Shipper(home).ship() == 0
    assert by_another == [3]
    assert (logged(home), logged(home, LABELS)) == ([1, 2], [2])
