"""Claims about inputs: whether they look like those of training."""

from collections.abc import Mapping

from checks.drift import inputs_look_like_training
from checks.verdict import Verdict
from trainserve_assets.claims.seen import WARN, Claim, Seen
from trainserve_assets.windows.judged import active_arms, feature_days


def _drift(seen: Seen) -> Mapping[str, Verdict]:
    fewest = seen.use_case.monitoring.fewest_rows
    return {arm: inputs_look_like_training(feature_days(seen.windows, arm), fewest) for arm in active_arms(seen.windows)}


CLAIMS = {
    "inputs_look_like_training": Claim(
        _drift, WARN, "In the newest week no input is further from training than weeks of training are."
    ),
}
