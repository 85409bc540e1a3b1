"""How requests were meant to be shared out between champion and challenger, and which units each got."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from itertools import pairwise

import msgspec
import polars as pl

from checks.sample_ratio import Assignment
from lake.documents import DocumentStore
from lake.parameters import Parameters, find_parameters, parameters_from_environment
from lake.parameters.mirroring import is_mirrored
from lake.parameters.shares import share_of
from lake.release.live import Live

_FIRST, _LAST = (moment.replace(tzinfo=timezone.utc) for moment in (datetime.min, datetime.max))  # noqa: DTZ901 - it has its zone


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A span in which the planned share of a challenger stays; `share` is None where the plan is not known."""

    from_utc: datetime = _FIRST
    until_utc: datetime = _LAST
    share: float | None = None


def assignments(asked: pl.LazyFrame, plans: Mapping[int, Sequence[Stage]]) -> list[Assignment]:
    """For each version of the parameters, and each step of a ramp in it, the units that it was first to route.

    Beside them stand the planned shares. Empty when the plan of any that routed one is not known.
    """
    first = (
        asked.sort("received_at_utc", "request_id", "row")
        .unique("unit", keep="first", maintain_order=True)
        .select("parameters_version", "received_at_utc", "challenger")
        .collect()
    )
    found = []
    for (version,), units in sorted(first.partition_by("parameters_version", as_dict=True).items()):
        for stage in plans.get(int(version), ()) or (Stage(),):
            routed = units.filter(pl.col("received_at_utc").is_between(stage.from_utc, stage.until_utc, closed="left"))
            if routed.is_empty():
                continue
            if stage.share is None:
                return []
            challenger = int(routed["challenger"].sum())
            found.append(Assignment(units=(routed.height - challenger, challenger), shares=(1 - stage.share, stage.share)))
    return found


def stages(plan: Parameters, live: Live, arm: str) -> list[Stage]:
    """The challenger's part of what it and the champion get together, from step to step; None when it was not live."""
    moments = sorted({step.at_utc for one in plan.arms.values() if one.ramp is not None for step in one.ramp.steps})
    bounds = [_FIRST, *moments, _LAST]
    return [
        Stage(from_utc=start, until_utc=end, share=challenger_share(plan, live, arm, start)) for start, end in pairwise(bounds)
    ]


def challenger_share(plan: Parameters, live: Live, arm: str, now: datetime) -> float | None:
    """The challenger's part of what it and the champion get together at this moment; None when it was not live."""
    planned = {
        name: share_of(plan.arms[name], release, now) if name in plan.arms and plan.arms[name].active else 0.0
        for name, release in live.releases.items()
        if release.role == "challenger"
    }
    if arm not in planned:
        return None
    return planned[arm] / (planned[arm] + 1 - sum(planned.values()))


def sample_of(plan: Parameters, arm: str) -> float:
    """The part of the requests that a shadow is asked about by these parameters."""
    found = plan.arms.get(arm)
    return found.shadow.sample if found is not None and plan.active and found.active and found.upstreams else 0.0


def mirrored(asked: pl.LazyFrame, arm: str, samples: Mapping[int, float]) -> pl.LazyFrame:
    """The rows of both arms, without those of the champion's whose request the shadow was never to be asked about.

    `samples` are those of the versions of the parameters whose plan is known; of any other all requests count, and so does
    each that the shadow did answer.
    """
    partly = [version for version, sample in samples.items() if sample < 1]
    if not partly:
        return asked
    champions = asked.filter(~pl.col("challenger"), pl.col("parameters_version").is_in(partly))
    alone = champions.join(asked.filter("challenger"), on="request_id", how="anti")
    requests = alone.select("request_id", "parameters_version").unique().collect()
    left_out = [request_id for request_id, version in requests.iter_rows() if not is_mirrored(samples[version], arm, request_id)]
    never = pl.LazyFrame({"request_id": left_out}, schema={"request_id": pl.String}).with_columns(challenger=pl.lit(value=False))
    return asked.join(never, on=["request_id", "challenger"], how="anti")


def find_plan(store: DocumentStore, use_case: str, version: int, environment: Mapping[str, str]) -> Parameters | None:
    """The parameters of this version; version 0 is what the environment says, where it says anything."""
    if version:
        return find_parameters(store, use_case, version)
    return parameters_from_environment(environment).get(use_case) if environment.get("PROXY_UPSTREAMS") else None
