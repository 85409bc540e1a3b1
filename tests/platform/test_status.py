"""`trainserve status` says what is live on whose word, and fails when a ledger does not hold."""

import re
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from lake.documents import DocumentStore
from lake.home import Home, now_us
from lake.log.records import encode_record
from lake.log.segment import closed_segments
from lake.log.shipper import Shipper
from lake.log.slot import Slot
from lake.release.decision import Waiver
from lake.release.ledger import Ledger
from lake.release.signatures import PlatformKey
from lake.release.trust import Trust
from lake.times import now_utc, rfc3339
from tests.approvers import ADA, BOB, after, policy, put_policy, sign, to_sign
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


def test_of_a_lake_that_is_not_there_it_says_how_to_name_another_and_makes_none(home: Home) -> None:
    code, said = status(home)

    assert code == 1
    assert f"the lake at {home.lake} is not available: its folder is not there" in said
    assert "TRAINSERVE_HOME, which has it in lake/. Without them it is .trainserve/lake in the working directory" in said
    assert not Path(home.lake).exists()


@pytest.mark.usefixtures("store")
def test_before_a_release_it_says_what_to_do(home: Home) -> None:
    code, said = status(home)

    assert code == 0
    assert "nothing was ever released; materialize flight_delay/release in Dagit" in said
    assert "flight_delay: 0 predictions, 0 labels" in said


def test_it_names_what_is_live_since_when_and_who_approved_it(home: Home, released: Ledger) -> None:
    code, said = status(home)

    assert code == 0
    assert f"a ledger of {released.head.seq} events; chain and signatures hold" in said
    assert "champion champion 1.0.0, package aaaaaaaaaaaa live since 2026-01-02 03:04 until 2027-01-02 03:04 UTC, " in said
    assert "approved by ada, whose name is claimed, not proven by a signature" in said
    assert "challenger challenger 2.0.0, package bbbbbbbbbbbb" in said


@pytest.mark.parametrize(
    ("days", "expired", "words"),
    [
        (31.0, "serve", None),
        (20.0, "serve", "expires at {until}, within 30 days. An approver approves it again"),
        (0.5, "serve", "expires at {until}, within 1 day."),
        (-1.0, "serve", "expired at {until} and is served on, as the policy says. An approver approves it again"),
        (-1.0, "refuse", "expired at {until}, and the policy lets no expired release answer"),
    ],
)
def test_it_says_when_a_release_expires_and_by_which_waiver(
    home: Home, store: DocumentStore, days: float, expired: Literal["serve", "refuse"], words: str | None
) -> None:
    version = put_policy(home, policy(ADA, BOB, expired=expired))
    key = PlatformKey.read_or_make(home.keys)
    begun = now_utc() - timedelta(days=10)
    until = rfc3339(now_utc() + timedelta(days=days))
    waiver = Waiver(gate="better_than_the_base_rate", reason="spring [only]", expires_at_utc=until)
    approval = decision(use_case=FLIGHTS, policy_digest=version.digest, waivers=(waiver,))
    signed = msgspec.structs.replace(to_sign(approval, version), sign_by_utc=until if days > 0 else rfc3339(now_utc()))
    Ledger(store, FLIGHTS, Trust.read(home), home.heads).append(signed, "ada", rfc3339(begun), key, sign(signed, ADA, BOB))

    code, said = status(home)

    assert code == 0
    assert "approved by ada and bob, who signed it" in said
    assert f"although better_than_the_base_rate fails, until {until[:16].replace('T', ' ')}: spring [only]" in said
    assert "expire" not in said if words is None else words.format(until=until) in said


def test_it_says_which_policy_waits_for_signatures(home: Home, released: Ledger) -> None:
    first = put_policy(home, policy(ADA, BOB, valid_from_utc=now_utc()))
    put_policy(home, after(first))

    code, said = status(home)

    assert code == 0
    assert released.head.seq == 2
    assert "version 2 of the policy waits: it has 0 of 1 signatures of approvers whom version 1 names" in said


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
