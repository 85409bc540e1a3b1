"""What every test gets: a home of its own, an environment without the machine's settings, and Hypothesis without a clock."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from lake.documents import DocumentStore
from lake.home import Home

hypothesis.settings.register_profile("shared machine", deadline=None, print_blob=True)
hypothesis.settings.load_profile("shared machine")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test, and no process that a test starts, can find the home of this machine."""
    for name in list(os.environ):
        if name.startswith(("TRAINSERVE_", "PROXY_", "DAGSTER_", "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TRAINSERVE_HOME", str(tmp_path / "home"))


@pytest.fixture(autouse=True)
def _own_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a command that a test runs makes of the log is that test's alone: no logger keeps it for the next."""
    configure = structlog.configure
    monkeypatch.setattr(structlog, "configure", lambda **settings: configure(**{**settings, "cache_logger_on_first_use": False}))
    yield
    structlog.reset_defaults()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home."""
    return Home.at(tmp_path / "home")


@pytest.fixture
def store(home: Home) -> DocumentStore:
    """The documents of the home's lake."""
    return DocumentStore(home.lake)
