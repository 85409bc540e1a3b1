"""A slot is one process's at a time; its sequence outlives processes, shipping, crashes and full disks."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lake.home import Home
from lake.log.segment import closed_segments, first_seq, frame, joined, read_segment, segments
from lake.log.slot import Slot, slots, spool_id

HOLDER = """
import sys, pathlib
from lake.log.slot import Slot
slot = Slot.lease(pathlib.Path(sys.argv[1]), "process")
slot.append([b"1", b"2"])
print(slot.folder.name, flush=True)
sys.stdin.read()
"""


def held(slot: Slot) -> list[bytes | None]:
    """All records in a slot, oldest first."""
    return [record for path in segments(slot.folder) for record in read_segment(path).records]


def test_what_is_appended_stands_in_the_slot_in_order(home: Home) -> None:
    with Slot.lease(home.spools) as slot:
        slot.append([b"1", b"2"])
        slot.append([b"3"])

        assert held(slot) == [b"1", b"2", b"3"]
        assert slot.next_seq == 4


def test_rotating_closes_a_segment_for_the_shipper_and_begins_the_next(home: Home) -> None:
    with Slot.lease(home.spools) as slot:
        slot.append([b"1", b"2"])
        assert closed_segments(slot.folder) == []
        slot.rotate()
        slot.append([b"3"])

        [closed] = closed_segments(slot.folder)
        assert read_segment(closed).records == [b"1", b"2"]
        assert [first_seq(path) for path in segments(slot.folder)] == [1, 3]


def test_an_empty_segment_is_not_rotated(home: Home) -> None:
    with Slot.lease(home.spools) as slot:
        for _ in range(3):
            slot.rotate()

        assert [first_seq(path) for path in segments(slot.folder)] == [1]


def test_identity_and_sequence_survive_a_restart(home: Home) -> None:
    with Slot.lease(home.spools) as first:
        first.append([b"1", b"2"])
    with Slot.lease(home.spools) as second:
        assert (second.folder, second.spool_id, second.next_seq) == (first.folder, first.spool_id, 3)
        assert spool_id(second.folder) == first.spool_id
        second.append([b"3"])

        assert held(second) == [b"1", b"2", b"3"]


def test_the_sequence_survives_the_shipping_of_every_record(home: Home) -> None:
    with Slot.lease(home.spools) as slot:
        slot.append([b"1", b"2"])
        slot.rotate()
        for path in closed_segments(slot.folder):
            path.unlink()
    for _ in range(2):
        with Slot.lease(home.spools) as slot:
            assert slot.next_seq == 3
    assert len(segments(slot.folder)) == 1


def test_a_slot_that_is_held_is_not_leased_again(home: Home) -> None:
    with Slot.lease(home.spools) as first, Slot.lease(home.spools) as second:
        assert first.folder.name == "slot-000"
        assert second.folder.name == "slot-001"
        assert first.spool_id != second.spool_id
        assert Slot.take(first.folder) is None
        assert slots(home.spools) == [first.folder, second.folder]


def test_a_killed_process_gives_its_slot_back(home: Home) -> None:
    command = [sys.executable, "-c", HOLDER, str(home.spools)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "slot-000\n"
        assert Slot.take(home.spools / "slot-000") is None
        holder.kill()
        holder.wait()

    with Slot.lease(home.spools) as slot:
        assert slot.folder.name == "slot-000"
        assert held(slot) == [b"1", b"2"], "what was written outlives its process, also where no append waits for the disk"


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was made to survive a power cut, in order: `records` of a segment, or `names` of a folder."""
    seen: list[str] = []
    fdatasync = os.fdatasync

    def records(file: int) -> None:
        seen.append("records")
        fdatasync(file)

    monkeypatch.setattr(os, "fdatasync", records)
    monkeypatch.setattr("lake.log.slot.sync_folder", lambda _: seen.append("names"))
    return seen


def test_with_durability_disk_each_append_is_on_disk(home: Home, synced: list[str]) -> None:
    with Slot.lease(home.spools) as slot:
        slot.append([b"1"])
        assert synced == ["records", "names"]
        slot.append([b"2"])
        slot.rotate()

        assert synced == ["records", "names", "records"]


def test_with_durability_process_a_segment_is_on_disk_before_the_shipper_may_take_it(home: Home, synced: list[str]) -> None:
    """Else a table could hold numbers that are given again after a power cut, and drop the new records as known."""
    with Slot.lease(home.spools, "process") as slot:
        slot.append([b"1"])
        slot.append([b"2"])
        assert synced == []
        slot.rotate()
        assert synced == ["records", "names"]
        slot.append([b"3"])
        slot.sync()
        slot.sync()

        assert synced == ["records", "names"] * 2
        assert held(slot) == [b"1", b"2", b"3"]


