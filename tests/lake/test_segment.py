"""Whatever is cut off or damaged, a segment gives back exactly the records that are whole, each by its number."""

import struct
import zlib
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lake.errors import InvalidInput
from lake.log.segment import (
    FRAME_BYTES,
    MAXIMUM_RECORD_BYTES,
    Contents,
    closed_segments,
    first_seq,
    frame,
    joined,
    read_segment,
    segment_path,
    segments,
)

FIRST = 41
RECORDS = st.lists(st.binary(min_size=1, max_size=40), max_size=12)
ON_A_FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(folder: Path, content: bytes | bytearray) -> Contents:
    """What a segment of these bytes gives, whose first record has the number FIRST."""
    path = segment_path(folder, FIRST)
    path.write_bytes(content)
    return read_segment(path)


def stretches(records: list[bytes]) -> list[tuple[int, int]]:
    """Where the frame of each record begins and ends."""
    ends = [len(joined(records[: number + 1], FIRST)) for number in range(len(records))]
    return list(zip([0, *ends], ends, strict=False))


@given(RECORDS, st.data())
@ON_A_FILE
def test_cut_at_any_byte_it_gives_exactly_the_records_before_the_cut(
    tmp_path: Path, records: list[bytes], data: st.DataObject
) -> None:
    whole = joined(records, FIRST)
    cut = data.draw(st.integers(0, len(whole)), label="cut")
    ends = [end for _, end in stretches(records)]
    kept = sum(end <= cut for end in ends)

    contents = read(tmp_path, whole[:cut])

    assert contents == Contents([*records[:kept]], [0, *ends][kept], cut - [0, *ends][kept], [])


@given(RECORDS.filter(bool), st.data())
@ON_A_FILE
def test_a_bit_that_flips_anywhere_costs_its_record_alone(tmp_path: Path, records: list[bytes], data: st.DataObject) -> None:
    """In its length and its number too: the next frame tells how it goes on."""
    content = bytearray(joined(records, FIRST))
    position = data.draw(st.integers(0, len(content) - 1), label="byte")
    content[position] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    [(number, start, end)] = [(n, *place) for n, place in enumerate(stretches(records)) if place[0] <= position < place[1]]

    contents = read(tmp_path, content)

    lost = bytes(content[start:end])
    if number < len(records) - 1:
        assert contents == Contents([*records[:number], None, *records[number + 1 :]], len(content), 0, [lost])
    elif position >= start + FRAME_BYTES:
        assert contents == Contents([*records[:-1], None], len(content), 0, [lost]), "it is the last, and keeps its number"
    else:
        assert contents.records[: len(records) - 1] == records[:-1]
        assert b"".join([*contents.damaged, content[contents.length :]]) == lost


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=2, max_size=12), st.data())
@ON_A_FILE
def test_whatever_overwrites_a_stretch_the_records_beside_it_keep_their_numbers(
    tmp_path: Path, records: list[bytes], data: st.DataObject
) -> None:
    content = bytearray(joined(records, FIRST))
    last_start = stretches(records)[-1][0]
    start = data.draw(st.integers(0, last_start - 1), label="start")
    end = data.draw(st.integers(start + 1, last_start), label="end")
    overwritten = data.draw(st.one_of(st.just(bytes(end - start)), st.binary(min_size=end - start, max_size=end - start)))
    assume(all(old != new for old, new in zip(content[start:end], overwritten, strict=True)))
    content[start:end] = overwritten

    contents = read(tmp_path, content)

    expected = [
        record if ends <= start or begins >= end else None
        for record, (begins, ends) in zip(records, stretches(records), strict=True)
    ]
    assert contents.records == expected
    assert (contents.length, contents.torn_bytes, len(contents.damaged)) == (len(content), 0, 1)
    assert contents.damaged[0] in content


def test_what_looks_like_a_frame_inside_a_damaged_record_needs_a_number_that_can_follow(tmp_path: Path) -> None:
    """A client may send bytes that are a frame; where the length of its record is lost they are met."""
    forged = [frame(b"forged", number) for number in (1, FIRST - 1, FIRST + 1_000, 2**63)]
    content = bytearray(joined([b"".join(forged), b"next"], FIRST))
    content[8] ^= 1

    assert read(tmp_path, content).records == [None, b"next"]


def test_a_segment_of_nothing_but_damage_is_read_in_a_moment(tmp_path: Path) -> None:
    content = bytearray(joined([b"x" * 236] * 32_768, FIRST))
    content[30::256] = b"y" * 32_768
    began = perf_counter()

    contents = read(tmp_path, content)

    assert perf_counter() - began < 5
    assert contents.records == []
    assert contents.torn_bytes == 8 * 1024 * 1024


@given(RECORDS, st.integers(1, 4096))
@ON_A_FILE
def test_zeros_at_the_end_are_no_records(tmp_path: Path, records: list[bytes], zeros: int) -> None:
    whole = joined(records, FIRST)

    assert read(tmp_path, whole + bytes(zeros)) == Contents([*records], len(whole), zeros, [])


@given(st.one_of(st.binary(max_size=300), st.lists(st.sampled_from([b"\xc1TS1", b"\0", b"\1", b"\xff"])).map(b"".join)))
@ON_A_FILE
def test_no_content_whatever_breaks_the_reader(tmp_path: Path, content: bytes) -> None:
    contents = read(tmp_path, content)

    assert contents.length + contents.torn_bytes == len(content)


def test_a_frame_is_mark_checksum_length_number_and_record() -> None:
    checked = struct.pack("<IQ", 3, 7) + b"abc"
    assert frame(b"abc", 7) == b"\xc1TS1" + struct.pack("<I", zlib.crc32(checked)) + checked


@pytest.mark.parametrize("size", [0, MAXIMUM_RECORD_BYTES + 1])
def test_a_record_that_could_not_be_read_again_is_not_written(size: int) -> None:
    with pytest.raises(InvalidInput, match=f"record: found {size:,} bytes"):
        frame(bytes(size), 1)


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
