"""An event is recorded only as the policy of its time asks: each refusal has its own sentence, and nothing is written."""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lake.documents import DocumentStore, canonical
from lake.errors import Conflict, TrainServeError, VerificationError
from lake.home import Home
from lake.release.decision import DECISION_TYPE, Decision, statement_bytes
from lake.release.ledger import CLOCK_TOLERANCE, Entry, Event, Ledger
from lake.release.live import fold
from lake.release.policy import PolicyVersion
from lake.release.signatures import PlatformKey
from lake.release.trust import EVENT_TYPE, Trust
from lake.times import now_utc, rfc3339
from tests.approvers import ADA, BOB, EVE, Person, after, newest_policy, policy, put_policy, sign, to_sign
from tests.scenario import USE_CASE, decision

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
NOW = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)


@pytest.fixture
def home(home: Home) -> Home:
    """A home whose champions need two signatures: of ada, bob and eve, of whom eve decides on shadows of flights alone."""
    eve = EVE.listed(roles=("shadow",), use_cases=("flights",))
    put_policy(home, policy(ADA, BOB, eve, roles={"champion": 2}))
    return home


def read(home: Home, now: datetime = NOW) -> Ledger:
    """A reader that has just started and has read everything, on a machine whose clock stands at this moment."""
    reader = Ledger(DocumentStore(home.lake), USE_CASE, Trust.read(home), home.heads, lambda: now)
    reader.poll()
    return reader


def asked(home: Home, version: PolicyVersion | None = None, **changes: Any) -> Decision:
    """An approval as it is signed at noon, to be recorded within the hour."""
    facts = {"policy_digest": (version or newest_policy(home)).digest, "sign_by_utc": rfc3339(NOW + 3600 * SECOND), **changes}
    return decision(**facts)


def record(home: Home, decided: Decision, signers: Sequence[Person] = (ADA, BOB), at: datetime = NOW) -> Entry:
    """Record the decision with the signatures of these people, in the platform's name."""
    key = PlatformKey.read_or_make(home.keys)
    envelope = sign(decided, *signers) if signers else None
    return read(home, at).append(decided, "cleo", rfc3339(at), key, envelope)


def files(home: Home) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path(home.lake).rglob("*") if path.is_file()}


def test_what_the_policy_asks_for_is_recorded_with_who_signed_it(home: Home) -> None:
    entry = record(home, asked(home))
    champion = fold(read(home).entries).champion

    assert (entry.event.identity, entry.signers, entry.event.launcher) == ("signed", ("ada", "bob"), "cleo")
    assert champion is not None
    assert champion.approver == "ada and bob"


@pytest.mark.parametrize(
    ("changes", "signers", "complaint"),
    [
        pytest.param({}, (), "it needs 2 signatures of approvers and has 0", id="missing signatures"),
        pytest.param({}, (ADA,), "it needs 2 signatures of approvers and has 1", id="too few signatures"),
        pytest.param({"approver": "mallory"}, (ADA, BOB), "'mallory' is not an approver", id="an unknown approver"),
        pytest.param({}, (Person("ada"), Person("bob")), "no valid signature by any", id="keys that nobody knows"),
        pytest.param({}, (ADA, Person("bob")), "it needs 2 signatures of approvers and has 1", id="one of them unknown"),
        pytest.param({"approver": "eve"}, (ADA, BOB, EVE), "'eve' may not decide on a champion", id="another role"),
        pytest.param(
            {"approver": "eve", "role": "shadow"},
            (EVE,),
            "'eve' may not decide on a shadow of 'late_parcel'",
            id="another use case",
        ),
        pytest.param(
            {"trainer": "ada", "role": "shadow"},
            (ADA,),
            "'ada' trained this candidate and cannot approve it alone",
            id="own model",
        ),
        pytest.param({"sign_by_utc": rfc3339(NOW - SECOND)}, (ADA, BOB), "expected one before its sign_by_utc", id="too late"),
        pytest.param({"sign_by_utc": None}, (ADA, BOB), "signatures that count for ever", id="signatures without an end"),
        pytest.param({"sign_by_utc": "soon"}, (ADA, BOB), "unreadable", id="a sign_by that is no time"),
        pytest.param({"expires_at_utc": "soon"}, (ADA, BOB), "unreadable", id="a term that is no time"),
        pytest.param({"expires_at_utc": rfc3339(NOW)}, (ADA, BOB), "a release that expired at", id="expired at birth"),
        pytest.param(
            {"decision": "roll back", "expires_at_utc": rfc3339(NOW - DAY)},
            (ADA,),
            "a release that expired at",
            id="rolled back expired",
        ),
        pytest.param({"policy_digest": "7" * 64}, (ADA, BOB), "found policy 777777777777, expected", id="another policy"),
        pytest.param({"use_case": "flights"}, (ADA, BOB), "a decision for 'flights', expected", id="another use case's decision"),
    ],
)
def test_what_may_not_stand_is_refused_by_its_own_sentence(
    home: Home, changes: dict[str, Any], signers: tuple[Person, ...], complaint: str
) -> None:
    record(home, asked(home, reason="the first"))
    before = files(home)

    with pytest.raises(VerificationError, match=complaint):
        record(home, asked(home, **changes), signers)
    assert files(home) == before
    assert read(home).head.seq == 1


