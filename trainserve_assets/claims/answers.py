"""Claims about answers that need no label: what they say, whose they are, and about what."""

from collections.abc import Mapping

from checks.answers import every_class_is_answered, shares_stay_small
from checks.steps import scores_make_no_step
from checks.verdict import Remedy, Verdict
from trainserve_assets.claims.seen import WARN, Claim, Seen
from trainserve_assets.windows.judged import active_arms, class_days, score_days, share_days, unknown_days
from trainserve_assets.windows.spans import BY_FALLBACK, OTHER

_GIVEN_BY_FALLBACK, _OTHER = "given by a fallback", "other than the scores"
# A model that fails is left for one that did not; one whose answers are corrected for long is to learn what the correction knows.
_OWN_REMEDIES: Mapping[str, Remedy] = {_GIVEN_BY_FALLBACK: "roll back", _OTHER: "retrain"}


def _classes(seen: Seen) -> Mapping[str, Verdict]:
    if seen.use_case.input_schema.task == "regression":
        return {"all arms": Verdict(passed=True, reason="an answer is a value: there is no class to be missing")}
    return {arm: every_class_is_answered(class_days(seen.windows, arm)) for arm in active_arms(seen.windows)}


def _scores(seen: Seen) -> Mapping[str, Verdict]:
    if seen.use_case.input_schema.task == "multiclass":
        return {"all arms": Verdict(passed=True, reason="an answer is one score for each class: see what classes are answered")}
    fewest = seen.use_case.monitoring.fewest_rows
    return {arm: scores_make_no_step(score_days(seen.windows, arm), fewest) for arm in active_arms(seen.windows)}


def _own(seen: Seen) -> Mapping[str, Verdict]:
    limits = seen.use_case.monitoring
    greatest = {_GIVEN_BY_FALLBACK: limits.greatest_fallback_share, _OTHER: limits.greatest_other_share}
    metrics = zip(greatest, (BY_FALLBACK, OTHER), strict=True)
    shares = {name: share_days(seen.closed.figures, "answered", metric) for name, metric in metrics}
    return {"all arms": shares_stay_small(shares, greatest, limits.fewest_rows, _OWN_REMEDIES)}


def _known(seen: Seen) -> Mapping[str, Verdict]:
    limits = seen.use_case.monitoring
    verdicts = {}
    for arm in active_arms(seen.windows):
        if days := unknown_days(seen.windows, arm):
            greatest = dict.fromkeys(days, limits.greatest_unknown_share)
            remedies: Mapping[str, Remedy] = dict.fromkeys(days, "retrain")
            verdicts[arm] = shares_stay_small(days, greatest, limits.fewest_rows, remedies)
    return verdicts or {"all arms": Verdict(passed=True, reason="no model that answers has a category as a feature")}


CLAIMS = {
    "every_class_is_answered": Claim(
        _classes, WARN, "No class that is usual is without an answer, and no rare one is answered three times as often as ever."
    ),
    "scores_make_no_step": Claim(
        _scores, WARN, "In the newest three days the scores did not change overnight by more than they ever did."
    ),
    "answers_are_the_models_own": Claim(
        _own, WARN, "On the newest two days few answers were given by a fallback, or changed by the parameters."
    ),
    "categories_are_known": Claim(_known, WARN, "On the newest two days few values of a category were such as training had not."),
}
