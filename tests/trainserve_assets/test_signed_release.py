"""The release asset where a policy names approvers: whose signatures it takes, and each that it refuses with one sentence."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from lake.release.live import Live, fold
from lake.release.signatures import merged
from lake.times import now_utc, rfc3339
from tests.approvers import ADA, BOB, EVE, LONG_AGO, Person, after, newest_policy, policy, put_policy, sign
from tests.parcel_training import Platform, failures
from trainserve_assets.approval.pasted import PREFIX, pasteable
from trainserve_assets.runs import USER_TAG


@pytest.fixture
def alone(platform: Platform) -> Platform:
    """The platform where one signature makes a champion: of ada, or of bob."""
    put_policy(platform.home, policy(ADA, BOB, roles={"champion": 1}))
    return platform


@pytest.fixture
def together(platform: Platform) -> Platform:
    """The platform where a champion needs both ada and bob."""
    put_policy(platform.home, policy(ADA, BOB, roles={"champion": 2}))
    return platform


def live(platform: Platform) -> Live:
    return fold(platform.lake.ledger(platform.use_case.name).entries)


def refused(platform: Platform, *signers: Person, **changes: Any) -> str:
    """The words in which this launch is refused; it writes nothing."""
    return platform.refusal(platform.release_config(*signers, **changes))


def test_a_signature_of_an_approver_releases(alone: Platform) -> None:
    result = alone.release(ADA)
    assert result.success, failures(result)
    [materialized] = result.get_asset_materialization_events()
    assert materialized.materialization.metadata["approved_by"].value == "ada (proven by signature)"
    champion = live(alone).champion
    assert champion is not None
    assert (champion.approvers, champion.identity) == (("ada",), "signed")


@pytest.mark.parametrize("lines", ["one for each", "one with both"])
def test_two_approvers_release_together(together: Platform, lines: str) -> None:
    decision = together.decision(ADA)
    each = [sign(decision, ADA), sign(decision, BOB)]
    pasted = each if lines == "one for each" else [merged(each)]
    result = together.release(signatures=[pasteable(envelope) for envelope in pasted])
    assert result.success, failures(result)
    [materialized] = result.get_asset_materialization_events()
    assert materialized.materialization.metadata["approved_by"].value == "ada and bob (proven by signature)"


def test_a_line_that_was_broken_by_pasting_is_read(alone: Platform) -> None:
    line = alone.line(ADA)
    broken = "\n  ".join(line[start : start + 80] for start in range(0, len(line), 80))
    assert alone.release(signatures=[broken]).success


def test_a_name_alone_does_not_release(alone: Platform) -> None:
    assert "it needs 1 signature of approvers and has 0. Sign with `trainserve sign`" in refused(alone)


def test_one_signature_of_two_does_not_release(together: Platform) -> None:
    assert "it needs 2 signatures of approvers and has 1. Sign with `trainserve sign`" in refused(together, ADA)


def test_two_signatures_of_one_person_are_one(together: Platform) -> None:
    decision = together.decision(ADA)
    lines = [pasteable(sign(decision, ADA)), pasteable(sign(decision, ADA))]
    assert "it needs 2 signatures of approvers and has 1" in refused(together, signatures=lines)


def test_lines_about_two_decisions_do_not_add_up(together: Platform) -> None:
    lines = [together.line(ADA), together.line(BOB, approver="ada")]
    assert "found two different decisions, expected one decision that all of them signed" in refused(together, signatures=lines)


def test_a_key_that_the_policy_does_not_name_signs_nothing(alone: Platform) -> None:
    why = refused(alone, EVE)
    assert f"key {EVE.key.public.keyid[:12]} is no approver's key that counts today" in why
    assert "`trainserve approvers show`" in why


def test_a_retired_key_signs_nothing(platform: Platform) -> None:
    retired = ADA.listed(until=now_utc() - timedelta(days=1))
    put_policy(platform.home, policy(retired, BOB, roles={"champion": 1}))
    assert "is no approver's key that counts today" in refused(platform, ADA)


def test_a_name_that_the_policy_does_not_know_is_refused(platform: Platform) -> None:
    put_policy(platform.home, policy(ADA, BOB))
    assert "'mallory' is not an approver; the policy names ada, bob" in refused(platform, approver="mallory")
    assert platform.release(approver="ada").success


def test_an_approver_decides_only_on_their_roles(platform: Platform) -> None:
    put_policy(platform.home, policy(ADA.listed(roles=("shadow",)), BOB, roles={"champion": 1}))
    assert "'ada' may not decide on a champion of 'late_parcel'" in refused(platform, ADA)
    assert platform.release(ADA, role="shadow", arm="shadow").success


def test_an_approver_decides_only_on_their_use_cases(platform: Platform) -> None:
    put_policy(platform.home, policy(ADA.listed(use_cases=("late_flight",)), BOB, roles={"champion": 1}))
    assert "'ada' may not decide on a champion of 'late_parcel'" in refused(platform, ADA)
    assert "'ada' may not decide" in refused(platform, BOB, ADA)


def test_who_decides_is_among_those_who_signed(alone: Platform) -> None:
    assert "'bob' decides but did not sign; ada did" in refused(alone, ADA, approver="bob")


def test_a_signature_of_somebody_elses_hand_is_refused(alone: Platform) -> None:
    """Bob's signature under ada's name."""
    decision = alone.decision(ADA)
    envelope = sign(decision, ADA)
    envelope["signatures"][0]["sig"] = sign(decision, BOB)["signatures"][0]["sig"]
    why = refused(alone, signatures=[pasteable(envelope)])
    assert "the signature of ada is not over this decision. Sign the decision again" in why


def test_a_wrong_signature_beside_enough_right_ones_is_refused(alone: Platform) -> None:
    decision = alone.decision(ADA)
    envelope = merged([sign(decision, ADA), sign(alone.decision(BOB), BOB) | {"payload": sign(decision, ADA)["payload"]}])
    assert "the signature of bob is not over this decision" in refused(alone, signatures=[pasteable(envelope)])


def test_a_signature_on_another_evaluation_is_refused(alone: Platform) -> None:
    other = alone.evaluation_id("boosting")
    why = refused(alone, signatures=[alone.line(ADA)], evaluation_id=other)
    assert "the signatures are for another decision" in why
    assert f"evaluation_id is {alone.evaluation_id('trees')[:12]} there and {other[:12]} here" in why


def test_a_signature_moved_to_another_evaluation_is_refused(alone: Platform) -> None:
    """The payload says what the config says; ada signed another."""
    envelope = sign(alone.decision(ADA), ADA)
    envelope["payload"] = sign(alone.decision(ADA, candidate="boosting"), ADA)["payload"]
    why = refused(alone, signatures=[pasteable(envelope)], candidate="boosting")
    assert "the signature of ada is not over this decision" in why


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"decision": "reject"}, "decision is approve there and reject here"),
        ({"role": "shadow"}, "role is champion there and shadow here"),
        ({"arm": "second"}, "arm is champion there and second here"),
        ({"approver": "bob"}, "approver is ada there and bob here"),
        ({"reason": "worse"}, "reason is better there and worse here"),
        ({"greatest_share": 0.5}, "greatest_share is 1.0 there and 0.5 here"),
        ({"expires_at_utc": "2100-01-01T00:00:00Z"}, "there and 2100-01-01T00:00:00Z here"),
    ],
    ids=lambda case: next(iter(case)) if isinstance(case, dict) else "",
)
def test_a_config_that_says_other_than_what_was_signed_is_refused(alone: Platform, changes: dict[str, Any], words: str) -> None:
    why = refused(alone, signatures=[alone.line(ADA)], **changes)
    assert "the signatures are for another decision" in why
    assert words in why


def test_nobody_approves_alone_what_they_trained_with_a_signature_either(platform: Platform) -> None:
    trained = platform.run(["candidate_trees"], tags={USER_TAG: "ada@parcels"})
    assert trained.success, failures(trained)
    assert platform.run(["evaluation"]).success
    first = put_policy(platform.home, policy(ADA.listed(logins=("ada@parcels",)), BOB, roles={"champion": 1}))
    assert "'ada@parcels' trained this candidate and cannot approve it alone" in refused(platform, ADA)

    put_policy(platform.home, after(first, now_utc() - timedelta(minutes=1), roles={"champion": 2}), [ADA])
    why = refused(platform, ADA)
    assert "it needs 2 signatures of approvers and has 1" in why
    assert "'ada@parcels' trained this candidate and cannot approve it alone" in why
    assert platform.release(ADA, BOB).success


def test_a_policy_that_changed_after_the_signature_asks_for_another(alone: Platform) -> None:
    line = alone.line(ADA)
    before = newest_policy(alone.home)
    now = put_policy(alone.home, after(before, now_utc() - timedelta(minutes=1), expired="refuse"), [ADA])
    why = refused(alone, signatures=[line])
    assert f"policy_digest is {before.digest[:12]} there and {now.digest[:12]} here" in why
    assert alone.release(ADA).success


def test_nothing_is_decided_while_a_policy_waits_for_its_signatures(alone: Platform) -> None:
    put_policy(alone.home, after(newest_policy(alone.home), now_utc() - timedelta(minutes=1), expired="refuse"))
    why = refused(alone, ADA)
    assert "version 2 of the policy was to be in force since" in why
    assert "has 0 of 1 signatures of approvers whom version 1 names" in why


def test_a_policy_that_is_still_to_come_hampers_nothing(alone: Platform) -> None:
    put_policy(alone.home, after(newest_policy(alone.home), now_utc() + timedelta(days=1), expired="refuse"))
    assert alone.release(ADA).success


def test_a_signature_counts_until_its_time(alone: Platform) -> None:
    late = msgspec.structs.replace(alone.decision(ADA), sign_by_utc=rfc3339(now_utc() - timedelta(seconds=1)))
    why = refused(alone, signatures=[pasteable(sign(late, ADA))])
    assert f"the signatures counted until {late.sign_by_utc}, and it is" in why


def test_a_signature_without_a_time_is_refused(alone: Platform) -> None:
    timeless = msgspec.structs.replace(alone.decision(ADA), sign_by_utc=None)
    assert "the signatures do not say until when they count" in refused(alone, signatures=[pasteable(sign(timeless, ADA))])


def test_a_signed_decision_is_recorded_once(alone: Platform) -> None:
    config = alone.release_config(ADA)
    assert alone.run(["release"], config).success
    assert "this very decision was recorded already, as event 1" in alone.refusal(config)
    assert alone.release(ADA, decision="revoke").success
    assert "this very decision was recorded already, as event 1" in alone.refusal(config)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "does not begin with 'trainserve1.'"),
        ("ada", "does not begin with 'trainserve1.'"),
        (PREFIX, "cannot be read"),
        (PREFIX + "e30", "cannot be read"),
        (PREFIX + "A" * 5, "cannot be read"),
        (PREFIX + "\N{SNOWMAN}", "cannot be read"),
    ],
)
def test_what_is_no_line_of_a_signer_is_refused(alone: Platform, line: str, words: str) -> None:
    why = refused(alone, signatures=[line])
    assert "a signature is no line of `trainserve sign`" in why
    assert words in why


def test_a_line_of_which_a_part_was_copied_is_refused(alone: Platform) -> None:
    line = alone.line(ADA)
    for end in (len(line) // 3, len(line) - 8, len(line) - 1):
        assert "Copy the whole line and paste it again" in refused(alone, signatures=[line[:end]])


def test_an_envelope_without_signatures_signs_nothing(alone: Platform) -> None:
    envelope = {**sign(alone.decision(ADA), ADA), "signatures": []}
    assert "it needs 1 signature of approvers and has 0" in refused(alone, signatures=[pasteable(envelope)])


@pytest.mark.parametrize("decision", ["reject", "revoke", "roll back"])
def test_in_an_incident_one_signature_is_enough(platform: Platform, decision: str) -> None:
    put_policy(platform.home, policy(ADA, BOB, roles={"challenger": 2}))
    place = {"role": "challenger", "arm": "challenger"}
    assert platform.release(ADA, BOB, **place).success
    assert platform.release(BOB, ADA, candidate="boosting", **place).success
    assert "it needs 1 signature of approvers and has 0" in refused(platform, decision=decision, **place)
    result = platform.release(BOB, decision=decision, reason="complaints", **place)
    assert result.success, failures(result)
    newest = platform.lake.ledger(platform.use_case.name).entries[-1]
    assert (newest.decision.decision, newest.signers) == (decision, ("bob",))


def test_what_was_signed_long_ago_still_counts_after_the_key_has_retired(alone: Platform) -> None:
    assert alone.release(ADA).success
    retired = ADA.listed(until=now_utc())
    second = after(newest_policy(alone.home), now_utc(), approvers=(retired, BOB.listed(LONG_AGO)))
    put_policy(alone.home, second, [BOB])
    champion = live(alone).champion
    assert champion is not None
    assert champion.approvers == ("ada",)
    assert "is no approver's key that counts today" in refused(alone, ADA, role="shadow", arm="shadow")
