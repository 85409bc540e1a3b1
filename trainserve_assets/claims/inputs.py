"""Claims about inputs: whether they look like those of training."""

from collections.abc import Mapping

from checks.drift import inputs_look_like_training
from checks.steps import inputs_make_no_step
from checks.verdict import Verdict
from trainserve_assets.claims.seen import WARN, Claim, Seen
from trainserve_assets.windows.judged import active_arms, feature_days, input_days, served


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


CLAIMS = {
    "inputs_make_no_step": Claim(
        _steps, WARN, "In the newest three days no input's mean or share of nulls changed overnight by more than in training."
    ),
    "inputs_look_like_training": Claim(
        _drift, WARN, "In the newest week no input is further from training than weeks of training are."
    ),
}
