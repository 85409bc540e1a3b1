"""Parcels trained once for all tests of this folder, and a copy of that home for each."""

from collections.abc import Iterator

import dagster as dg
import pytest

from lake.home import Home
from tests.parcel_training import Platform


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance in a temporary folder."""
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform on which parcels were trained and evaluated, through Dagster. Not to be changed."""
    with dg.DagsterInstance.ephemeral() as instance:  # in memory: a tenth of the time that one on disk takes for a run
        yield Platform(Home.at(tmp_path_factory.mktemp("trained") / "home"), instance).train()


@pytest.fixture
def platform(trained: Platform, home: Home) -> Platform:
    """The trained platform on a copy of its lake: what the test does there is its own, the Dagster instance is not."""
    return trained.copied_to(home)
