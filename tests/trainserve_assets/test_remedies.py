"""Remedies through Dagster: every claim about windows that fails says in its metadata what it asks of people."""

from typing import get_args

import polars as pl

from checks.verdict import Remedy
from lake.parameters import Arm, Parameters, publish_parameters
from tests.parcel_log import LOG_FROM, answers, append_log, parcels_sent
from tests.parcel_training import Platform, parcel_history
from tests.scenario import USE_CASE
from trainserve_assets.assets.window_checks import CLAIMS


def failing(platform: Platform) -> dict[str, tuple[str, bool]]:
    """Materialize the windows; of each check that failed what it asks for, and whether it had evidence."""
    said = platform.run(["windows"]).get_asset_check_evaluations()
    failed = {one.check_name: {name: value.value for name, value in one.metadata.items()} for one in said if not one.passed}
    return {name: (str(shown.get("remedy")), "observed" in shown) for name, shown in failed.items()}


def test_every_claim_names_its_remedy_when_it_fails_for_want_of_evidence_and_when_it_saw_something(watched: Platform) -> None:
    stopped = Parameters(use_case=USE_CASE, arms={"champion": Arm()}, active=False, changed_at_utc="2013-07-01T00:00:00+00:00")
    publish_parameters(watched.lake.store, stopped, expected_version=1)
    built = parcel_history().tail(24).collect()
    begun = built.with_columns(probability=pl.lit(0.3), weight_kg=pl.col("weight_kg") * 1_000)
    append_log(watched.home.lake, answers(begun), source="begun")
    little = failing(watched)
    broken = answers(
        parcels_sent(LOG_FROM, 2, per_day=720),
        package_digest=pl.lit("f" * 64),
        outcome=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("failed")).otherwise(pl.lit("answered")),
        latency_us=pl.lit(10_000_000),
    )
    append_log(watched.home.lake, broken, source="broken")
    much = failing(watched)

    assert set(CLAIMS) - set(little) - set(much) == set(), "each was made to fail"
    named = [*little.items(), *much.items()]
    assert [name for name, (remedy, _) in named if remedy not in get_args(Remedy)] == []
    seen = {name: remedy for name, (remedy, has_evidence) in named if has_evidence}
    assert seen == {
        "requests_come_as_usual": "fix the source",
        "scores_are_the_packages": "roll back",
        "changes_are_temporary": "roll back",
        "inputs_are_served_as_built": "fix the source",
        "releases_last": "retrain",
        "every_logged_digest_was_live": "roll back",
        "requests_are_answered": "roll back",
        "answers_come_in_time": "roll back",
    }
    assert {remedy for remedy, has_evidence in dict(named).values() if not has_evidence} == {"nothing"}