def test_who_trained_may_be_one_of_two_who_sign(home: Home) -> None:
    assert record(home, asked(home, trainer="ada")).signers == ("ada", "bob")


def test_a_signature_does_not_move_to_another_evaluation(home: Home) -> None:
    """The signatures stay, the payload under them is another: no reader takes it, whoever recorded it."""
    mine, other = asked(home), asked(home, evaluation_id="f" * 64)
    key = PlatformKey.read_or_make(home.keys)
    altered = {**sign(mine, ADA, BOB), "payload": key.seal(statement_bytes(other), DECISION_TYPE)["payload"]}

    with pytest.raises(VerificationError, match="no valid signature"):
        read(home).append(other, "cleo", rfc3339(NOW), key, altered)
    with pytest.raises(VerificationError, match="another decision under them"):
        read(home).append(other, "cleo", rfc3339(NOW), key, sign(mine, ADA, BOB))
    assert read(home).entries == []


def test_a_signed_decision_is_recorded_once(home: Home) -> None:
    decided = asked(home)
    record(home, decided)

    with pytest.raises(VerificationError, match="a nonce that was used before"):
        record(home, decided)
    assert read(home).head.seq == 1


def test_an_event_whose_clock_is_behind_the_ledger_is_refused(home: Home) -> None:
    record(home, asked(home))

    with pytest.raises(VerificationError, match=r"expected one not before the last event's, 2026-05-01T12:00:00\.000Z"):
        record(home, asked(home, reason="again"), at=NOW - SECOND)
    assert record(home, asked(home, reason="again"), at=NOW).event.seq == 2, "in the same moment is soon enough"


def test_an_event_from_ahead_of_the_readers_clock_waits_for_it(home: Home) -> None:
    record(home, asked(home))
    early = Ledger(DocumentStore(home.lake), USE_CASE, Trust.read(home), clock=lambda: NOW - CLOCK_TOLERANCE - SECOND)

    with pytest.raises(VerificationError, match=r"expected one not after this machine's clock, 2026-05-01T11:54:59"):
        early.poll()
    assert read(home, NOW - CLOCK_TOLERANCE).head.seq == 1


@pytest.mark.parametrize(("signers", "identity"), [((), "signed"), ((ADA,), "claimed")])
def test_an_event_says_of_its_identity_what_its_signatures_prove(home: Home, signers: tuple[Person, ...], identity: str) -> None:
    key = PlatformKey.read_or_make(home.keys)
    decided = asked(home, role="shadow")
    envelope = sign(decided, *signers) if signers else key.seal(statement_bytes(decided), DECISION_TYPE)
    lying: dict[str, Any] = {"decision": envelope, "identity": identity}
    event = Event(seq=1, previous="0" * 64, at_utc=rfc3339(NOW), launcher="cleo", **lying)
    data = canonical(key.seal(canonical(event), EVENT_TYPE))
    DocumentStore(home.lake).put_new(f"{USE_CASE}/releases/00000001.json", data)

    with pytest.raises(VerificationError, match=f"found identity '{identity}', expected what {len(signers)} signatures"):
        read(home)


def test_a_policy_that_changed_between_signing_and_recording_refuses(home: Home) -> None:
    signed_before = asked(home)
    change = NOW + 60 * SECOND
    put_policy(home, after(newest_policy(home), change, expired="refuse"), [ADA])
    before = files(home)

    with pytest.raises(VerificationError, match="version 2, in force then"):
        record(home, signed_before, at=change)
    assert files(home) == before
    assert record(home, signed_before, at=change - SECOND).event.seq == 1, "a moment before it is in force"
    assert record(home, asked(home, newest_policy(home), reason="again"), at=change).event.seq == 2


