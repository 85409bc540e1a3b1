"""What a claim is decided from: a use case's lake and windows, each read once, and the time."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

import dagster as dg
import polars as pl

from checks.verdict import Verdict
from lake.tables import WINDOWS
from trainserve_assets.resources import LakeResource
from trainserve_assets.use_case import UseCase
from trainserve_assets.windows.closed import Closed, closed_spans
from trainserve_assets.windows.metrics import OF_PACKAGE, OF_PARAMETERS, judged_names
from trainserve_assets.windows.reference import References
from trainserve_assets.windows.table import newest_figures, newest_windows

WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


class Seen:
    """One use case at one moment."""

    def __init__(self, lake: LakeResource, use_case: UseCase, now: datetime) -> None:
        self.lake = lake
        self.use_case = use_case
        self.now = now

    @cached_property
    def windows(self) -> pl.DataFrame:
        """The newest figures of days."""
        return newest_windows(self.lake.table(self.use_case.name, WINDOWS))

    @cached_property
    def closed(self) -> Closed:
        """The newest figures of the spans of traffic that have closed by now."""
        return closed_spans(self.lake.home.lake, self.use_case.name, self.now)

    @cached_property
    def judged(self) -> pl.DataFrame:
        """The newest figures that answers are judged by, of all days."""
        names = [*judged_names(self.use_case.input_schema), OF_PACKAGE, OF_PARAMETERS]
        return newest_figures(self.lake.table(self.use_case.name, WINDOWS), names)

    @cached_property
    def references(self) -> References:
        """What packages were trained on."""
        return References(self.lake.store, self.use_case.input_schema)


class Claim(NamedTuple):
    """How a claim is decided, giving a verdict for each thing that is judged by its name; how bad it is; what it says.

    `cron` says when it is looked at though nothing was logged; all claims are looked at with each new window. `picture` draws
    what a finding is about.
    """

    decide: Callable[[Seen], Mapping[str, Verdict]]
    severity: dg.AssetCheckSeverity
    words: str
    cron: str | None = None
    picture: Callable[[Seen], str | None] | None = None
