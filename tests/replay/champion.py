"""A champion of the flights as the platform makes it: dataset, package and release, in a home of its own."""

from datetime import date, datetime, timezone
from functools import cache, cached_property
from pathlib import Path

import msgspec
import polars as pl

from lake.engines import Engine
from lake.home import Home
from lake.input_schema import publish_input_schema
from lake.log.privacy import Redactor
from lake.package import Package
from lake.parameters import Arm, Parameters, publish_parameters
from lake.release.ledger import Ledger
from lake.release.signatures import PlatformKey
from lake.release.trust import Trust
from lake.tables import DATASET
from lake.times import rfc3339
from tests.scenario import decision
from trainserve_assets.catalog import use_case
from trainserve_assets.defs.flight_delay.source import flights
from trainserve_assets.digests import content_digest
from trainserve_assets.examples import examples, read_source
from trainserve_assets.resources import LakeResource
from trainserve_assets.training import train_candidate
from trainserve_assets.use_case import Split, UseCase
from trainserve_assets.windows.reference import References

FLIGHTS, CHAMPION = "flight_delay", "champion"
_TRAIN_FROM, _HISTORY_UNTIL = "2013-01-01", "2013-07-01"


@cache
def _flights() -> pl.DataFrame:
    return flights().collect()


def source() -> pl.LazyFrame:
    """The flights, read once for all the days of a replay."""
    return _flights().lazy()


class Champion:
    """What one home has live, and what it answers with."""

    def __init__(self, root: Path, use_case: UseCase, package: Package) -> None:
        self.use_case = use_case
        self.package = package
        self.lake = LakeResource(root=str(root))

    @property
    def home(self) -> Home:
        """Where its log stands."""
        return self.lake.home

    @cached_property
    def engine(self) -> Engine:
        """What answers."""
        return self.package.load().engine

    @cached_property
    def references(self) -> References:
        """What its packages were trained on: the same at each update."""
        return References(self.lake.store, self.use_case.input_schema)

    @cached_property
    def redactor(self) -> Redactor:
        """What makes keys of rows."""
        return Redactor(self.use_case.input_schema, self.lake.privacy)

    def moved(self, root: Path) -> "Champion":
        """The same in a copy of its home."""
        return Champion(root, self.use_case, self.package)


def release_champion(root: Path, trained_until: date, released: date, candidate: str = "catboost") -> Champion:
    """Train on the days until then (exclusive), release as champion on that day.

    The days from then to July, or of June its last, are the holdout: a package is proven on rows that it was not trained on.
    """
    split = Split(train_from=_TRAIN_FROM, holdout_from=trained_until.isoformat(), holdout_until=_HISTORY_UNTIL)
    late = msgspec.structs.replace(use_case(FLIGHTS), split=split, history_until=_HISTORY_UNTIL, source=f"{__name__}:source")
    lake = LakeResource(root=str(root))
    publish_input_schema(lake.store, late.input_schema)
    rows = examples(late, read_source(late))
    lake.table(FLIGHTS, DATASET).replace(rows, content_digest(rows))
    package = train_package(lake, late, candidate)
    arms = {CHAMPION: Arm(upstreams=("http://champion",))}
    publish_parameters(lake.store, Parameters(use_case=FLIGHTS, arms=arms), 0)
    key = PlatformKey.read_or_make(lake.home.keys)
    at = datetime(released.year, released.month, released.day, tzinfo=timezone.utc)
    approved = decision(use_case=FLIGHTS, package_digest=package.digest)
    Ledger(lake.store, FLIGHTS, Trust.in_key(key)).append(approved, "ada", rfc3339(at), key)
    return Champion(root, late, package)


def train_package(lake: LakeResource, late: UseCase, name: str) -> Package:
    """The package of one candidate of the use case, trained on the dataset that is there."""
    [candidate] = [one for one in late.candidates if one.name == name]
    made, _ = train_candidate(lake.store, lake.table(FLIGHTS, DATASET), late, candidate)
    return made.package
