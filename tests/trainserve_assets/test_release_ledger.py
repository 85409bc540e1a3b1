"""The release asset and what it appends to: a ledger that does not hold, clocks that do not agree, approvers at once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import time_machine

from lake.documents import DocumentStore
from lake.release.decision import DecisionKind
from lake.release.ledger import Entry
from lake.release.live import fold
from lake.times import now_utc
from tests.approvers import ADA, BOB, policy, put_policy
from tests.parcel_training import Platform
from trainserve_assets.approval.draft import Request
from trainserve_assets.approval.record import Launch, record

SHADOW = {"role": "shadow", "arm": "shadow"}


@pytest.fixture
def decided(platform: Platform) -> Platform:
    """The platform with three events in its ledger."""
    assert platform.release().success
    assert platform.release(candidate="boosting", **SHADOW).success
    assert platform.release(candidate="line", decision="reject").success
    return platform


def events(platform: Platform) -> list[Path]:
    """The ledger's files, in their order."""
    return sorted(Path(platform.home.lake, platform.use_case.name, "releases").iterdir())


def flip_a_byte(files: list[Path]) -> None:
    data = bytearray(files[1].read_bytes())
    data[len(data) // 2] ^= 1
    files[1].write_bytes(data)


def remove_one(files: list[Path]) -> None:
    files[1].unlink()


def exchange_two(files: list[Path]) -> None:
    first, second = files[1].read_bytes(), files[2].read_bytes()
    files[1].write_bytes(second)
    files[2].write_bytes(first)


def cut_the_tail(files: list[Path]) -> None:
    files[2].unlink()


def remove_all(files: list[Path]) -> None:
    for path in files:
        path.unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (flip_a_byte, "event 2 of the ledger of 'late_parcel' does not verify"),
        (remove_one, "found 1 events, expected at least 3, as were seen before"),
        (exchange_two, "event 2 of the ledger of 'late_parcel' does not verify: found event 3, expected event 2"),
        (cut_the_tail, "found 2 events, expected at least 3, as were seen before"),
        (remove_all, "found 0 events, expected at least 3, as were seen before"),
    ],
)
def test_nothing_is_recorded_in_a_ledger_that_does_not_hold(
    decided: Platform, damage: Callable[[list[Path]], None], words: str
) -> None:
    whole = decided.ledger_files()
    damage(events(decided))
    for decision in ("approve", "revoke", "reject"):
        assert words in decided.refusal(decided.release_config(decision=decision, **SHADOW))

    for name, data in whole.items():
        (Path(decided.home.lake) / decided.use_case.name / "releases" / name).write_bytes(data)
    assert decided.release(decision="revoke").success


@pytest.mark.parametrize(("hours", "words"), [(1, "60 minutes ahead of the lake's"), (-48, "48 hours behind the lake's")])
def test_nothing_is_recorded_by_a_clock_that_the_lakes_storage_does_not_share(platform: Platform, hours: int, words: str) -> None:
    config = platform.release_config()
    with time_machine.travel(now_utc() + timedelta(hours=hours)):
        why = platform.refusal(config)
    assert "this machine's clock says" in why
    assert words in why
    assert "Set the clock that is wrong." in why
    assert platform.run(["release"], config).success


def test_no_event_is_older_than_the_one_before(platform: Platform) -> None:
    with time_machine.travel(now_utc() + timedelta(minutes=3)):
        assert platform.release().success
    why = platform.refusal(platform.release_config(**SHADOW))
    assert "event 2 of the ledger of 'late_parcel' does not verify" in why
    assert "expected one not before the last event's" in why


def test_a_ledger_from_the_future_is_not_added_to(platform: Platform) -> None:
    """Its last event is ahead of this machine, whose clock has since been set back."""
    with time_machine.travel(now_utc() + timedelta(minutes=4)):
        assert platform.release().success
    with time_machine.travel(now_utc() - timedelta(minutes=4)):
        assert "not after this machine's clock" in platform.refusal(platform.release_config(**SHADOW))


@pytest.mark.parametrize("second", ["approve", "roll back"])
def test_of_two_approvers_at_once_one_wins_and_the_other_is_told(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, second: DecisionKind
) -> None:
    """Both have verified everything against the same ledger before either writes. In threads: Dagster has one run a process."""
    put_policy(platform.home, policy(ADA, BOB, roles={"challenger": 1}))
    place = {"role": "challenger", "arm": "challenger"}
    assert platform.release(ADA, **place).success
    assert platform.release(ADA, candidate="boosting", **place).success
    configs = (
        platform.release_config(ADA, candidate="line", **place),
        platform.release_config(BOB, decision=second, **place),
    )
    both_verified = threading.Barrier(2, timeout=60)
    put_new = DocumentStore.put_new

    def put_new_together(store: DocumentStore, path: str, data: bytes) -> None:
        both_verified.wait()
        put_new(store, path, data)

    monkeypatch.setattr(DocumentStore, "put_new", put_new_together)
    with ThreadPoolExecutor(2) as approvers:
        decided = [approvers.submit(recorded, platform, config) for config in configs]
    monkeypatch.undo()

    [won] = [one.result() for one in decided if one.exception() is None]
    [told] = [str(one.exception()) for one in decided if one.exception() is not None]
    assert "expected no such document yet, found one written by somebody else. Read it again and decide again." in told
    entries = platform.lake.ledger(platform.use_case.name).entries
    assert [entry.event.seq for entry in entries] == [1, 2, 3]
    assert entries[2] == won
    assert fold(entries).releases["challenger"].seq == 3


def recorded(platform: Platform, config: dict[str, Any]) -> Entry | None:
    """Record what this run config asks for, as the release asset does."""
    request = msgspec.convert(config["ops"][f"{platform.use_case.name}__release"]["config"], Request)
    return record(platform.lake, platform.use_case, request, Launch(tags={}, alone=True), now_utc())
