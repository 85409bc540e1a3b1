"""The commits of a slot are one chain over all its lives, however each of them ends."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.documents import DocumentStore
from lake.errors import SettingError, SpoolUnavailable, VerificationError
from lake.home import Home
from lake.input_schema import publish_input_schema
from lake.log.commits import Commit, CommitRecord, check_leaves, check_link, check_signature
from lake.log.group_commit import GroupCommit
from lake.log.log_key import LOG_KEY, LogKey, read_trusted_log
from lake.log.merkle import leaf_of
from lake.log.receipts import Receipt, check_proof
from lake.log.records import decode_record, encode_record
from lake.log.segment import read_segment, segments
from lake.log.shipper import Shipper
from lake.log.slot import Slot
from lake.tables import LABELS, PREDICTIONS
from tests.scenario import USE_CASE, label, parcel_schema, prediction


def life(home: Home, *groups: Sequence[bytes]) -> list[Receipt]:
    """A worker that leases a slot, appends these groups of records one after the other, and ends as it should."""

    async def lived() -> list[Receipt]:
        log = GroupCommit(Slot.lease(home.spools), LogKey.read_or_make(home.keys))
        try:
            return [await log.append(list(group)) for group in groups]
        finally:
            await log.close()

    return asyncio.run(lived())


def in_spool(folder: Path) -> Iterator[tuple[int, bytes | None]]:
    """All records of a slot with their numbers, as they stand on disk."""
    for path in segments(folder):
        yield from enumerate(read_segment(path).records, start=int(path.stem))


def commits(folder: Path) -> list[CommitRecord]:
    """The commits of a slot, in their order."""
    found = []
    for _, record in in_spool(folder):
        with contextlib.suppress(msgspec.MsgspecError):
            read = decode_record(record or b"")
            if isinstance(read, CommitRecord):
                found.append(read)
    return found


def checked(home: Home, folder: Path) -> list[Commit]:
    """The commits of a slot, once each is found signed, linked, and over just the bytes that stand at its place."""
    keys, records, previous = read_trusted_log(home.keys), dict(in_spool(folder)), None
    for record in commits(folder):
        commit = record.commit
        check_signature(commit, keys)
        check_link(commit, previous)
        assert previous is None or commit.first_seq == previous.last_seq + 2, "only the commit before stands between"
        expected = [leaf_of(records[seq] or b"") for seq in range(commit.first_seq, commit.last_seq + 1)]
        assert check_leaves(record) == expected
        previous = commit
    return [record.commit for record in commits(folder)]


def test_each_group_is_sealed_and_the_chain_goes_on_in_the_next_life(home: Home) -> None:
    one = [encode_record(prediction(1)), encode_record(label(1))]
    life(home, one, [b"not a record"])
    life(home, [encode_record(prediction(2))])

    found = checked(home, home.spools / "slot-000")
    assert [(commit.number, commit.first_seq, commit.count) for commit in found] == [(1, 1, 2), (2, 4, 1), (3, 6, 1)]
    assert list(found[0].places()) == [(USE_CASE, PREDICTIONS), (USE_CASE, LABELS)]
    assert list(found[1].places()) == [("", "")], "no table can take it"


def test_the_chain_goes_on_when_all_its_segments_were_shipped_and_removed(home: Home) -> None:
    publish_input_schema(DocumentStore(home.lake), parcel_schema())
    [first] = life(home, [encode_record(prediction(1))])
    Shipper(home).ship()
    assert not commits(home.spools / "slot-000")
    [second] = life(home, [encode_record(prediction(2))])

    check_link(second.commit, first.commit)
    assert (second.commit.number, second.commit.first_seq) == (2, 3)


def test_two_workers_have_two_chains_signed_by_one_key(home: Home) -> None:
    async def both() -> tuple[Receipt, Receipt]:
        first, second = (GroupCommit(Slot.lease(home.spools), LogKey.read_or_make(home.keys)) for _ in range(2))
        receipts = await asyncio.gather(first.append([b"1"]), second.append([b"2"]))
        await asyncio.gather(first.close(), second.close())
        return receipts

    first, second = asyncio.run(both())

    assert (first.commit.number, second.commit.number) == (1, 1)
    assert first.commit.spool_id != second.commit.spool_id
    assert first.commit.key_id == second.commit.key_id
    for name in ("slot-000", "slot-001"):
        assert len(checked(home, home.spools / name)) == 1


@settings(max_examples=60, deadline=None)
@given(cut=st.floats(0, 1), lives=st.integers(1, 3))
def test_a_segment_that_a_crash_cut_anywhere_breaks_no_chain(cut: float, lives: int) -> None:
    """What the crash left without its commit is sealed by the first commit of the next life, also when that is later."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home.at(Path(folder))
        slot = Slot.lease(home.spools)
        log = GroupCommit(slot, LogKey.read_or_make(home.keys))

        async def killed() -> None:
            for number in range(3):
                await log.append([encode_record(prediction(number)), encode_record(label(number))])

        asyncio.run(killed())
        slot.close()  # as a kill does: nothing is rotated, nothing kept
        [newest] = segments(slot.folder)
        os.truncate(newest, round(cut * newest.stat().st_size))
        before = len(list(in_spool(slot.folder)))
        for _ in range(lives - 1):
            Slot.lease(home.spools).close()  # lives that log nothing
        life(home, [b"next"], [b"last"])

        found = checked(home, slot.folder)
        sealed = {seq for commit in found for seq in range(commit.first_seq, commit.last_seq + 1)}
        numbered = {seq for seq, _ in in_spool(slot.folder)}
        assert numbered == set(range(1, len(numbered) + 1))
        assert len(numbered) == before + 4
        assert sealed == numbered - {commit.last_seq + 1 for commit in found}, "every record but the commits"