def test_a_policy_that_waits_for_signatures_changes_nothing(home: Home) -> None:
    put_policy(home, after(newest_policy(home), NOW - DAY, roles={}))

    with pytest.raises(VerificationError, match="it needs 2 signatures"):
        record(home, asked(home), [ADA])
    assert record(home, asked(home)).event.seq == 1


def test_each_event_is_judged_by_the_policy_of_its_time(home: Home) -> None:
    first = newest_policy(home)
    for number, count in enumerate((1, 2, 0), start=1):
        put_policy(home, after(newest_policy(home), NOW + number * DAY, roles={"champion": count}), [ADA])
    versions = Trust.read(home).policies.versions[1:]

    for days, (version, signers) in enumerate(zip(versions, [(ADA, BOB), (ADA,), (ADA, BOB), ()], strict=True)):
        moment = NOW + days * DAY
        decided = asked(home, version, reason=str(days), sign_by_utc=rfc3339(moment) if signers else None)
        record(home, decided, signers, at=moment)

    everything = read(home, NOW + 9 * DAY).entries
    assert versions[0] == first
    assert [entry.signers for entry in everything] == [("ada", "bob"), ("ada",), ("ada", "bob"), ()]


def test_what_a_retired_key_signed_stays_valid_and_it_signs_nothing_more(home: Home) -> None:
    record(home, asked(home))
    change = NOW + DAY
    eve = EVE.listed(since=change)
    put_policy(home, after(newest_policy(home), change, approvers=(ADA.listed(), BOB.listed(until=change), eve)), [ADA])

    terms: dict[str, Any] = {"reason": "again", "sign_by_utc": rfc3339(change)}
    with pytest.raises(VerificationError, match="it needs 2 signatures of approvers and has 1"):
        record(home, asked(home, **terms), [ADA, BOB], at=change)
    record(home, asked(home, **terms), [ADA, EVE], at=change)

    assert [entry.signers for entry in read(home, change).entries] == [("ada", "bob"), ("ada", "eve")]


def test_a_key_that_counts_later_signs_nothing_yet(home: Home) -> None:
    late = policy(ADA, BOB.listed(since=NOW + DAY), EVE.listed(), roles={"champion": 2})
    elsewhere = Home.at(home.root / "elsewhere")
    put_policy(elsewhere, late)

    with pytest.raises(VerificationError, match="it needs 2 signatures of approvers and has 1"):
        record(elsewhere, asked(elsewhere))
    tomorrow = rfc3339(NOW + DAY)
    assert record(elsewhere, asked(elsewhere, sign_by_utc=tomorrow), at=NOW + DAY).signers == ("ada", "bob")


def test_a_cut_ledger_is_not_appended_to(home: Home) -> None:
    """Not even by a writer that has not read it: its event would stand in the place of one that was seen."""
    record(home, asked(home))
    [written] = (Path(home.lake) / USE_CASE / "releases").glob("*.json")
    written.unlink()
    unread = Ledger(DocumentStore(home.lake), USE_CASE, Trust.read(home), home.heads, lambda: NOW)
    decided = asked(home, reason="in its place")

    with pytest.raises(Conflict, match="expected 0 events, found 1, as were seen before"):
        unread.append(decided, "cleo", rfc3339(NOW), PlatformKey.read_or_make(home.keys), sign(decided, ADA, BOB))
    assert not written.exists()


def test_a_broken_approvers_file_stops_what_is_new_and_forgets_nothing(home: Home) -> None:
    record(home, asked(home))
    reader, another = read(home), asked(home, reason="another")
    whole = home.approvers.read_bytes()
    home.approvers.write_bytes(b"- policy: {}")

    with pytest.raises(TrainServeError, match=r"approvers\.yaml"):
        reader.poll()
    assert reader.head.seq == 1
    with pytest.raises(TrainServeError, match=r"approvers\.yaml"):
        reader.append(another, "cleo", rfc3339(NOW), PlatformKey.read_or_make(home.keys), sign(another, ADA, BOB))
    home.approvers.write_bytes(whole)
    assert not reader.poll()


def test_signatures_are_made_over_what_is_recorded(home: Home) -> None:
    decided = to_sign(decision(), newest_policy(home))
    at = now_utc()
    entry = record(home, decided, at=at)

    assert entry.decision == decided
    assert msgspec.json.encode(entry.event.decision) == msgspec.json.encode(sign(decided, ADA, BOB))
