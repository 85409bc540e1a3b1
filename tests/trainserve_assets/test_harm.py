"""A challenger that does harm gets no share any more, by itself: lowered once, never raised, and a person has the last word."""

from datetime import datetime, timezone
from typing import Any

import dagster as dg
import msgspec
import polars as pl
import pytest

from lake.home import Home
from lake.parameters import Arm, Parameters, newest_parameters, publish_parameters
from lake.parameters.changes import raises
from lake.parameters.document import Ramp, Step
from lake.parameters.stored import Followed, versions
from lake.release.ledger import Ledger
from lake.release.signatures import PlatformKey
from lake.release.trust import Trust
from tests.parcel_log import LOG_FROM, answers, append_log, parcels_sent, two_arms, write_history, write_releases
from tests.parcel_training import Platform, failures
from tests.proxied import parameters, proxied
from tests.scenario import USE_CASE, decision, parcel_schema
from tests.served import eventually
from trainserve_assets.lowering import BY, Harm, InForce, lower

DAYS, PER_DAY = 3, 720


@pytest.fixture
def watched(home: Home) -> Platform:
    """A platform with two live releases, and a log in which the challenger fails a fifth of its requests."""
    write_history(home.lake, days=30, per_day=50)
    write_releases(home)
    append_log(home.lake, failing())
    return Platform(home, dg.DagsterInstance.ephemeral())


def failing() -> pl.DataFrame:
    sent = parcels_sent(LOG_FROM, DAYS, PER_DAY)
    fails = (pl.col("arm") == "challenger") & (pl.int_range(pl.len()) % 5 == 0)
    return two_arms(sent, pl.col("probability")).with_columns(
        outcome=pl.when(fails).then(pl.lit("failed")).otherwise("outcome"), answer=pl.when(~fails).then("answer")
    )


