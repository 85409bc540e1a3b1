"""`trainserve status` says what is live on whose word, and fails when a ledger does not hold."""

import re
import subprocess
from pathlib import Path

import pytest

from lake.documents import DocumentStore
from lake.home import Home, now_us
from lake.log.records import encode_record
from lake.log.segment import closed_segments
from lake.log.shipper import Shipper
from lake.log.slot import Slot
from lake.release.ledger import Ledger
from lake.release.signatures import PlatformKey
from lake.release.trust import Trust
from tests.scenario import decision, prediction
from trainserve_assets.platform.processes import trainserve_command

FLIGHTS = "flight_delay"


def status(home: Home) -> tuple[int, str]:
    """The command's exit status and what it printed, on one line."""
    ended = subprocess.run(trainserve_command("status"), capture_output=True, text=True, check=False, env=None)
    assert str(home.root) in ended.stdout.replace("\n", "")
    return ended.returncode, " ".join(ended.stdout.split())


@pytest.fixture
def released(home: Home, store: DocumentStore) -> Ledger:
    """A champion and a challenger of the flights, as the ledger has them."""
    key = PlatformKey.read_or_make(home.keys)
    ledger = Ledger(store, FLIGHTS, Trust.in_key(key), home.heads)
    for arm, digest in (("champion", "a" * 64), ("challenger", "b" * 64)):
        approval = decision(use_case=FLIGHTS, arm=arm, role=arm, package_digest=digest, model_version=f"{arm} 1.0.0")
        ledger.append(approval, "ada", "2026-01-02T03:04:05Z", key)
    return ledger


def test_before_a_release_it_says_what_to_do(home: Home) -> None:
    code, said = status(home)

    assert code == 0
    assert "nothing was ever released; materialize flight_delay/release in Dagit" in said
    assert "flight_delay: 0 predictions, 0 labels" in said


def test_it_names_what_is_live_since_when_and_who_approved_it(home: Home, released: Ledger) -> None:
    code, said = status(home)

    assert code == 0
    assert f"a ledger of {released.head.seq} events; chain and signatures hold" in said
    assert "champion champion 1.0.0, package aaaaaaaaaaaa live since 2026-01-02 03:04:05 UTC, approved by ada" in said
    assert "challenger challenger 1.0.0, package bbbbbbbbbbbb" in said


@pytest.mark.parametrize("left", [0, 1])
def test_a_ledger_that_was_cut_fails_it(home: Home, released: Ledger, left: int) -> None:
    for path in sorted(Path(home.lake, FLIGHTS, "releases").iterdir())[left:]:
        path.unlink()

    code, said = status(home)

    assert code == 1
    assert f"found {left} events, expected at least {released.head.seq}, as were seen before" in said


def log_one(home: Home) -> Path:
    """Have a worker log a prediction that arrived an hour ago; returns its closed segment."""
    received_at_us = now_us() - 3_600_000_000
    with Slot.lease(home.spools) as slot:
        slot.append([encode_record(prediction(1, received_at_us=received_at_us))])
        slot.rotate()
    [closed] = closed_segments(slot.folder)
    return closed


def test_it_says_what_waits_in_which_slot_and_for_how_long(home: Home) -> None:
    _, said = status(home)
    assert "log: nothing waits for the shipper" in said

    size = log_one(home).stat().st_size
    _, said = status(home)

    waits = re.search(r"log: 1 records \((\d+) bytes\) wait in slot-000 for the shipper, the oldest ([\d,.]+) s", said)
    assert waits is not None
    assert int(waits[1]) == size
    assert 3600 <= float(waits[2].replace(",", "")) < 3700


def test_it_says_where_unreadable_bytes_are_kept(home: Home) -> None:
    closed = log_one(home)
    closed.write_bytes(closed.read_bytes()[:-7])
    Shipper(home).ship()

    _, said = status(home)

    kept = home.root / "set_aside"
    [aside] = kept.iterdir()
    assert f"log: 1 segments held {aside.stat().st_size} bytes that nobody can read, kept in {kept}" in said
