"""Whatever is cut off or damaged, a segment gives back exactly the records that are whole."""

import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake.errors import InvalidInput
from lake.log.segment import (
    MAXIMUM_RECORD_BYTES,
    closed_segments,
    first_seq,
    frame,
    joined,
    read_segment,
    segment_path,
    segments,
)

RECORDS = st.lists(st.binary(min_size=1, max_size=40), max_size=12)
ON_A_FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(RECORDS, st.data())
@ON_A_FILE
def test_cut_at_any_byte_it_gives_exactly_the_records_before_the_cut(
    tmp_path: Path, records: list[bytes], data: st.DataObject
) -> None:
    whole = joined(records)
    cut = data.draw(st.integers(0, len(whole)), label="cut")
    path = tmp_path / "cut.segment"
    path.write_bytes(whole[:cut])
    ends = [len(joined(records[: number + 1])) for number in range(len(records))]
    kept = sum(end <= cut for end in ends)

    contents = read_segment(path)

    assert contents.records == records[:kept]
    assert contents.damaged == []
    assert contents.length + contents.torn_bytes == cut
    assert contents.length == ([0, *ends])[kept]


@given(RECORDS.filter(bool), st.data())
@ON_A_FILE
def test_a_damaged_record_is_reported_in_its_place_and_the_rest_is_kept(
    tmp_path: Path, records: list[bytes], data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(records) - 1), label="record")
    start = len(joined(records[:number])) + 8
    position = start + data.draw(st.integers(0, len(records[number]) - 1), label="byte")
    content = bytearray(joined(records))
    content[position] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    path = tmp_path / "damaged.segment"
    path.write_bytes(content)

    contents = read_segment(path)

    assert contents.records == [*records[:number], None, *records[number + 1 :]]
    assert contents.damaged == [bytes(content[start : start + len(records[number])])]
    assert contents.torn_bytes == 0


@given(RECORDS, st.integers(1, 4096))
@ON_A_FILE
def test_zeros_at_the_end_are_no_records(tmp_path: Path, records: list[bytes], zeros: int) -> None:
    path = tmp_path / "zeros.segment"
    path.write_bytes(joined(records) + bytes(zeros))

    contents = read_segment(path)

    assert (contents.records, contents.damaged, contents.torn_bytes) == (records, [], zeros)


@given(st.binary(max_size=300))
@ON_A_FILE
def test_no_content_whatever_breaks_the_reader(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "garbage.segment"
    path.write_bytes(content)

    contents = read_segment(path)

    assert contents.length + contents.torn_bytes == len(content)


def test_a_frame_is_length_checksum_and_record() -> None:
    assert frame(b"abc") == struct.pack("<II", 3, zlib.crc32(b"abc")) + b"abc"


@pytest.mark.parametrize("size", [0, MAXIMUM_RECORD_BYTES + 1])
def test_a_record_that_could_not_be_read_again_is_not_written(size: int) -> None:
    with pytest.raises(InvalidInput, match=f"record: found {size:,} bytes"):
        frame(bytes(size))


def test_the_name_is_the_sequence_number_and_sorts_like_it(tmp_path: Path) -> None:
    for seq in (9, 10, 1, 10**12):
        segment_path(tmp_path, seq).touch()
    (tmp_path / "00000000000000000009.torn").touch()

    assert [first_seq(path) for path in segments(tmp_path)] == [1, 9, 10, 10**12]
    assert [first_seq(path) for path in closed_segments(tmp_path)] == [1, 9, 10]


def test_an_empty_folder_has_no_segments(tmp_path: Path) -> None:
    assert segments(tmp_path) == closed_segments(tmp_path) == []


def test_a_segment_that_appears_while_the_folder_is_listed_leaves_no_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing may miss what is made while it runs, and yet show what is made after that."""
    for seq in (1, 5, 9, 13):
        segment_path(tmp_path, seq).touch()
    partial = [[segment_path(tmp_path, seq) for seq in (1, 9)], segments(tmp_path)]
    monkeypatch.setattr("lake.log.segment.segments", lambda _: partial.pop(0))

    assert [first_seq(path) for path in closed_segments(tmp_path)] == [1, 5]
