"""A shadow that is asked about a part of the requests is judged by that part: what it was never asked is not missing."""

from typing import Any

import dagster as dg
import polars as pl
import pytest

from lake.delta import Table
from lake.home import Home
from lake.parameters import Arm, Parameters, publish_parameters
from lake.parameters.document import Shadow
from lake.parameters.mirroring import is_mirrored
from tests.parcel_log import LOG_FROM, answers, append_log, labels_of, parcels_sent, write_history, write_releases
from tests.parcel_training import Platform, failures
from tests.scenario import USE_CASE

DAYS, PER_DAY = 14, 720
SAMPLE = 0.25


@pytest.fixture
def watched(home: Home, instance: dg.DagsterInstance) -> Platform:
    """A platform with history, live releases, and no log yet."""
    write_history(home.lake, days=30, per_day=50)
    write_releases(home)
    return Platform(home, instance)


def looked_at(watched: Platform, leaves_out: int | None = None, *, active: bool = True) -> dict[str, Any]:
    """The look at a shadow that is asked about a quarter, and leaves out each so many-th that it is asked."""
    dark = Arm(upstreams=("http://dark",), shadow=Shadow(sample=SAMPLE), active=active)
    plan = Parameters(use_case=USE_CASE, arms={"champion": Arm(upstreams=("http://champion",)), "dark": dark})
    publish_parameters(watched.lake.store, plan, expected_version=1)
    sent = parcels_sent(LOG_FROM, DAYS, PER_DAY, day_shock=0.05)
    champion = answers(sent, parameters_version=pl.lit(2, pl.Int64))
    asked = [one for one in champion["request_id"] if is_mirrored(SAMPLE, "dark", one)]
    kept = [one for number, one in enumerate(asked, 1) if leaves_out is None or number % leaves_out]
    shadow = champion.filter(pl.col("request_id").is_in(kept)).with_columns(
        arm=pl.lit("dark"), role=pl.lit("shadow"), purpose=pl.lit("shadow"), package_digest=pl.lit("b" * 64), release_seq=2
    )
    append_log(watched.home.lake, champion, labels_of(sent))
    append_log(watched.home.lake, shadow, source="shadow")
    result = watched.run(["experiment"])
    assert result.success, failures(result)
    [row] = Table(watched.home.lake, USE_CASE, "experiment").scan().collect().to_dicts()
    return row


def test_a_shadow_that_answers_all_that_it_is_asked_lacks_nothing(watched: Platform) -> None:
    row = looked_at(watched)

    assert (row["verdict"], row["design"], row["missing_share"]) == ("keep running", "shadow", 0.0)
    assert row["challenger_n"] == pytest.approx(SAMPLE * DAYS * PER_DAY, rel=0.1)


def test_a_shadow_that_leaves_out_a_third_of_what_it_is_asked_is_invalid(watched: Platform) -> None:
    row = looked_at(watched, leaves_out=3)

    assert row["verdict"] == "invalid"
    assert row["missing_share"] == pytest.approx(1 / 3, abs=0.01)


def test_what_a_shadow_answered_counts_though_the_parameters_say_that_it_is_asked_no_more(watched: Platform) -> None:
    row = looked_at(watched, active=False)

    assert (row["verdict"], row["missing_share"]) == ("keep running", 0.0)
    assert row["challenger_n"] == pytest.approx(SAMPLE * DAYS * PER_DAY, rel=0.1)
