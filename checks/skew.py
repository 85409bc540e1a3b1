"""Whether inputs are served as they are built: the same values in the log as in the source, for the same entity and time."""

from collections.abc import Sequence

from checks.verdict import Verdict
from lake.evaluation import Skew


def served_as_built(fields: Sequence[Skew], greatest_share: float) -> Verdict:
    """Whether of no field more than this share of its values differ; `observed` is the largest such share."""
    compared = max((one.compared for one in fields), default=0)
    if not compared:
        reason = "the source has none of the newest examples, so that nothing can be compared"
        return Verdict(passed=True, reason=reason, limit=greatest_share)
    shares = {one.field: one.different / one.compared for one in fields}
    skewed = sorted((name for name, share in shares.items() if share > greatest_share), key=lambda name: -shares[name])
    worst = max(shares, key=lambda name: shares[name])
    named = ", ".join(f"{name} in {shares[name]:.1%}" for name in skewed[:5])
    reason = (
        f"served otherwise than built: {named}" if skewed else f"furthest from what was built is {worst}, in {shares[worst]:.1%}"
    )
    return Verdict(
        passed=not skewed,
        reason=f"{reason}, over {compared:,} examples; {greatest_share:.1%} are allowed",
        observed=shares[worst],
        limit=greatest_share,
        rows=compared,
        remedy="fix the source" if skewed else None,
    )
