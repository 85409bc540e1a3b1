"""Whether logged scores are those of the package that each row names: the very bits, computed again."""

from collections.abc import Sequence

import msgspec

from checks.verdict import Verdict

_SHOWN = 12


class Rescored(msgspec.Struct, frozen=True, kw_only=True):
    """A package on an arm: how many of its logged answers were computed again, how many differ, and by how much at most."""

    arm: str
    package_digest: str
    rows: int
    different: int
    furthest: float


def scores_are_the_packages(found: Sequence[Rescored]) -> Verdict:
    """Whether none differs. An engine that answers was proven to give the bits of its package, so one row is enough."""
    rows, different = sum(one.rows for one in found), sum(one.different for one in found)
    if not rows:
        return Verdict(passed=False, reason="no answer could be computed again", limit=0.0)
    named = "".join(
        f"; {one.different:,} of {one.rows:,} under {one.package_digest[:_SHOWN]} on arm {one.arm!r}, by up to {one.furthest:.3g}"
        for one in found
        if one.different
    )
    return Verdict(
        passed=not different,
        reason=f"{different:,} of {rows:,} answers are other than their package gives{named}",
        observed=float(different),
        limit=0.0,
        rows=rows,
        remedy="roll back" if different else None,
    )
