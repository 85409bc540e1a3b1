"""What a release is bound to: its greatest share, its term, its risk tier, and the gates that it may fail by name."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from checks.release_standard import Gate
from lake.home import Home
from lake.release.live import Release, fold
from lake.release.policy import Tier
from lake.times import now_utc, rfc3339, utc
from tests.approvers import ADA, BOB, policy, put_policy
from tests.parcel_training import Platform, failures, parcel_use_case

NEARLY_PERFECT = Gate(name="nearly_perfect", metric="auc", must_be="at least", limit=0.999)
ADVICE = Gate(name="advice", metric="auc", must_be="at least", limit=0.999, blocking=False)


@pytest.fixture(scope="module")
def judged_strictly(trained: Platform, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """The candidates, evaluated under a standard that none of them meets. Not to be changed."""
    home = trained.copied_to(Home.at(tmp_path_factory.mktemp("strict") / "home")).home
    standard = (*trained.use_case.release_standard, NEARLY_PERFECT, ADVICE)
    platform = Platform(home, trained.instance, parcel_use_case(release_standard=standard))
    assert platform.run(["evaluation"]).success
    return platform


@pytest.fixture
def strict(judged_strictly: Platform, home: Home) -> Platform:
    """The same, on a copy."""
    return judged_strictly.copied_to(home)


def champion(platform: Platform) -> Release:
    found = fold(platform.lake.ledger(platform.use_case.name).entries).champion
    assert found is not None
    return found


def of_tier(platform: Platform, tier: str) -> Platform:
    """The same platform, of a use case with this risk tier."""
    return Platform(platform.home, platform.instance, parcel_use_case(risk_tier=tier))


def waiver(gate: str = NEARLY_PERFECT.name, *, days: float = 30, **changes: str) -> dict[str, str]:
    return {
        "gate": gate,
        "reason": "parcels of spring only",
        "expires_at_utc": rfc3339(now_utc() + timedelta(days=days)),
        **changes,
    }


def lasts(release: Release) -> timedelta:
    assert release.expires_at_utc is not None
    return utc(release.expires_at_utc) - utc(release.at_utc)


def test_a_waived_gate_stands_in_the_ledger_and_ends_the_release(strict: Platform) -> None:
    waived = waiver(days=30)
    result = strict.release(waivers=[waived])
    assert result.success, failures(result)
    [entry] = strict.lake.ledger(strict.use_case.name).entries
    [written] = entry.decision.waivers
    assert (written.gate, written.reason) == (NEARLY_PERFECT.name, "parcels of spring only")
    assert champion(strict).expires_at_utc == waived["expires_at_utc"]
    [materialized] = result.get_asset_materialization_events()
    shown = materialized.materialization.metadata["waived_nearly_perfect"].value
    assert shown == f"may fail until {waived['expires_at_utc']}: parcels of spring only"


@pytest.mark.parametrize(
    ("waivers", "words"),
    [
        ([], "nearly_perfect: auc is"),
        ([waiver("no_such_gate")], "'no_such_gate' is not a blocking gate. The blocking gates are better_than"),
        ([waiver(ADVICE.name)], "'advice' is not a blocking gate"),
        ([waiver("better_than_the_base_rate"), waiver()], "better_than_the_base_rate passes and needs no waiver"),
        ([waiver(days=-1)], "the waiver of 'nearly_perfect' expired at"),
        ([waiver(expires_at_utc="spring")], "expires_at_utc of the waiver of 'nearly_perfect' is 'spring'"),
        ([waiver(expires_at_utc="2100-01-01T00:00:00")], "Write a time in UTC"),
        ([waiver(reason=" ")], "the waiver of 'nearly_perfect' has no reason"),
    ],
    ids=["none", "unknown", "advisory", "unneeded", "expired", "no time", "no offset", "no reason"],
)
def test_a_waiver_that_waives_nothing_is_refused(strict: Platform, waivers: list[dict[str, str]], words: str) -> None:
    assert words in strict.refusal(strict.release_config(waivers=waivers))


def test_a_failing_gate_can_be_waived_or_the_candidate_turned_down(strict: Platform) -> None:
    why = strict.refusal(strict.release_config())
    assert "must be at least 0.999" in why
    assert "Train a better candidate, reject this one, or waive the gate by name." in why
    assert strict.release(decision="reject").success


def test_a_waiver_that_was_not_signed_is_refused(strict: Platform) -> None:
    put_policy(strict.home, policy(ADA, BOB, roles={"champion": 1}))
    line = strict.line(ADA, waivers=[waiver()])
    other = waiver(reason="why not")
    assert "waivers is" in strict.refusal(strict.release_config(signatures=[line], waivers=[other]))
    assert strict.release(signatures=[line]).success
    [entry] = strict.lake.ledger(strict.use_case.name).entries
    assert [one.reason for one in entry.decision.waivers] == ["parcels of spring only"]


@pytest.mark.parametrize("decision", ["reject", "revoke", "roll back"])
def test_only_an_approval_waives_a_gate(platform: Platform, decision: str) -> None:
    assert platform.release().success
    for waived in (waiver(), waiver(expires_at_utc="spring")):
        why = platform.refusal(platform.release_config(decision=decision, waivers=[waived]))
        assert f"a decision to {decision} waives no gate" in why


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, float("nan"), float("inf")])
def test_a_greatest_share_is_a_part_of_the_requests(platform: Platform, share: float) -> None:
    assert "It is a part of all requests: above 0, at most 1." in platform.refusal(platform.release_config(greatest_share=share))


def test_a_roll_back_gives_no_greater_share_than_the_approval_had(platform: Platform) -> None:
    place = {"role": "challenger", "arm": "challenger"}
    first = platform.evaluation_id("trees")
    assert platform.release(greatest_share=0.25, **place).success
    assert platform.release(candidate="boosting", **place).success
    assert platform.release(decision="roll back", evaluation_id=first, **place).success
    live = fold(platform.lake.ledger(platform.use_case.name).entries).releases["challenger"]
    assert (live.evaluation_id, live.greatest_share) == (first, 0.25)


@pytest.mark.parametrize(
    ("expires", "words"),
    [
        ("2020-01-01T00:00:00Z", "expires_at_utc, 2020-01-01T00:00:00Z, is over. Give a term that is still to come."),
        ("soon", "expires_at_utc is 'soon'. Write a time in UTC, as 2027-01-31T00:00:00Z."),
        ("2100-01-01T00:00:00", "Write a time in UTC"),
    ],
)
def test_a_term_is_a_time_to_come(platform: Platform, expires: str, words: str) -> None:
    assert words in platform.refusal(platform.release_config(expires_at_utc=expires))


def test_a_release_lasts_as_long_as_it_says(platform: Platform) -> None:
    expires = rfc3339(now_utc() + timedelta(days=3))
    assert platform.release(expires_at_utc=expires).success
    assert champion(platform).expires_at_utc == expires


@pytest.mark.parametrize("expires", [None, "2100-01-01T00:00:00Z"])
@pytest.mark.parametrize(("tier", "days"), [("low", 365), ("medium", 180)])
def test_a_release_lasts_no_longer_than_its_tier_allows(platform: Platform, tier: str, days: int, expires: str | None) -> None:
    tiered = of_tier(platform, tier)
    assert tiered.release(expires_at_utc=expires).success
    assert lasts(champion(tiered)) == timedelta(days=days)


def test_a_high_risk_needs_a_signature_and_is_soon_over(platform: Platform) -> None:
    risky = of_tier(platform, "high")
    why = risky.refusal(risky.release_config())
    assert "risk tier 'high' needs 1 signature, and there is no approvers.yaml" in why
    assert "`trainserve keys new`" in why
    put_policy(risky.home, policy(ADA))
    assert "it needs 1 signature of approvers and has 0" in risky.refusal(risky.release_config())
    assert risky.release(ADA).success
    assert timedelta(days=89, hours=23) < lasts(champion(risky)) <= timedelta(days=90)


def test_the_tier_says_how_many_sign_where_the_role_asks_for_fewer(platform: Platform) -> None:
    tiers = {"low": Tier(signatures=2, lasts_days=10), "medium": Tier(signatures=2, lasts_days=9)}
    put_policy(platform.home, policy(ADA, BOB, roles={"champion": 1}, tiers={**tiers, "high": Tier(signatures=2, lasts_days=1)}))
    assert "it needs 2 signatures of approvers and has 1" in platform.refusal(platform.release_config(ADA))
    assert platform.release(ADA, BOB).success


def test_what_expired_is_rolled_back_to_no_more(platform: Platform) -> None:
    place: dict[str, Any] = {"role": "challenger", "arm": "challenger"}
    first = platform.evaluation_id("trees")
    with time_machine.travel(now_utc() - timedelta(minutes=4)):
        brief = rfc3339(now_utc() + timedelta(minutes=1))
        assert platform.release(expires_at_utc=brief, **place).success
    assert platform.release(candidate="boosting", **place).success
    why = platform.refusal(platform.release_config(decision="roll back", evaluation_id=first, **place))
    assert f"expired at {brief}" in why
    assert "Evaluate it again and approve it anew, or roll back to another one." in why
