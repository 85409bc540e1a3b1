"""A predictor that tests may ask, and a home whose ledger they may change."""

from collections.abc import Iterator

import pytest
from litestar.testing import TestClient

from lake.home import Home
from serving.app import create_app
from tests.scenario import USE_CASE
from tests.served import Approver, Client, toy


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The predictor of a released toy, for tests that change nothing."""
    home = Home.at(tmp_path_factory.mktemp("predictor"))
    Approver(home).release(toy())
    with TestClient(create_app(home, USE_CASE, "champion")) as client:
        yield client


@pytest.fixture
def approver(home: Home) -> Approver:
    """Who releases in the home of this test."""
    return Approver(home)
