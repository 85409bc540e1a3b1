"""The rules of a policy, one by one: who may decide, how many must sign, for how long; and what can be no policy."""

from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import SettingError
from lake.release.decision import DecisionKind, RiskTier, Role, Waiver
from lake.release.policy import BUILT_IN, Approver, Policy, Tier, policy_version
from lake.release.signatures import public_text
from lake.times import rfc3339
from tests.approvers import ADA, BOB, EVE, LONG_AGO, Person, policy
from tests.scenario import USE_CASE, decision

AT = datetime(2026, 3, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)
KINDS: tuple[DecisionKind, ...] = ("approve", "reject", "revoke", "roll back")
ROLES: tuple[Role, ...] = ("champion", "challenger", "shadow")
TIERS: tuple[RiskTier, ...] = ("low", "medium", "high")
# Two for a champion, one for a challenger, none for a shadow; the tiers ask for none, one and three.
STRICT = policy(
    ADA,
    BOB,
    EVE,
    roles={"champion": 2, "challenger": 1},
    tiers={
        "low": Tier(signatures=0, lasts_days=300),
        "medium": Tier(signatures=1, lasts_days=200),
        "high": Tier(signatures=3, lasts_days=100),
    },
)


def problems(of: Policy, *signers: Person, **facts: Any) -> str:
    """Why a decision may not stand under this policy, in one text; empty when it may."""
    return "; ".join(of.problems(decision(**facts), frozenset(person.name for person in signers)))


@pytest.mark.parametrize(
    ("role", "tier", "needed"),
    [
        ("champion", "low", 2),
        ("champion", "medium", 2),
        ("champion", "high", 3),
        ("challenger", "low", 1),
        ("challenger", "high", 3),
        ("shadow", "low", 0),
        ("shadow", "medium", 1),
        ("shadow", "high", 3),
    ],
)
def test_an_approval_needs_what_its_role_or_its_tier_asks_for_whichever_is_more(role: Role, tier: RiskTier, needed: int) -> None:
    assert STRICT.needed("approve", role, tier) == needed


@pytest.mark.parametrize("kind", ["reject", "roll back"])
def test_one_signature_is_enough_for_what_brings_nothing_new(kind: DecisionKind) -> None:
    assert STRICT.needed(kind, "champion", "high") == 1
    assert STRICT.needed(kind, "shadow", "low") == 0


def test_a_revocation_needs_a_signature_by_whatever_role_it_calls_itself() -> None:
    assert [STRICT.needed("revoke", role, "low") for role in ROLES] == [1, 1, 1]
    assert BUILT_IN.policy.needed("revoke", "champion", "low") == 0


@given(st.sampled_from(KINDS), st.sampled_from(ROLES), st.sampled_from(TIERS))
def test_nothing_ever_needs_more_than_an_approval(kind: DecisionKind, role: Role, tier: RiskTier) -> None:
    strictest = max(STRICT.needed("approve", one, tier) for one in ROLES)

    assert STRICT.needed(kind, role, tier) <= strictest


def test_a_key_counts_from_its_first_moment_until_just_before_its_last() -> None:
    [key] = ADA.listed(since=AT, until=AT + DAY).keys
    moments = [AT - DAY, AT, AT + DAY - timedelta.resolution, AT + DAY, AT + 2 * DAY]

    assert [key.valid_at(moment) for moment in moments] == [False, True, True, False, False]


def test_the_keys_of_a_moment_are_those_that_count_then_with_whose_they_are() -> None:
    former, current, coming = Person("ada"), Person("ada"), Person("bob")
    keys = [*former.listed(until=AT).keys, *current.listed(since=AT).keys]
    rotating = policy(ADA.listed(keys=tuple(keys)), coming.listed(since=AT + DAY), BOB.listed(name="bill"))

    def named(moment: datetime) -> dict[str, str]:
        return {keyid: approver.name for keyid, (approver, _) in rotating.keys_at(moment).items()}

    bill = {BOB.key.public.keyid: "bill"}
    assert named(AT - DAY) == bill | {former.key.public.keyid: "ada"}
    assert named(AT) == bill | {current.key.public.keyid: "ada"}
    assert named(AT + DAY) == bill | {current.key.public.keyid: "ada", coming.key.public.keyid: "bob"}


