"""`trainserve verify` reads everything that a release rests on, offline, and names the first event that does not hold."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lake.delta import Table
from lake.documents import DocumentStore
from lake.evaluation import Evaluation, append_evaluation
from lake.home import Home
from lake.package import pack, put_package
from lake.release.approvers import read_written, write_written
from lake.release.ledger import Ledger
from lake.release.signatures import TRUSTED, PlatformKey
from lake.release.trust import Trust
from lake.tables import EVALUATION
from lake.times import rfc3339
from tests.approvers import ADA, BOB, Person, after, newest_policy, policy, put_policy, sign
from tests.lake.conftest import Trainserve
from tests.scenario import USE_CASE, decision, manifest, small_trees

AT = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


@cache
def toy(seed: int) -> Any:
    """Trained once for all tests."""
    return small_trees(seed)


class Released:
    """Two packages with their evaluations, and what ada and bob decided on them, an hour after the other."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._store = DocumentStore(home.lake)
        self._key = PlatformKey.read_or_make(home.keys)
        self.packages = [self._candidate(seed) for seed in (1, 2)]
        put_policy(home, policy(ADA, BOB, roles={"champion": 2}))
        first, second = self.packages
        self.decide("approve", first, [ADA, BOB])
        self.decide("approve", second, [ADA, BOB])
        self.decide("roll back", first, [BOB])

    def decide(self, kind: str, package: str, signers: Sequence[Person]) -> None:
        """Record a decision on a package, as the next event."""
        ledger = Ledger(self._store, USE_CASE, Trust.read(self.home), self.home.heads)
        ledger.poll()
        at = AT + ledger.head.seq * HOUR
        facts = {"decision": kind, "package_digest": package, "evaluation_id": self.evaluation(package).evaluation_id}
        terms = {"approver": signers[0].name, "policy_digest": newest_policy(self.home).digest, "sign_by_utc": rfc3339(at)}
        decided = decision(**facts, **terms)
        ledger.append(decided, "cleo", rfc3339(at), self._key, sign(decided, *signers))

    def evaluation(self, package: str) -> Evaluation:
        """The evidence about a package."""
        facts: dict[str, Any] = {
            "candidate": "small_trees",
            "model_version": "small_trees 0.0.0-1.1",
            "engine": "catboost",
            "dataset_version": 1,
            "dataset_digest": "d" * 64,
            "split": {},
            "trainer": "cleo",
            "release_standard_digest": "5" * 64,
            "looks": 1,
            "estimates": (),
        }
        return Evaluation(use_case=USE_CASE, task="binary", package_digest=package, **facts)

    def event(self, seq: int) -> Path:
        """The file of an event."""
        return Path(self.home.lake) / USE_CASE / "releases" / f"{seq:08}.json"

    def files(self) -> dict[Path, bytes]:
        """Everything in the lake."""
        return {path: path.read_bytes() for path in Path(self.home.lake).rglob("*") if path.is_file()}

    def _candidate(self, seed: int) -> str:
        rows = [("north", "van", 12.5, False)]
        package = pack(manifest(seed=seed), toy(seed), rows)
        put_package(self._store, package)
        append_evaluation(self.home.lake, self.evaluation(package.digest), AT)
        return package.digest


@pytest.fixture
def released(home: Home) -> Released:
    return Released(home)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_ledger_that_holds_is_told_line_by_line(trainserve: Trainserve, released: Released) -> None:
    before = released.files()
    ended = trainserve("verify")
    first, second = (digest[:12] for digest in released.packages)

    assert (ended.status, ended.err) == (0, "")
    assert (
        f"   1  2026-05-01T12:00:00Z  approve   {first} as champion on champion, by ada and bob (signed), launched by cleo"
        in (ended.out)
    )
    assert f"   2  2026-05-01T13:00:00Z  approve   {second}" in ended.out
    assert f"   3  2026-05-01T14:00:00Z  roll back {first} as champion on champion, by bob (signed)" in ended.out
    assert "3 events, 2 of 2 approved packages read" in ended.out
    assert "2 of 2 evaluations read" in ended.out
    assert "policy: version 1 is in force" in ended.out
    assert released.files() == before, "who verifies changes nothing"


def swap(released: Released) -> None:
    one, two = released.event(1).read_bytes(), released.event(2).read_bytes()
    released.event(1).write_bytes(two)
    released.event(2).write_bytes(one)


def change_package(released: Released) -> None:
    flip(Path(released.home.lake) / USE_CASE / "packages" / released.packages[1] / "model.cbm")


def remove_package(released: Released) -> None:
    for path in (Path(released.home.lake) / USE_CASE / "packages" / released.packages[1]).iterdir():
        path.unlink()


def change_evaluation(released: Released) -> None:
    """The row of the second package claims fewer looks at the holdout than there were."""
    table = Table(released.home.lake, USE_CASE, EVALUATION)
    mine = pl.col("package_digest") == released.packages[1]
    changed = pl.when(mine).then(pl.col("document").str.replace('"looks":1', '"looks":0', literal=True)).otherwise("document")
    table.replace(table.scan().with_columns(document=changed).collect(), "forged")


def change_policy(released: Released) -> None:
    text = released.home.approvers.read_text()
    assert "champion: 2" in text
    released.home.approvers.write_text(text.replace("champion: 2", "champion: 1"))


