"""Who releases in the home of a test, and a whole loop that tests may ask."""

from collections.abc import Iterator
from contextlib import ExitStack

import msgspec
import pytest

from lake.home import Home
from serving.app import create_app
from tests.proxied import parameters, proxied
from tests.scenario import USE_CASE
from tests.served import Approver, Client, Toy, listening, toy


class Loop(msgspec.Struct, frozen=True):
    """A proxy before the predictors of a champion and a challenger with half of the requests."""

    home: Home
    client: Client
    toys: dict[str, Toy]


@pytest.fixture
def approver(home: Home) -> Approver:
    """Who releases in the home of this test."""
    return Approver(home)


@pytest.fixture
def urls(home: Home, approver: Approver) -> Iterator[dict[str, str]]:
    """The predictors of a released champion and challenger."""
    approver.release(toy(1))
    approver.release(toy(2), "challenger")
    with ExitStack() as stack:
        yield {arm: stack.enter_context(listening(create_app(home, USE_CASE, arm))) for arm in ("champion", "challenger")}


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """The whole, for tests that only send requests."""
    home = Home.at(tmp_path_factory.mktemp("loop"))
    approver = Approver(home)
    toys = {"champion": toy(1), "challenger": toy(2)}
    for arm, model in toys.items():
        approver.release(model, arm)
    with ExitStack() as stack:
        urls = {arm: stack.enter_context(listening(create_app(home, USE_CASE, arm))) for arm in toys}
        client = stack.enter_context(proxied(home, parameters(urls, challenger_share=0.5, salt="loop")))
        yield Loop(home, client, toys)