@pytest.mark.parametrize(
    ("term", "waived_until", "expected"),
    [
        (None, [], 200),
        (50, [], 50),
        (400, [], 200),
        (None, [30], 30),
        (50, [30, 70], 30),
        (20, [30, 70], 20),
        (None, [900], 200),
    ],
)
def test_a_release_expires_at_the_first_of_its_term_its_waivers_and_its_tiers_longest(
    term: int | None, waived_until: list[int], expected: int
) -> None:
    waivers = tuple(Waiver(gate="g", reason="r", expires_at_utc=rfc3339(AT + days * DAY)) for days in waived_until)
    decided = decision(risk_tier="medium", waivers=waivers, expires_at_utc=None if term is None else rfc3339(AT + term * DAY))

    assert STRICT.expiry_of(decided, AT) == AT + expected * DAY


def test_two_signatures_where_two_are_needed_leave_no_problem() -> None:
    assert problems(STRICT, ADA, BOB) == ""
    assert problems(STRICT, ADA, BOB, EVE) == ""


@pytest.mark.parametrize(
    ("signers", "facts", "complaint"),
    [
        ((), {}, "it needs 2 signatures of approvers and has 0"),
        ((ADA,), {}, "it needs 2 signatures of approvers and has 1"),
        ((ADA, BOB), {"risk_tier": "high"}, "it needs 3 signatures of approvers and has 2"),
        ((), {"decision": "revoke"}, "it needs 1 signature of approvers and has 0"),
        ((BOB, EVE), {}, "'ada' decides but did not sign; bob, eve did"),
        ((), {"role": "shadow", "approver": "mallory"}, "'mallory' is not an approver; the policy names ada, bob, eve"),
        ((ADA, BOB), {"approver": "mallory"}, "'mallory' is not an approver"),
        ((ADA,), {"role": "challenger", "trainer": "ada"}, "'ada' trained this candidate and cannot approve it alone"),
    ],
)
def test_a_decision_that_may_not_stand_is_told_why(signers: tuple[Person, ...], facts: dict[str, Any], complaint: str) -> None:
    assert complaint in problems(STRICT, *signers, **facts)


@pytest.mark.parametrize(
    ("may", "facts"),
    [({"roles": ("shadow",)}, {}), ({"use_cases": ("flights",)}, {}), ({"roles": ("champion",)}, {"role": "challenger"})],
)
def test_an_approver_decides_on_the_roles_and_use_cases_that_they_are_listed_for(
    may: dict[str, Any], facts: dict[str, Any]
) -> None:
    narrow = policy(ADA.listed(**may), BOB)
    role = facts.get("role", "champion")

    assert problems(narrow, **facts) == f"'ada' may not decide on a {role} of {USE_CASE!r}"
    assert problems(narrow, ADA, BOB, **{**facts, "approver": "bob"}) == f"'ada' may not decide on a {role} of {USE_CASE!r}"
    assert problems(narrow, BOB, **{**facts, "approver": "bob"}) == ""


def test_who_trained_may_approve_beside_somebody_else_and_may_revoke_alone() -> None:
    trained = {"trainer": "ada"}

    assert "cannot approve it alone" in problems(BUILT_IN.policy, **trained)
    assert problems(STRICT, ADA, BOB, **trained) == ""
    assert problems(STRICT, ADA, decision="revoke", **trained) == ""
    assert problems(STRICT, ADA, decision="roll back", **trained) == ""


@pytest.mark.parametrize("trainer", ["ada", "Ada ", "ada@example.org", "ADA@EXAMPLE.ORG"])
def test_who_trained_is_known_by_any_of_their_names(trainer: str) -> None:
    listed = policy(ADA.listed(logins=("ada@example.org",)), BOB)

    assert "cannot approve it alone" in problems(listed, trainer=trainer)
    assert problems(listed, trainer=trainer, approver="bob") == ""


def test_an_approver_may_decide_under_a_login() -> None:
    listed = policy(ADA.listed(logins=("ada@example.org",)), BOB, roles={"champion": 1})

    assert problems(listed, ADA, approver="ada@example.org") == ""