DAMAGES: dict[str, tuple[Callable[[Released], None], str]] = {
    "a changed byte": (lambda released: flip(released.event(2)), "event 2 of the ledger of 'late_parcel' does not verify"),
    "a removed event": (lambda released: released.event(2).unlink(), "found 1 events, expected at least 3, as were seen before"),
    "a truncated ledger": (lambda released: released.event(3).unlink(), "found 2 events, expected at least 3, as were seen"),
    "reordered events": (swap, "event 1 of the ledger of 'late_parcel' does not verify: found event 2, expected event 1"),
    "a changed package": (change_package, "event 2 of the ledger of 'late_parcel': package {second} does not verify"),
    "a package that is gone": (remove_package, "event 2 of the ledger of 'late_parcel': There is no package '{second}"),
    "a changed evaluation": (change_evaluation, "event 2 of the ledger of 'late_parcel': evaluation"),
    "a changed policy": (change_policy, "found another version 1, expected the one seen before"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_first_event_that_does_not_hold_is_named(trainserve: Trainserve, released: Released, damage: str) -> None:
    harm, complaint = DAMAGES[damage]
    harm(released)
    ended = trainserve("verify")

    assert ended.status == 1
    assert complaint.format(second=released.packages[1][:12]) in ended.out + ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [("a changed byte", "event 2"), ("reordered events", "event 1"), ("a changed policy", "the decision of event 1")],
)
def test_who_has_never_read_it_before_names_it_too(
    trainserve: Trainserve, released: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str, complaint: str
) -> None:
    """An auditor has a copy of the lake, the platform's public key and approvers.yaml, and has seen nothing yet."""
    auditor = Home.at(tmp_path / "auditor", released.home.lake, released.home.approvers)
    (auditor.keys / TRUSTED).mkdir(parents=True)
    for key in (released.home.keys / TRUSTED).iterdir():
        (auditor.keys / TRUSTED / key.name).write_bytes(key.read_bytes())
    DAMAGES[damage][0](released)
    for name, value in auditor.environment().items():
        monkeypatch.setenv(name, value)
    ended = trainserve("verify")

    assert ended.status == 1
    assert f"does not hold: {complaint} of the ledger of 'late_parcel' does not verify" in ended.out


def test_what_holds_before_the_damage_is_still_told(trainserve: Trainserve, released: Released) -> None:
    released.decide("approve", released.packages[1], [ADA, BOB])
    trainserve("verify")
    (released.home.heads / f"{USE_CASE}.json").unlink()
    flip(released.event(3))
    ended = trainserve("verify")

    assert ended.status == 1
    assert "2 events, 2 of 2 approved packages read" in ended.out
    assert "does not hold: event 3" in ended.out


def test_a_ledger_that_was_removed_with_its_folder_is_missed(trainserve: Trainserve, released: Released) -> None:
    for path in sorted((Path(released.home.lake) / USE_CASE).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (Path(released.home.lake) / USE_CASE).rmdir()
    ended = trainserve("verify")

    assert ended.status == 1
    assert "the ledger of 'late_parcel' does not verify: found 0 events, expected at least 3" in ended.out


def test_a_revoked_package_may_be_gone_and_may_not_be_changed(trainserve: Trainserve, released: Released) -> None:
    released.decide("revoke", released.packages[1], [ADA])
    change_package(released)
    assert trainserve("verify").status == 1
    remove_package(released)
    ended = trainserve("verify")

    assert ended.status == 0
    assert "4 events, 1 of 2 approved packages read" in ended.out


def test_a_policy_that_is_only_proposed_changes_nothing(trainserve: Trainserve, released: Released) -> None:
    put_policy(released.home, after(newest_policy(released.home)))

    assert trainserve("verify").status == 0


def test_versions_of_the_policy_that_are_gone_are_told(trainserve: Trainserve, released: Released) -> None:
    put_policy(released.home, after(newest_policy(released.home), AT + 99 * HOUR), [ADA])
    assert trainserve("verify").status == 0
    write_written(released.home.approvers, read_written(released.home.approvers)[:1])
    ended = trainserve("verify")

    assert ended.status == 1
    assert "found 1 versions that hold, expected at least 2, as were seen before" in ended.err


def test_where_nothing_was_released_there_is_nothing_to_hold(trainserve: Trainserve, home: Home) -> None:
    DocumentStore(home.lake)
    ended = trainserve("verify")

    assert ended.status == 0
    assert "nothing was ever released here" in ended.out


@pytest.mark.usefixtures("released")
def test_a_use_case_without_a_ledger_is_told_by_name(trainserve: Trainserve) -> None:
    ended = trainserve("verify", "flights", USE_CASE)

    assert ended.status == 1
    assert "there is no ledger of 'flights'" in ended.out
    assert "3 events" in ended.out


def test_without_the_platforms_key_it_says_which_file_is_missing(trainserve: Trainserve, released: Released) -> None:
    for key in (released.home.keys / TRUSTED).iterdir():
        key.unlink()
    ended = trainserve("verify")

    assert ended.status == 1
    assert "trusted is 'empty', expected the platform's public key" in ended.out


def test_a_lake_that_is_away_is_no_empty_one(trainserve: Trainserve, released: Released) -> None:
    Path(released.home.lake).rename(released.home.root / "elsewhere")
    ended = trainserve("verify")

    assert ended.status == 1
    assert "is not available" in ended.err
