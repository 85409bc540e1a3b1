"""The ledger holds only what a trusted key signed, in its order and whole; whoever can write files changes nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner

from lake.documents import DocumentStore, canonical, sha256
from lake.errors import Conflict, VerificationError
from lake.home import Home
from lake.release.decision import DECISION_TYPE
from lake.release.heads import Head
from lake.release.ledger import Event, Ledger
from lake.release.signatures import PlatformKey, opened
from lake.release.trust import EVENT_TYPE, Trust
from tests.scenario import USE_CASE, decision

KEY = PlatformKey(CryptoSigner.generate_ed25519())
AT = "2026-01-01T00:00:00.000Z"


def ledger(home: Home, *, heads: bool = True, use_case: str = USE_CASE) -> Ledger:
    """A reader that has just started, and has read nothing yet."""
    return Ledger(DocumentStore(home.lake), use_case, Trust.in_key(KEY), home.heads if heads else None)


def recorded(home: Home, events: int) -> Ledger:
    """A ledger with some approvals in it, read by somebody who keeps heads."""
    writer = ledger(home)
    writer.poll()
    for number in range(len(writer.entries) + 1, events + 1):
        writer.append(decision(reason=f"event {number}"), "ada", AT, KEY)
    return writer


def file_of(home: Home, seq: int) -> Path:
    """Where an event stands."""
    return Path(home.lake) / USE_CASE / "releases" / f"{seq:08}.json"


def signed_event(payload: dict[str, Any], *, key: PlatformKey = KEY, decider: PlatformKey = KEY, **event: Any) -> bytes:
    """The bytes of a first event, well made but for what the test changes."""
    facts: dict[str, Any] = {"seq": 1, "previous": Head().digest, "at_utc": AT, "launcher": "ada", **event}
    facts.setdefault("decision", decider.seal(canonical(payload), DECISION_TYPE))
    return canonical(key.seal(canonical(Event(**facts)), EVENT_TYPE))


def statement(home: Home, **changes: Any) -> dict[str, Any]:
    """The statement that the platform writes for a decision, read back from a ledger of its own."""
    elsewhere = Home.at(home.root / "elsewhere")
    writer = ledger(elsewhere)
    event = writer.append(decision(**changes), "ada", AT, KEY).event
    found: dict[str, Any] = msgspec.json.decode(opened(event.decision, DECISION_TYPE, {KEY.public.keyid: KEY.public}, "it")[0])
    file_of(elsewhere, 1).unlink()
    (elsewhere.heads / f"{USE_CASE}.json").unlink()
    return found


def test_what_is_appended_is_read_by_another_reader(home: Home) -> None:
    written = recorded(home, 3)
    reader = ledger(home)

    assert reader.poll()
    assert reader.entries == written.entries
    assert [entry.decision.reason for entry in reader.entries] == ["event 1", "event 2", "event 3"]
    assert [entry.event.launcher for entry in reader.entries] == ["ada"] * 3
    assert not reader.poll(), "nothing is new any more"


def test_a_reader_sees_what_is_appended_later(home: Home) -> None:
    reader = ledger(home)
    assert not reader.poll()

    recorded(home, 1)
    assert reader.poll()
    recorded(home, 3)
    assert reader.poll()
    assert reader.head.seq == 3


def test_each_event_links_to_the_bytes_of_the_one_before(home: Home) -> None:
    recorded(home, 2)
    first, second = ledger(home), ledger(home)
    second.poll()
    first.poll()

    assert second.entries[1].event.previous == sha256(file_of(home, 1).read_bytes())
    assert second.entries[0].event.previous == Head().digest


@pytest.mark.parametrize("heads", [True, False])
def test_of_two_writers_one_wins_and_the_other_may_decide_again(home: Home, *, heads: bool) -> None:
    quick, slow = ledger(home), ledger(home, heads=heads)
    quick.poll()
    slow.poll()
    quick.append(decision(reason="quick"), "ada", AT, KEY)

    with pytest.raises(Conflict):
        slow.append(decision(reason="slow"), "bob", AT, KEY)
    slow.poll()
    slow.append(decision(reason="slow"), "bob", AT, KEY)

    assert [entry.decision.reason for entry in recorded(home, 2).entries] == ["quick", "slow"]


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_bit_of_an_event_is_noticed(home: Home, data: st.DataObject) -> None:
    recorded(home, 2)
    path = file_of(home, data.draw(st.integers(1, 2), label="event"))
    whole = path.read_bytes()
    position = data.draw(st.integers(0, len(whole) - 1), label="byte")
    flipped = whole[position] ^ (1 << data.draw(st.integers(0, 7), label="bit"))
    path.write_bytes(whole[:position] + bytes([flipped]) + whole[position + 1 :])
    try:
        with pytest.raises(VerificationError):
            ledger(home).poll()
    finally:
        path.write_bytes(whole)


def spare_bit(envelope: dict[str, Any]) -> bytes:
    """The same signature in other base64: its last letter stands for four bits that nothing reads."""
    [signature] = envelope["signatures"]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = letters[letters.index(signature["sig"][-3]) + 1]
    return canonical({**envelope, "signatures": [{**signature, "sig": signature["sig"][:-3] + other + "=="}]})


def another_signature(envelope: dict[str, Any]) -> bytes:
    """One more signature, by a key that nobody trusts."""
    foreign = PlatformKey(CryptoSigner.generate_ed25519()).sign(b"whatever", EVENT_TYPE)
    return canonical({**envelope, "signatures": [*envelope["signatures"], foreign]})


@pytest.mark.parametrize(
    "written",
    [
        spare_bit,
        another_signature,
        lambda envelope: canonical({**envelope, "note": "mine"}),
        lambda envelope: canonical({**envelope, "signatures": [{**envelope["signatures"][0], "note": "mine"}]}),
        lambda envelope: msgspec.json.format(canonical(envelope), indent=2),
    ],
)
def test_an_event_stands_in_its_own_bytes_alone(home: Home, written: Callable[[dict[str, Any]], bytes]) -> None:
    """Else whoever writes files could give the last event another digest, and split those who read it before from the rest."""
    recorded(home, 1)
    path = file_of(home, 1)
    path.write_bytes(written(msgspec.json.decode(path.read_bytes())))

    with pytest.raises(VerificationError, match="found bytes around the signed ones"):
        ledger(home, heads=False).poll()


def test_a_reordered_ledger_is_refused(home: Home) -> None:
    recorded(home, 2)
    first, second = file_of(home, 1).read_bytes(), file_of(home, 2).read_bytes()
    file_of(home, 1).write_bytes(second)
    file_of(home, 2).write_bytes(first)

    reader = ledger(home, heads=False)
    with pytest.raises(VerificationError, match=r"event 1 .* found event 2"):
        reader.poll()
    assert reader.entries == []


@pytest.mark.parametrize("removed", [1, 2, 3])
def test_a_removed_event_is_noticed_also_after_a_restart(home: Home, removed: int) -> None:
    recorded(home, 3)
    file_of(home, removed).unlink()

    restarted = ledger(home)
    with pytest.raises(VerificationError, match="at least 3, as were seen before"):
        restarted.poll()
    assert restarted.entries == [], "nothing of a cut ledger is believed: what was revoked at its end would live again"


def test_a_reader_that_is_up_goes_on_with_what_it_read_before_the_cut(home: Home) -> None:
    reader = recorded(home, 3)
    file_of(home, 3).unlink()

    reader.poll()

    assert reader.head.seq == 3


def test_another_ledger_in_its_place_is_refused_although_the_platform_signed_it(home: Home) -> None:
    recorded(home, 2)
    other = Home.at(home.root / "other")
    recorded(other, 1)
    ledger(other).poll()
    writer = ledger(other)
    writer.poll()
    writer.append(decision(reason="another second event"), "ada", AT, KEY)
    for seq in (1, 2):
        file_of(home, seq).write_bytes(file_of(other, seq).read_bytes())

    restarted = ledger(home)
    with pytest.raises(VerificationError, match="another event 2"):
        restarted.poll()
    assert restarted.entries == []


def test_an_event_that_a_foreign_key_signed_is_refused(home: Home) -> None:
    foreign = PlatformKey(CryptoSigner.generate_ed25519())
    writer = Ledger(DocumentStore(home.lake), USE_CASE, Trust.in_key(foreign))
    writer.append(decision(), "mallory", AT, foreign)

    with pytest.raises(VerificationError, match="no valid signature"):
        ledger(home).poll()


def test_a_decision_that_a_foreign_key_signed_is_refused_inside_a_good_event(home: Home) -> None:
    foreign = PlatformKey(CryptoSigner.generate_ed25519())
    good = statement(home)
    store = DocumentStore(home.lake)
    store.put_new(f"{USE_CASE}/releases/00000001.json", signed_event(good, decider=foreign))

    with pytest.raises(VerificationError, match=r"the decision of event 1 .* no valid signature"):
        ledger(home).poll()


def test_a_decision_is_accepted_once(home: Home) -> None:
    writer = recorded(home, 1)

    with pytest.raises(VerificationError, match="a nonce that was used before"):
        writer.append(writer.entries[0].decision, "mallory", AT, KEY)


@pytest.mark.parametrize(
    ("event", "complaint"),
    [
        ({"seq": 2}, "found event 2, expected event 1"),
        ({"previous": "1" * 64}, "found a link to 111111111111"),
        ({"decision": {}}, "no signed envelope"),
        ({"identity": "signed"}, "found identity 'signed'"),
        ({"at_utc": "soon"}, "unreadable"),
        ({"at_utc": "2026-01-01T00:00:00"}, "does not say its offset from UTC"),
        ({"at_utc": "2999-01-01T00:00:00Z"}, "one not after this machine's clock"),
    ],
)
def test_a_signed_event_that_does_not_fit_its_place_is_refused(home: Home, event: dict[str, Any], complaint: str) -> None:
    DocumentStore(home.lake).put_new(f"{USE_CASE}/releases/00000001.json", signed_event(statement(home), **event))

    with pytest.raises(VerificationError, match=complaint):
        ledger(home).poll()


@pytest.mark.parametrize(
    "change",
    [
        {"subject": []},
        {"subject": [{"name": "package", "digest": {"sha256": "b" * 64}}]},
        {"_type": "https://in-toto.io/Statement/v0.1"},
        {"predicateType": "https://slsa.dev/provenance/v1"},
        {"predicate": {}},
        {"predicate": None},
    ],
)
def test_a_statement_whose_subjects_its_predicate_does_not_name_is_refused(home: Home, change: dict[str, Any]) -> None:
    DocumentStore(home.lake).put_new(f"{USE_CASE}/releases/00000001.json", signed_event({**statement(home), **change}))

    with pytest.raises(VerificationError):
        ledger(home).poll()


def test_the_event_of_another_use_case_is_refused(home: Home) -> None:
    store = DocumentStore(home.lake)
    store.put_new("other/releases/00000001.json", signed_event(statement(home)))

    with pytest.raises(VerificationError, match="a decision for 'late_parcel'"):
        ledger(home, use_case="other").poll()


def test_a_bad_event_does_not_hide_the_good_ones_before_it(home: Home) -> None:
    reader = ledger(home)
    reader.poll()
    recorded(home, 2)
    file_of(home, 3).write_bytes(b"garbage")

    with pytest.raises(VerificationError, match="event 3"):
        reader.poll()
    assert [entry.event.seq for entry in reader.entries] == [1, 2]


@given(content=st.binary(max_size=50) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(msgspec.json.encode))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_the_place_of_an_event_is_refused(home: Home, content: bytes) -> None:
    DocumentStore(home.lake).put(f"{USE_CASE}/releases/00000001.json", content)

    with pytest.raises(VerificationError):
        ledger(home).poll()
