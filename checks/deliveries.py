"""Whether drops of labels were taken whole: what was rejected of them, and what was not read at all."""

from collections.abc import Sequence

from checks.verdict import Verdict
from lake.log.deliveries import Delivered


def drops_are_taken_whole(newest: Sequence[Delivered]) -> Verdict:
    """Of no drop a row was rejected when it was last delivered; `observed` is how many were, over the rows of all drops."""
    if not newest:
        return Verdict(
            passed=False, reason="No drop was delivered yet: put a Parquet file or a Delta table where drops are looked for."
        )
    rows, rejected = sum(one.rows for one in newest), sum(one.rejected for one in newest)
    refused = [one for one in newest if one.refused is not None]
    spoilt = [one for one in newest if one.rejected]
    words = [f"{one.drop} was refused: {one.refused}" for one in refused]
    words += [f"of {one.drop} {one.rejected:,} of {one.rows:,} rows were rejected: see rejected_labels" for one in spoilt]
    reason = "; ".join(words) or f"All {rows:,} rows of {len(newest):,} drops were labels."
    return Verdict(
        passed=not words,
        reason=reason,
        observed=float(rejected),
        limit=0.0,
        rows=rows,
        remedy="fix the source" if words else None,
    )
