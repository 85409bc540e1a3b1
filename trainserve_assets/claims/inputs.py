"""Claims about inputs: whether they look like those of training."""

from collections.abc import Mapping

import polars as pl

from checks.drift import inputs_look_like_training
from checks.skew import served_as_built
from checks.steps import inputs_make_no_step
from checks.verdict import Verdict
from trainserve_assets.claims.seen import WARN, Claim, Seen
from trainserve_assets.evidence.skew import live_skew
from trainserve_assets.examples import read_source
from trainserve_assets.logged import read_predictions
from trainserve_assets.windows.judged import active_arms, feature_days, input_days, served

# A field that is served otherwise is so in many rows: a part of a busy day tells as much as all of it.
_SKEW_DAYS, _SKEW_ROWS = 2, 20_000


def _drift(seen: Seen) -> Mapping[str, Verdict]:
    fewest = seen.use_case.monitoring.fewest_rows
    return {arm: inputs_look_like_training(feature_days(seen.windows, arm), fewest) for arm in active_arms(seen.windows)}


def _steps(seen: Seen) -> Mapping[str, Verdict]:
    fewest, serves = seen.use_case.monitoring.fewest_rows, served(seen.judged)
    verdicts = {}
    for arm in active_arms(seen.windows):
        reference = seen.references.of(serves[arm].package_digest) if arm in serves else None
        training = {} if reference is None else reference.daily
        verdicts[arm] = inputs_make_no_step(input_days(seen.windows, arm), training, fewest)
    return verdicts


def _skew(seen: Seen) -> Mapping[str, Verdict]:
    use_case = seen.use_case
    columns = ["event_time_utc", "received_at_utc", "request_id", "row", "outcome", "purpose", "features"]
    logged = read_predictions(seen.lake.home.lake, use_case.name, _SKEW_DAYS).select(columns).tail(_SKEW_ROWS).collect()
    time, logged_time = pl.col(str(use_case.input_schema.event_time)), logged["event_time_utc"]
    built = read_source(use_case).filter(time.is_between(pl.lit(logged_time.min()), pl.lit(logged_time.max())))
    return {"all arms": served_as_built(live_skew(use_case, built, logged.lazy()), use_case.monitoring.greatest_skewed_share)}


CLAIMS = {
    "inputs_are_served_as_built": Claim(
        _skew, WARN, "Of the newest two days each field was logged as the source has it for the same entity and time."
    ),
    "inputs_make_no_step": Claim(
        _steps, WARN, "In the newest three days no input's mean or share of nulls changed overnight by more than in training."
    ),
    "inputs_look_like_training": Claim(
        _drift, WARN, "In the newest week no input is further from training than weeks of training are."
    ),
}