def test_a_commit_that_could_not_be_written_takes_no_place_in_the_chain(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_file: int) -> None:
        raise OSError(5, "Input/output error")

    async def scenario() -> None:
        log = GroupCommit(Slot.lease(home.spools), LogKey.read_or_make(home.keys))
        await log.append([b"1"])
        with monkeypatch.context() as failing:
            failing.setattr(os, "fdatasync", broken)
            with pytest.raises(SpoolUnavailable):
                await log.append([b"never acknowledged"])
        await log.append([b"2"])
        await log.close()

    asyncio.run(scenario())

    assert [commit.number for commit in checked(home, home.spools / "slot-000")] == [1, 2]


def test_each_request_gets_the_receipt_of_its_own_records(home: Home) -> None:
    async def together() -> list[Receipt]:
        log = GroupCommit(Slot.lease(home.spools), LogKey.read_or_make(home.keys))
        receipts = await asyncio.gather(*(log.append([str(number).encode()] * (1 + number % 3)) for number in range(20)))
        await log.close()
        return receipts

    receipts = asyncio.run(together())

    records = dict(in_spool(home.spools / "slot-000"))
    keys = read_trusted_log(home.keys)
    assert len({receipt.commit.number for receipt in receipts}) < 20, "some share a commit"
    for number, receipt in enumerate(receipts):
        mine = [records[seq] for seq in range(receipt.first_seq, receipt.first_seq + receipt.count)]
        assert mine == [str(number).encode()] * (1 + number % 3)
        check_proof(receipt.proof([str(number).encode()] * (1 + number % 3)), keys)
        assert f"seq={receipt.first_seq}, rows={receipt.count}, commit={receipt.commit.number}" in receipt.text


def changed(proof: Any, **changes: Any) -> Any:
    """A proof, and then its commit, with other values."""
    of_commit = {name: changes.pop(name) for name in list(changes) if name in Commit.__struct_fields__}
    commit = msgspec.structs.replace(proof.commit, **of_commit)
    return msgspec.structs.replace(proof, commit=commit, **changes)


def test_a_proof_holds_for_its_bytes_place_and_key_alone(home: Home) -> None:
    [receipt] = life(home, [b"a", b"b", b"c"])
    proof = receipt.proof([b"a", b"b", b"c"])
    keys = read_trusted_log(home.keys)
    check_proof(msgspec.json.decode(msgspec.json.encode(proof), type=type(proof)), keys)

    first, second, third = proof.records
    for records, words in (
        ((msgspec.structs.replace(first, record=b"x"), second, third), "bytes that lead to the root"),
        ((msgspec.structs.replace(first, seq=2), second, third), "bytes that lead to the root"),
        ((msgspec.structs.replace(first, seq=9),), "a place outside its commit"),
        ((msgspec.structs.replace(first, path=()),), "0 digests"),
    ):
        with pytest.raises(VerificationError, match=words):
            check_proof(changed(proof, records=records), keys)
    for field, value in (("root", b"\0" * 32), ("number", 7), ("previous", "f" * 64), ("committed_at_us", 1), ("count", 4)):
        with pytest.raises(VerificationError, match="a signature over something else"):
            check_proof(changed(proof, **{field: value}), keys)
    with pytest.raises(VerificationError, match="one of the 0 trusted: copy keys/trusted_log/"):
        check_proof(proof, {})


def test_a_commit_follows_the_one_before_it_and_no_other(home: Home) -> None:
    first, second, third = (receipt.commit for receipt in life(home, [b"1"], [b"2"], [b"3"]))

    check_link(first, None)
    check_link(second, first)
    with pytest.raises(VerificationError, match=r"commit 3 of slot .* number 1 before it, expected number 2"):
        check_link(third, first)
    with pytest.raises(VerificationError, match="a link to"):
        check_link(second, msgspec.structs.replace(first, committed_at_us=0))
    longer = msgspec.structs.replace(first, count=5)
    with pytest.raises(VerificationError, match="records from 3 on, expected records behind 5"):
        check_link(msgspec.structs.replace(second, previous=longer.digest), longer)


def test_the_key_of_the_log_is_its_owners_alone_and_one_for_all_workers(home: Home) -> None:
    key = LogKey.read_or_make(home.keys)

    assert LogKey.read_or_make(home.keys).id == key.id
    assert (home.keys / LOG_KEY).stat().st_mode & 0o777 == 0o600
    assert list(read_trusted_log(home.keys)) == [key.id]
    (home.keys / LOG_KEY).chmod(0o644)
    with pytest.raises(SettingError, match="nobody but its owner"):
        LogKey.read_or_make(home.keys)


def test_a_public_key_that_is_none_is_named(home: Home) -> None:
    LogKey.read_or_make(home.keys)
    [path] = (home.keys / "trusted_log").iterdir()
    path.write_text("no key\n")

    with pytest.raises(SettingError, match=r"the log's key .*\.pub is .*, expected base64 of the 32 bytes"):
        read_trusted_log(home.keys)