def look(platform: Platform) -> dg.AssetCheckEvaluation:
    """Materialize the experiment; what its check said."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = Platform(platform.home, instance).run(["experiment"])
    assert result.success, failures(result)
    [evaluation] = result.get_asset_check_evaluations()
    return evaluation


def newest(platform: Platform) -> Parameters:
    found = newest_parameters(platform.lake.store, USE_CASE)
    assert found is not None
    return found


def change(platform: Platform, **arms: Arm) -> Parameters:
    """Store what an operator wants of these arms."""
    before = newest(platform)
    wanted = msgspec.structs.replace(before, arms={**before.arms, **arms}, changed_by="ada", why="we know better", keys={})
    return publish_parameters(platform.lake.store, wanted, before.version)


def test_a_challenger_that_does_harm_gets_no_share_and_nothing_else_changes(watched: Platform) -> None:
    before = newest(watched)
    assert before.arms["challenger"].share == 0.2

    found = look(watched)

    after = newest(watched)
    assert (after.version, after.changed_by) == (before.version + 1, BY)
    assert after.arms["challenger"].share == 0
    assert after.why.startswith(
        "The challenger bbbbbbbbbbbb on arm 'challenger' does harm ('failed requests'), so it gets no share: "
    )
    assert raises(before, after) == []
    same = msgspec.structs.replace(after, arms=before.arms)
    assert [name for name in Parameters.__struct_fields__ if getattr(same, name) != getattr(before, name)] == [
        "version",
        "changed_by",
        "changed_at_utc",
        "why",
        "keys",
    ]
    assert (found.check_name, found.passed, found.severity) == ("challengers_do_no_harm", False, dg.AssetCheckSeverity.ERROR)
    assert "its share went to zero" in (found.description or "")
    assert found.metadata["remedy"].value == "roll back"


def test_looking_again_stores_nothing_more(watched: Platform) -> None:
    look(watched)
    stored = versions(watched.lake.store, USE_CASE)

    found = look(watched)

    assert versions(watched.lake.store, USE_CASE) == stored
    assert "it has no share" in (found.description or "")


def test_a_ramp_that_would_raise_it_tomorrow_ends_too(watched: Platform) -> None:
    ramp = Ramp(steps=(Step(at_utc=datetime(2099, 1, 1, tzinfo=timezone.utc), share=0.5),))
    change(watched, challenger=Arm(upstreams=("http://challenger",), share=0.0, ramp=ramp))

    look(watched)

    arm = newest(watched).arms["challenger"]
    assert (arm.share, arm.ramp) == (0.0, None)


def test_a_person_who_raises_it_again_has_the_last_word(watched: Platform) -> None:
    look(watched)
    raised = change(watched, challenger=Arm(upstreams=("http://challenger",), share=0.1))

    found = look(watched)

    assert newest(watched) == raised
    assert not found.passed
    assert "somebody gave it one again" in (found.description or "")


def test_so_it_has_where_the_name_of_a_slice_reads_like_our_own_words(watched: Platform) -> None:
    name = "loss of depot=north, (old); south"
    harm = Harm(arm="challenger", package_digest="b" * 64, guardrails={name: f"{name} +0.1000, at least +0.0500"})
    trust = Trust.read(watched.home)
    in_force = InForce(trust=trust, tier="low", schema=parcel_schema(), environment={})
    now = datetime.now(timezone.utc)

    assert lower(watched.lake.store, in_force, harm, now) == "lowered"
    change(watched, challenger=Arm(upstreams=("http://challenger",), share=0.1))
    assert lower(watched.lake.store, in_force, harm, now) == "lowered before"
    other = msgspec.structs.replace(harm, guardrails={"loss of depot=north": "worse"})
    assert lower(watched.lake.store, in_force, other, now) == "lowered"


def test_a_package_that_is_live_no_more_takes_no_share_from_the_one_that_is(watched: Platform) -> None:
    key = PlatformKey.read_or_make(watched.home.keys)
    ledger = Ledger(watched.lake.store, USE_CASE, Trust.in_key(key))
    ledger.poll()
    successor = decision(role="challenger", arm="challenger", package_digest="c" * 64)
    ledger.append(successor, "ada", "2013-07-30T00:00:00+00:00", key)
    before = newest(watched)

    found = look(watched)

    assert newest(watched) == before
    assert found.passed
    assert "it is live no more" in (found.description or "")


def test_of_an_operator_who_is_faster_the_version_is_read_and_lowered(watched: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    follow = InForce.follow

    def overtaken(*arguments: Any) -> Followed:
        monkeypatch.setattr(InForce, "follow", follow)
        followed = follow(*arguments)
        change(watched, challenger=Arm(upstreams=("http://challenger",), share=0.4))
        return followed

    monkeypatch.setattr(InForce, "follow", overtaken)
    look(watched)

    after = newest(watched)
    assert (after.version, after.changed_by, after.arms["challenger"].share) == (3, BY, 0.0)


def test_where_nobody_knows_the_parameters_it_is_said(watched: Platform) -> None:
    watched.lake.store.remove(f"{USE_CASE}/parameters/00000001.json")

    found = look(watched)

    assert "store parameters, or give Dagster the PROXY_ variables" in (found.description or "")
    assert versions(watched.lake.store, USE_CASE) == []


def test_the_share_of_version_0_is_lowered_too(watched: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.lake.store.remove(f"{USE_CASE}/parameters/00000001.json")
    monkeypatch.setenv("PROXY_UPSTREAMS", f"{USE_CASE}/champion=http://a,{USE_CASE}/challenger=http://b")
    monkeypatch.setenv("PROXY_SHARES", f"{USE_CASE}/challenger=0.2")

    look(watched)

    assert {name: arm.share for name, arm in newest(watched).arms.items()} == {"champion": 0.0, "challenger": 0.0}


def test_a_running_proxy_follows_it(watched: Platform) -> None:
    urls = {arm: f"http://{arm}" for arm in ("champion", "challenger")}
    with proxied(watched.home, parameters(urls, challenger_share=0.2)) as client:
        assert client.get(f"/parameters/{USE_CASE}").json()["arms"]["challenger"]["share"] == 0.2
        look(watched)

        def share() -> float:
            return float(client.get(f"/parameters/{USE_CASE}").json()["arms"]["challenger"]["share"])

        eventually(lambda: share() == 0)


def test_without_harm_nothing_is_stored(home: Home) -> None:
    write_history(home.lake, days=30, per_day=50)
    write_releases(home)
    sent = parcels_sent(LOG_FROM, DAYS, PER_DAY)
    append_log(home.lake, two_arms(sent, pl.col("probability")))
    platform = Platform(home, dg.DagsterInstance.ephemeral())

    assert look(platform).passed
    assert newest(platform).version == 1


def test_without_a_challenger_nothing_does_harm(home: Home) -> None:
    write_history(home.lake, days=30, per_day=50)
    append_log(home.lake, answers(parcels_sent(LOG_FROM, DAYS, PER_DAY)))

    found = look(Platform(home, dg.DagsterInstance.ephemeral()))

    assert found.passed
    assert "no challenger has been asked" in (found.description or "")
