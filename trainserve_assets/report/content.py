"""The content of page and card: what their templates show of an exhibit, section by section."""

from collections.abc import Mapping
from typing import Any

import msgspec

from lake.evaluation import Difference, Estimate, Evaluation
from trainserve_assets.report.block import notices, release_block
from trainserve_assets.report.curves import POINTS, Threshold, thresholds
from trainserve_assets.report.exhibit import Exhibit
from trainserve_assets.report.figures import HEADLINES, meets_standard
from trainserve_assets.report.judgement import (
    compared,
    comparison_words,
    decided,
    field_slices,
    periods,
    regressed,
    standard_words,
    standing,
    worst_slice,
)

TOPICS = ("leakage", "behaviour", "engine", "budget")
_SHOWN_THRESHOLDS = range(10, POINTS, 10)
_NEARLY_EQUAL = 0.05


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """One period of the holdout."""

    name: str
    n: int
    skill: Estimate | None
    ratio: Estimate | None


class Rival(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate of the same run, and whether it satisfies the release standard."""

    evaluation: Evaluation
    releasable: bool


def content(exhibit: Exhibit) -> dict[str, Any]:
    """Everything but the charts, by the name that the templates use."""
    use_case, evaluation = exhibit.use_case, exhibit.evaluation
    outcome = decided(use_case.release_standard, evaluation)
    return {
        "use_case": use_case,
        "evaluation": evaluation,
        "manifest": exhibit.manifest,
        "card": evaluation.card,
        "notices": notices(evaluation, exhibit.policy),
        "sections": _sections(evaluation),
        "decided": outcome,
        "releasable": meets_standard(use_case.release_standard, evaluation),
        "standard_words": standard_words(outcome),
        "comparison_words": comparison_words(evaluation),
        "headline_metrics": HEADLINES[evaluation.task],
        "headlines": [one for metric in HEADLINES[evaluation.task] if (one := evaluation.find(metric)) is not None],
        "rivals": _rivals(exhibit),
        "compared": compared(evaluation),
        "has_champion": evaluation.champion_digest is not None,
        "periods": _periods(evaluation),
        "calibration_error": evaluation.find("calibration_error"),
        "ratio": (ratio := evaluation.find("predicted_over_observed")),
        "ratio_words": _ratio_words(ratio),
        **_costs(exhibit),
        "slices": field_slices(evaluation),
        "worst": worst_slice(evaluation),
        "regressed": regressed(evaluation),
        "compared_by_slice": any(one.other == "champion" and one.slice != "all" for one in evaluation.differences),
        "findings": {topic: [one for one in evaluation.findings if one.topic == topic] for topic in TOPICS},
        "split_gap": evaluation.find("random_split_gap"),
        "features": sorted(evaluation.features, key=lambda one: (-(one.importance or 0.0), one.name)),
        "family": (family := _family(evaluation)),
        "family_words": _family_words(family),
        "traceable": is_traceable(exhibit.manifest.source_revision),
        "release_block": release_block(use_case, evaluation, exhibit.policy),
    }


def is_traceable(revision: str) -> bool:
    """Whether a source revision names a commit, with nothing changed since."""
    return revision != "unknown" and not revision.endswith("-dirty")


def _sections(evaluation: Evaluation) -> Mapping[str, str]:
    """The page's sections, in their order, with their titles."""
    ranking = {
        "binary": "Ranking",
        "multiclass": "Confusion of classes",
        "regression": "Residuals",
    }[evaluation.task]
    sections = {
        "card": "What it is for",
        "headline": "Headline figures",
        "comparison": "Against champion, baseline and base rate",
        "experiment": "Experiment",
        "time": "Through time",
        "calibration": "Calibration",
        "ranking": ranking,
        "threshold": "Threshold and cost",
        "slices": "Slices",
        "leakage": "Leakage",
        "importances": "What it leans on",
        "behaviour": "Behaviour, engine, budget",
        "skew": "Training against serving",
        "looks": "Looks at this holdout",
        "reproduce": "How to reproduce it",
        "standard": "Release standard",
        "release": "To release it",
    }
    if evaluation.task != "binary":
        del sections["threshold"]
    return sections


def _rivals(exhibit: Exhibit) -> list[Rival]:
    """The candidate first, then the others; none when it was the only one."""
    if not exhibit.rivals:
        return []
    gates = exhibit.use_case.release_standard
    return [Rival(evaluation=one, releasable=meets_standard(gates, one)) for one in (exhibit.evaluation, *exhibit.rivals)]


def _periods(evaluation: Evaluation) -> list[Period]:
    ratios = {one.slice: one for one in periods(evaluation, "predicted_over_observed")}
    skills = {one.slice: one for one in periods(evaluation, "skill")}
    return [
        Period(
            name=(skills.get(name) or ratios[name]).slice.partition("=")[2],
            n=(skills.get(name) or ratios[name]).n,
            skill=skills.get(name),
            ratio=ratios.get(name),
        )
        for name in sorted(skills.keys() | ratios.keys())
    ]


def _costs(exhibit: Exhibit) -> dict[str, Any]:
    """The threshold curve of a binary use case, a few of its points for the table, and the cheapest one."""
    if exhibit.evaluation.task != "binary":
        return {}
    cost = exhibit.use_case.cost
    curve = thresholds(exhibit.sample, cost)
    cheapest = None if cost is None else min(curve, key=_cost)
    return {
        "threshold_curve": curve,
        "thresholds": [curve[at] for at in _SHOWN_THRESHOLDS],
        "cheapest": cheapest,
        "at_half": curve[POINTS // 2],
    }


def _cost(one: Threshold) -> float:
    return float("inf") if one.cost is None else one.cost


def _ratio_words(ratio: Estimate | None) -> str:
    if ratio is None or abs(ratio.value - 1) <= _NEARLY_EQUAL:
        return "about as much is predicted as happens"
    return "more is predicted than happens" if ratio.value > 1 else "less is predicted than happens"


def _family(evaluation: Evaluation) -> Difference | None:
    """The comparison that the choice among packages hangs on: the last named of base rate, baseline and champion."""
    bounded = [one for one in compared(evaluation) if one.metric == HEADLINES[evaluation.task][0] and one.family_low is not None]
    return bounded[-1] if bounded else None


def _family_words(family: Difference | None) -> str:
    if family is None:
        return ""
    alone = standing(family.metric, family.low, family.high)
    together = standing(family.metric, family.family_low, family.family_high)
    if together == "not proven":
        return "nothing is proven" if alone == "not proven" else f"{alone} for one look, not proven for all of them"
    return f"still {together}"
