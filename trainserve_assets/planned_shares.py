"""How requests were meant to be shared out between champion and challenger, and which units each got."""

from collections.abc import Mapping

import polars as pl

from checks.sample_ratio import Assignment
from lake.documents import DocumentStore
from lake.parameters import Parameters, find_parameters, parameters_from_environment
from lake.release.live import Live


def assignments(asked: pl.LazyFrame, shares: Mapping[int, float | None]) -> list[Assignment]:
    """For each version of the parameters the units that it was first to route, beside the planned shares.

    `shares` gives for each version the challenger's share of the requests that the two arms got together. Empty when
    the plan of any version is not known.
    """
    first = (
        asked.sort("received_at_utc", "request_id", "row")
        .unique("unit", keep="first", maintain_order=True)
        .group_by("parameters_version")
        .agg(challenger=pl.col("challenger").sum(), champion=(~pl.col("challenger")).sum())
        .sort("parameters_version")
        .collect()
    )
    found = []
    for version, challenger, champion in first.iter_rows():
        share = shares.get(version)
        if share is None:
            return []
        found.append(Assignment(units=(champion, challenger), shares=(1 - share, share)))
    return found


def challenger_share(plan: Parameters, live: Live, arm: str) -> float | None:
    """The challenger's part of what it and the champion get together; None when it was not live."""
    planned = {
        name: min(plan.arms[name].share, release.greatest_share) if name in plan.arms and plan.arms[name].active else 0.0
        for name, release in live.releases.items()
        if release.role == "challenger"
    }
    if arm not in planned:
        return None
    return planned[arm] / (planned[arm] + 1 - sum(planned.values()))


def find_plan(store: DocumentStore, use_case: str, version: int, environment: Mapping[str, str]) -> Parameters | None:
    """The parameters of this version; version 0 is what the environment says, where it says anything."""
    if version:
        return find_parameters(store, use_case, version)
    return parameters_from_environment(environment).get(use_case) if environment.get("PROXY_UPSTREAMS") else None
