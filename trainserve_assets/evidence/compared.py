"""Comparisons: what a candidate is held against on the same rows, and by how much it differs."""

from typing import Literal

import msgspec

from lake.evaluation import Difference
from trainserve_assets.evidence.slices import Measured
from trainserve_assets.metrics import Sample


class Other(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate is compared with, measured on the same holdout."""

    kind: Literal["base rate", "baseline", "champion"]
    name: str
    sample: Sample
    measured: Measured


def differences(ours: Measured, other: Other, looks: int) -> list[Difference]:
    """Each metric of each slice minus the other's, on the same draws; over too few days for an interval there is none.

    `looks` is how many packages were judged on this holdout: so many chances to lead by luck widen the family's interval.
    """
    found = []
    for slice_name, spreads in ours.items():
        theirs = other.measured[slice_name]
        for metric in sorted(spreads.keys() & theirs.keys()):
            difference = spreads[metric].minus(theirs[metric])
            interval, over_all_looks = difference.interval, difference.interval_over(looks)
            if interval is None or over_all_looks is None:
                continue
            found.append(
                Difference(
                    metric=metric,
                    other=other.kind,
                    other_name=other.name,
                    value=difference.value,
                    low=interval[0],
                    high=interval[1],
                    n=difference.n,
                    days=difference.days,
                    slice=slice_name,
                    family_low=over_all_looks[0],
                    family_high=over_all_looks[1],
                )
            )
    return found