@pytest.mark.parametrize("torn", [b"\xc1", frame(b"3", 3)[:-1], bytes(4096)])
def test_what_a_crash_left_half_written_is_cut_off_and_kept_beside(home: Home, torn: bytes) -> None:
    with Slot.lease(home.spools) as slot:
        slot.append([b"1", b"2"])
        [path] = segments(slot.folder)
    path.write_bytes(joined([b"1", b"2"], 1) + torn)

    with Slot.lease(home.spools) as slot:
        assert slot.next_seq == 3
        slot.append([b"3"])
        assert held(slot) == [b"1", b"2", b"3"]
        assert path.with_suffix(".torn").read_bytes() == torn
        assert slot.torn_bytes == len(torn)


def test_a_first_record_that_was_torn_leaves_an_empty_segment(home: Home) -> None:
    with Slot.lease(home.spools) as slot:
        [path] = segments(slot.folder)
    path.write_bytes(joined([b"never acknowledged"], 1)[:-1])

    with Slot.lease(home.spools) as slot:
        assert slot.next_seq == 1
        slot.append([b"1"])
        assert held(slot) == [b"1"]


@pytest.fixture
def largest_file() -> Iterator[None]:
    """No file of this process may grow above 4,096 bytes: a write then fails half-way, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("largest_file")
def test_a_write_that_fails_half_way_leaves_nothing_of_it(home: Home) -> None:
    with Slot.lease(home.spools) as slot:
        slot.append([b"1" * 1000])
        with pytest.raises(OSError, match="File too large"):
            slot.append([b"2" * 2000, b"3" * 2000])
        assert slot.next_seq == 2
        assert held(slot) == [b"1" * 1000]
        slot.append([b"4"])
        assert held(slot) == [b"1" * 1000, b"4"]
        assert slot.next_seq == 3


def test_what_could_not_be_cut_off_is_cut_before_the_next_write(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Left there, it would be read as records, and take the numbers of the next ones."""

    def fails(*_: int) -> None:
        raise OSError(5, "Input/output error")

    with Slot.lease(home.spools) as slot:
        slot.append([b"1"])
        with monkeypatch.context() as broken:
            broken.setattr(os, "fdatasync", fails)
            broken.setattr(os, "ftruncate", fails)
            with pytest.raises(OSError, match="Input/output"):
                slot.append([b"never", b"acknowledged"])
            with pytest.raises(OSError, match="Input/output"):
                slot.append([b"nor this"])
            with pytest.raises(OSError, match="Input/output"):
                slot.rotate()
        slot.append([b"2"])

        assert held(slot) == [b"1", b"2"]


def test_a_rotation_that_fails_lets_the_segment_go_on(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with Slot.lease(home.spools) as slot:
        slot.append([b"1"])
        with monkeypatch.context() as full:
            full.setattr(os, "open", fails)
            with pytest.raises(OSError, match="No space left"):
                slot.rotate()
        slot.append([b"2"])
        assert closed_segments(slot.folder) == [], "a segment that is still written to is not the shipper's"
        slot.rotate()
        slot.append([b"3"])

        assert held(slot) == [b"1", b"2", b"3"]


def test_a_slot_that_cannot_be_opened_is_given_back(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Path) -> list[Path]:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr("lake.log.slot.segments", fails)
        with pytest.raises(OSError, match="Input/output"):
            Slot.lease(home.spools)

    with Slot.lease(home.spools) as slot:
        assert slot.folder.name == "slot-000"


def test_a_folder_without_slots_has_none(home: Home) -> None:
    assert slots(home.spools) == []
    assert spool_id(home.spools) is None


def test_the_name_of_a_segment_is_on_disk_before_its_first_record_counts(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []

    def fails(_: Path) -> None:
        raise OSError(5, "Input/output error")

    with Slot.lease(home.spools) as slot:
        with monkeypatch.context() as broken:
            broken.setattr("lake.log.slot.sync_folder", fails)
            with pytest.raises(OSError, match="Input/output"):
                slot.append([b"never acknowledged"])
        monkeypatch.setattr("lake.log.slot.sync_folder", synced.append)
        for number in range(4):
            slot.append([str(number).encode()])
            if number == 1:
                slot.rotate()

        assert synced == [slot.folder] * 2, "once for each segment"
        assert held(slot) == [b"0", b"1", b"2", b"3"]
