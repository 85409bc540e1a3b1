"""What changes the meaning of answers is followed only with the signatures that the policy asks for, under just that."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from lake.documents import DocumentStore, canonical
from lake.errors import SettingError, VerificationError
from lake.home import Home
from lake.parameters.document import Parameters, content_of
from lake.parameters.rules import Compare, Rule, Shift
from lake.parameters.signed import Judge, Proposal, line_of, read_lines, sign_proposal
from lake.parameters.stored import follow
from lake.release.decision import RiskTier
from lake.release.trust import Trust
from lake.times import now_utc, rfc3339
from tests.approvers import ADA, BOB, EVE, Person, policy, put_policy
from tests.lake.test_parameters import parameters

SHIFT = Rule(name="heavy", when=Compare(field="weight_kg", by=">", value=500.0), then=(Shift(by=0.1),))


def proposal(home: Home, document: Parameters, after_version: int, **changes: Any) -> Proposal:
    """What approvers sign of a document."""
    facts = {
        "use_case": document.use_case,
        "after_version": after_version,
        "content": content_of(document),
        "why": document.why,
        "policy_digest": Trust.read(home).policy_at(now_utc()).digest,
        "sign_by_utc": rfc3339(now_utc() + timedelta(hours=1)),
    }
    return Proposal(**{**facts, **changes})


def signed(home: Home, document: Parameters, *people: Person, after_version: int = 0, **changes: Any) -> Parameters:
    """The document with the signatures of these people."""
    wanted = proposal(home, document, after_version, **changes)
    lines = [line_of(sign_proposal(wanted, person.key)) for person in people]
    found = read_lines(lines)
    assert found is not None
    return replace(document, proposal=found.envelope)


def shifted(version: int = 1, **changes: Any) -> Parameters:
    facts = {"version": version, "rules": (SHIFT,), "why": "incident 7", "changed_at_utc": rfc3339(now_utc()), **changes}
    return parameters(**facts)


def judge(home: Home, tier: RiskTier = "low") -> Judge:
    return Judge(Trust.read(home), tier, now_utc())


@pytest.fixture
def two_needed(home: Home) -> Home:
    """A home whose policy asks for two signatures under a champion; eve may not decide on one."""
    put_policy(home, policy(ADA, BOB, EVE.listed(roles=("shadow",)), roles={"champion": 2}))
    return home


def test_what_is_signed_is_followed_and_says_by_whom(two_needed: Home) -> None:
    assert judge(two_needed).check(parameters(), signed(two_needed, shifted(), ADA, BOB)) == ("ada", "bob")


@pytest.mark.parametrize("people", [(), (ADA,), (ADA, EVE), (EVE,)], ids=lambda people: "+".join(one.name for one in people))
def test_too_few_signatures_are_told_with_what_they_are_needed_for(two_needed: Home, people: tuple[Person, ...]) -> None:
    document = signed(two_needed, shifted(), *people) if people else shifted()

    with pytest.raises(VerificationError, match=r"rule 'heavy' is new: shift the score by \+0\.1: \d of 2 signatures"):
        judge(two_needed).check(parameters(), document)


def test_where_the_policy_asks_for_none_one_operator_is_enough_and_a_high_risk_asks_always(home: Home) -> None:
    assert judge(home).check(parameters(), shifted()) == ()
    with pytest.raises(VerificationError, match="0 of 1 signatures"):
        judge(home, "high").check(parameters(), shifted())


def test_a_share_beyond_its_release_is_never_given_unsigned(home: Home) -> None:
    arms = parameters().arms
    document = parameters(version=1, arms={**arms, "trial": replace(arms["trial"], beyond_release=1)})

    with pytest.raises(VerificationError, match="whatever release 1 allows: 0 of 1 signatures"):
        judge(home).check(parameters(), document)


@pytest.mark.parametrize(
    ("forged", "complaint"),
    [
        ({"rules": (replace(SHIFT, then=(Shift(by=0.2),)),)}, "another change"),
        ({"timeout_s": 9.0}, "another change"),
        ({"why": "another reason"}, "another change"),
        ({"changed_at_utc": rfc3339(now_utc() + timedelta(hours=2))}, "the time"),
        ({"changed_at_utc": None}, "without a time"),
        ({"changed_at_utc": "soon"}, "the time 'soon'"),
    ],
)
def test_a_signature_covers_just_what_was_signed(two_needed: Home, forged: dict[str, Any], complaint: str) -> None:
    document = replace(signed(two_needed, shifted(), ADA, BOB), **forged)

    with pytest.raises(VerificationError, match=complaint):
        judge(two_needed).check(parameters(), document)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"use_case": "another"}, "another change"),
        ({"policy_digest": "0" * 64}, "in force then"),
        ({"sign_by_utc": rfc3339(now_utc() - timedelta(hours=1))}, "before its sign_by_utc"),
    ],
)
def test_a_signature_counts_for_its_use_case_under_its_policy_and_in_time(
    two_needed: Home, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(VerificationError, match=complaint):
        judge(two_needed).check(parameters(), signed(two_needed, shifted(), ADA, BOB, **changes))


def test_a_signature_counts_once(two_needed: Home) -> None:
    first = signed(two_needed, shifted(), ADA, BOB)
    second = parameters(version=2, changed_at_utc=rfc3339(now_utc()))
    again = replace(first, version=3, changed_at_utc=rfc3339(now_utc()))

    assert judge(two_needed).check(first, second) == (), "what was signed may be taken back by one"
    with pytest.raises(VerificationError, match="a signature under another change, of version 0"):
        judge(two_needed).check(second, again)


def test_whoever_holds_no_key_changes_no_answer_and_keeps_nobody_from_the_next_change(
    two_needed: Home, store: DocumentStore
) -> None:
    now = rfc3339(now_utc())
    written = [
        canonical(shifted(1)),
        b"garbage",
        canonical(signed(two_needed, shifted(3), EVE)),
        canonical(parameters(version=4, timeout_s=1.0, changed_by="olga", changed_at_utc=now)),
        canonical(shifted(5)),
    ]
    for number, data in enumerate(written, start=1):
        store.put(f"late_parcel/parameters/{number:08}.json", data)

    found = follow(store, parameters(), judge(two_needed).check)
    assert (found.document.version, found.document.timeout_s, found.newest) == (4, 1.0, 5)
    assert set(found.refused) == {5}


def test_a_time_before_the_version_that_is_changed_is_not_believed(home: Home) -> None:
    before = parameters(version=1, changed_at_utc=rfc3339(now_utc()))

    with pytest.raises(VerificationError, match="one not before"):
        judge(home).check(before, parameters(version=2, changed_at_utc=rfc3339(now_utc() - timedelta(days=1))))


@pytest.mark.parametrize("line", ["", "trainserve1.e30", "trainserve-parameters1.", "trainserve-parameters1.e30", "x" * 9])
def test_what_is_no_line_is_refused_in_words(line: str) -> None:
    with pytest.raises(SettingError, match="a line of `trainserve parameters sign`"):
        read_lines([line])


def test_lines_under_two_changes_do_not_go_together(two_needed: Home) -> None:
    lines = [
        line_of(sign_proposal(proposal(two_needed, shifted(why=why), 0), person.key)) for why, person in (("a", ADA), ("b", BOB))
    ]

    with pytest.raises(VerificationError, match="two different"):
        read_lines(lines)
    assert msgspec.json.encode(read_lines([])) == b"null"
