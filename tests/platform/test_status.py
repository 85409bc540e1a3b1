"""`trainserve status` says what is live on whose word, and fails when a ledger does not hold."""

import subprocess
from pathlib import Path

import pytest

from lake.documents import DocumentStore
from lake.home import Home
from lake.release.ledger import Ledger
from lake.release.signatures import PlatformKey
from lake.release.trust import Trust
from tests.scenario import decision
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
