"""Dagit on a trained use case, and a page of Debian's Chromium."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from lake.home import Home
from tests.parcel_training import Platform
from tests.ports import free_port
from trainserve_assets.platform.processes import Processes, ProcessSpec
from trainserve_assets.platform.topology import prepare_dagster_home

PROJECT = Path(__file__).parents[2]
PATIENCE_MS = 120_000
QUIET_BROWSER = [
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with Dagster's own in it, and nothing else."""
    home = Home.at(tmp_path_factory.mktemp("browser") / "home")
    prepare_dagster_home(home)
    return home


@pytest.fixture(scope="module")
def platform(home: Home) -> Iterator[Platform]:
    """A use case trained and evaluated on an instance that Dagit can open."""
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        yield Platform(home, instance).train()


@pytest.fixture(scope="module")
def dagit(platform: Platform) -> Iterator[str]:
    """The address of Dagit on that use case."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = (sys.executable, "-m", "dagster_webserver", "-m", "tests.browser.location", "-h", "127.0.0.1", "-p", str(port))
    environment = {**platform.home.environment(), "PYTHONPATH": str(PROJECT)}
    with Processes(platform.home.logs, lambda _line: None) as processes:
        spec = ProcessSpec(name="dagit", command=command, environment=environment, ready_url=f"{address}/server_info")
        processes.start(spec, ready_within_s=PATIENCE_MS / 1000)
        yield address


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs the Debian package chromium")
    with sync_playwright() as playwright:
        arguments = [*QUIET_BROWSER, "--no-sandbox"]
        with playwright.chromium.launch(executable_path=chromium, args=arguments) as browser:
            yield browser


@pytest.fixture
def page(browser: Browser, dagit: str) -> Page:
    """A fresh page whose paths are Dagit's."""
    page = browser.new_page(base_url=dagit, viewport={"width": 1500, "height": 1000})
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    return page
