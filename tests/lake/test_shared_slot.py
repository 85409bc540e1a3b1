"""A slot in the lake: of those who append at once one wins, and what anybody left is shipped by whoever comes next."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lake.delta import Table
from lake.documents import DocumentStore
from lake.errors import Conflict, VerificationError
from lake.home import Home
from lake.input_schema import publish_input_schema
from lake.log.audit import Audit, Counts, Scope
from lake.log.chain import ChainHead
from lake.log.records import encode_record
from lake.log.segment import joined
from lake.log.shared_slot import SharedSlot
from lake.tables import COMMITS, LABELS, LOG
from tests.scenario import USE_CASE, label, parcel_schema

FOLDER = f"{USE_CASE}/slot"


@pytest.fixture
def slot(home: Home) -> SharedSlot:
    publish_input_schema(DocumentStore(home.lake), parcel_schema())
    return SharedSlot(home, FOLDER)


def records(*numbers: int) -> list[bytes]:
    return [encode_record(label(number)) for number in numbers]


def rows(home: Home) -> list[int]:
    """The numbers of the requests whose labels are in the table, in the order of the slot."""
    table = Table(home.lake, USE_CASE, LABELS)
    return [int(name[-12:]) for name in table.scan().sort("seq").collect()["request_id"]] if table.exists() else []


def audited(home: Home) -> Counts:
    audit = Audit(home, Scope())
    assert list(audit.findings()) == []
    return audit.counts


def files(home: Home) -> list[Path]:
    return sorted((Path(home.lake) / FOLDER).glob("*.segment"))


def test_what_is_appended_is_in_its_table_and_sealed(home: Home, slot: SharedSlot) -> None:
    head = slot.append(records(1, 2, 3), slot.settle())
    head = slot.append(records(4), head)

    assert rows(home) == [1, 2, 3, 4]
    assert (head.number, head.last_seq) == (2, 6)
    assert slot.settle() == head
    assert (audited(home).rows, audited(home).commits) == (4, 2)


def test_what_is_shipped_is_kept_in_its_table_alone(home: Home, slot: SharedSlot) -> None:
    slot.append(records(2), slot.append(records(1), slot.settle()))

    [left] = files(home)
    assert left.name == "00000000000000000003.segment"
    assert left.read_bytes().startswith(b'{"digest":')


def test_of_two_who_append_behind_one_head_one_wins(home: Home, slot: SharedSlot) -> None:
    head, other = slot.settle(), SharedSlot(home, FOLDER)
    slot.append(records(1, 2), head)

    with pytest.raises(Conflict):
        other.append(records(3), head)

    assert rows(home) == [1, 2]
    other.append(records(3), other.settle())
    assert rows(home) == [1, 2, 3]
    assert audited(home).rows == 3


def test_a_slow_writer_whose_place_was_taken_and_given_free_again_appends_nothing(home: Home, slot: SharedSlot) -> None:
    """Its segment is made: nobody has the name any more. But others have gone on behind the one that had it."""
    slow, head = SharedSlot(home, FOLDER), slot.settle()
    slot.append(records(2), slot.append(records(1), head))

    with pytest.raises(Conflict):
        slow.append(records(*range(10, 20)), head)

    assert rows(home) == [1, 2]
    assert len(files(home)) == 1
    slow.append(records(3), slow.settle())
    assert rows(home) == [1, 2, 3]
    assert (audited(home).rows, audited(home).commits) == (3, 3)


def test_who_was_overtaken_after_its_write_has_appended_all_the_same(home: Home, slot: SharedSlot) -> None:
    class Overtaken(SharedSlot):
        """Another appends behind it before it looks."""

        def settle(self) -> ChainHead:
            slot.append(records(9), slot.settle())
            return super().settle()

    newest = Overtaken(home, FOLDER).append(records(1), slot.settle())

    assert rows(home) == [1, 9]
    assert newest == slot.settle()
    assert audited(home).rows == 2


def unshipped(home: Home, slot: SharedSlot, change: Callable[[bytes], bytes]) -> None:
    """A segment that its writer left behind when it was killed, with its bytes changed."""

    class Killed(SharedSlot):
        def settle(self) -> ChainHead:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Killed(home, FOLDER).append(records(1, 2, 3), slot.settle())
    [left] = files(home)
    left.write_bytes(change(left.read_bytes()))


def test_what_a_killed_writer_left_is_shipped_by_the_next(home: Home, slot: SharedSlot) -> None:
    unshipped(home, slot, lambda data: data)
    assert rows(home) == []

    head = SharedSlot(home, FOLDER).settle()

    assert rows(home) == [1, 2, 3]
    assert head.last_seq == 4
    assert audited(home).rows == 3


@pytest.mark.parametrize(
    "change",
    [lambda data: data[:-1], lambda data: data[:60] + b"\xff" + data[61:], lambda _: joined(records(1), 1)],
    ids=["cut", "a flipped byte", "no commit"],
)
def test_a_segment_that_is_not_whole_is_never_shipped(home: Home, slot: SharedSlot, change: Callable[[bytes], bytes]) -> None:
    unshipped(home, slot, change)

    with pytest.raises(VerificationError, match="move it out of the lake, and what it held is delivered again"):
        slot.settle()

    assert rows(home) == []
    files(home)[0].unlink()
    slot.append(records(1, 2, 3), slot.settle())
    assert audited(home).rows == 3


def test_slots_of_one_lake_are_apart(home: Home, slot: SharedSlot) -> None:
    other = SharedSlot(home, "another/slot")

    slot.append(records(1), slot.settle())
    other.append(records(2), other.settle())

    assert sorted(rows(home)) == [1, 2]
    assert audited(home).slots == 2
    assert Table(home.lake, LOG, COMMITS).scan().collect().height == 2