def test_without_a_file_anybody_but_the_trainer_decides_and_a_high_tier_is_told_what_to_do() -> None:
    assert problems(BUILT_IN.policy, approver="anybody") == ""
    assert "there is no approvers.yaml: make one with `trainserve keys new`" in problems(BUILT_IN.policy, risk_tier="high")


def test_the_digest_is_over_the_text_as_it_was_written() -> None:
    text = {"version": 0, "valid_from_utc": "2020-01-01T00:00:00Z"}
    same_moment = {"version": 0, "valid_from_utc": "2020-01-01T00:00:00.000Z"}

    assert policy_version(text).digest == policy_version(dict(reversed(text.items()))).digest
    assert policy_version(text).policy == policy_version(same_moment).policy
    assert policy_version(text).digest != policy_version(same_moment).digest


NO_KEY = {"valid_from_utc": "2020-01-01T00:00:00Z", "public_key": "bm8ga2V5"}
SAME_BYTES = public_text(ADA.key.public)[:-2] + chr(ord(public_text(ADA.key.public)[-2]) + 1) + "="


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"colour": "blue"}, "unknown member `colour`"),
        ({"version": None}, "null at version, where an integer is expected"),
        ({"version": -1}, ">= 0"),
        ({"valid_from_utc": "2020-01-01T00:00:00"}, "timezone"),
        ({"valid_from_utc": "soon"}, "RFC3339"),
        ({"quorum": 0}, ">= 1"),
        ({"quorum": 3}, "quorum is 3, expected at most 2: so many approvers have keys that last"),
        ({"approvers": [{"name": "ada", "keys": [NO_KEY]}]}, "base64 of the 32 bytes of an Ed25519 public key"),
        ({"approvers": [{"name": "", "keys": []}]}, "name"),
        ({"approvers": [{"name": "ada\n", "keys": []}]}, "name"),
        ({"approvers": [{"name": "ada", "roles": ["king"]}]}, "Invalid enum value 'king'"),
        ({"roles": {"king": 1}}, "Invalid enum value 'king'"),
        ({"roles": {"champion": -1}}, ">= 0"),
        ({"roles": {"champion": 3}}, "signatures for a champion is 3, expected at most 2"),
        ({"tiers": {"low": {"signatures": 0, "lasts_days": 1}}}, r"also \['high', 'medium'\]"),
        ({"expired": "ignore"}, "Invalid enum value 'ignore'"),
    ],
)
def test_what_can_be_no_policy_is_refused_by_name(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint):
        policy_version({**msgspec.to_builtins(policy(ADA, BOB)), **change})


@pytest.mark.parametrize(
    "twice",
    [
        (ADA.listed(), BOB.listed(name="ADA")),
        (ADA.listed(logins=("root",)), BOB.listed(logins=("Root",))),
        (ADA.listed(), BOB.listed(logins=("ada",))),
    ],
)
def test_no_two_approvers_have_one_name(twice: tuple[Approver, ...]) -> None:
    with pytest.raises(SettingError, match=r"name or login of an approver is '(ada|root)'"):
        policy(*twice)


def test_a_login_may_be_the_persons_own_name() -> None:
    assert policy(ADA.listed(name="Ada", logins=("ada",))).find("ADA") is not None


@pytest.mark.parametrize("same", [public_text(ADA.key.public), SAME_BYTES], ids=["spelled the same", "other spare bits"])
def test_no_two_keys_are_the_same_however_they_are_written(same: str) -> None:
    [key] = ADA.listed().keys
    copied = msgspec.structs.replace(key, public_key=same)

    with pytest.raises(SettingError, match="public_key of an approver"):
        policy(ADA, BOB.listed(keys=(copied,)))
    with pytest.raises(SettingError, match="public_key of an approver"):
        policy(ADA.listed(keys=(key, copied)))
    with pytest.raises(SettingError, match="public_key of an approver"):
        policy(ADA, platform=(copied,))


def test_a_quorum_counts_only_those_whose_keys_go_on() -> None:
    with pytest.raises(SettingError, match="at most 1"):
        policy(ADA, BOB.listed(until=LONG_AGO + DAY), Approver(name="cleo"), quorum=2)
