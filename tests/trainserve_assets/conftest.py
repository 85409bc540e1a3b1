"""Parcels trained once for all tests of this folder and a copy of that home for each; platforms without any training."""

from collections.abc import Iterator
from datetime import datetime, timezone

import dagster as dg
import pytest
import time_machine

from lake.home import Home
from tests.parcel_log import PER_DAY, write_history, write_releases
from tests.parcel_training import Platform
from tests.receivers import Hook


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance in memory: a tenth of the time that one on disk takes for a run."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def kept_instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance in a temporary folder, for what refers to it from elsewhere, as schedules do."""
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform on which parcels were trained and evaluated, through Dagster. Not to be changed."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Platform(Home.at(tmp_path_factory.mktemp("trained") / "home"), instance).train()


@pytest.fixture
def platform(trained: Platform, home: Home) -> Platform:
    """The trained platform on a copy of its lake: what the test does there is its own, the Dagster instance is not."""
    return trained.copied_to(home)


@pytest.fixture
def watched(home: Home, instance: dg.DagsterInstance) -> Platform:
    """A platform with history, two live releases, and no log yet."""
    write_history(home.lake, days=60, per_day=PER_DAY)
    write_releases(home)
    return Platform(home, instance)


@pytest.fixture
def empty(home: Home, instance: dg.DagsterInstance) -> Platform:
    """A platform with nothing in it yet."""
    return Platform(home, instance)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that a test moves."""
    with time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=timezone.utc), tick=False) as traveller:
        yield traveller


@pytest.fixture
def hook() -> Hook:
    """A webhook that takes whatever comes, once it is up."""
    return Hook()
