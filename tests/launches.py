"""A code location to launch from: parcels, an asset that does nothing, a job of it, and a sensor that claims a name."""

from collections.abc import Iterator

import dagster as dg

from tests.browser import location
from trainserve_assets.runs import USER_TAG

EAGER = "eager"


@dg.asset
def nothing() -> None:
    """Is materialized in an instant."""


job = dg.define_asset_job("nothing_job", [nothing])


@dg.sensor(name=EAGER, job=job, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def eager() -> Iterator[dg.RunRequest]:
    """Asks for one run, in a name that nobody gave it."""
    yield dg.RunRequest(run_key="once", tags={USER_TAG: "mallory"})


defs = dg.Definitions.merge(location.defs, dg.Definitions(assets=[nothing], jobs=[job], sensors=[eager]))
