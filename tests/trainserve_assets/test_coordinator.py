"""Who launched a run is what the identity proxy's header says, and nothing that a client says of itself."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.run_coordinator import DefaultRunCoordinator, SubmitRunContext

from lake.home import Home
from tests.dagit import PATIENCE_S, dagit_on, dagster_process, launched
from tests.launches import EAGER
from tests.parcel_training import Platform
from tests.scenario import USE_CASE
from tests.served import eventually
from trainserve_assets.coordinator import IdentityRunCoordinator
from trainserve_assets.platform.processes import Processes
from trainserve_assets.platform.topology import prepare_dagster_home
from trainserve_assets.runs import UNATTENDED, USER_TAG, launcher
from trainserve_assets.training import read_note

LOCATION = "tests.launches"
HEADER = "X-Forwarded-User"
BEHIND_A_PROXY = {"TRAINSERVE_IDENTITY_HEADER": HEADER}
FORGED = {USER_TAG: "mallory"}


@pytest.fixture(scope="module")
def home(trained: Platform, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home as `make up` prepares it, on a lake with a dataset."""
    home = Home.at(tmp_path_factory.mktemp("coordinator") / "home")
    shutil.copytree(Path(trained.home.lake), Path(home.lake))
    prepare_dagster_home(home)
    return home


@pytest.fixture(scope="module")
def runs(home: Home) -> Iterator[dg.DagsterInstance]:
    """The runs of that home."""
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        yield instance


@pytest.fixture(scope="module")
def dagit(home: Home) -> Iterator[str]:
    """The address of Dagit, which trusts the header of an identity proxy; there is no daemon."""
    with dagit_on(home, module=LOCATION, environment=BEHIND_A_PROXY) as address:
        yield address


def run_of(instance: dg.DagsterInstance, answer: Mapping[str, dict[str, str]]) -> dg.DagsterRun:
    """The run that a launch made."""
    run = instance.get_run_by_id(answer["run"]["runId"])
    assert run is not None
    return run


def finished(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    """The run, once it has succeeded."""

    def ended() -> bool:
        run = instance.get_run_by_id(run_id)
        return run is not None and run.is_finished

    eventually(ended, PATIENCE_S)
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.SUCCESS
    return run


@pytest.mark.parametrize(
    ("headers", "name"),
    [({HEADER.lower(): " grace "}, "grace"), ({}, UNATTENDED), ({HEADER: ""}, UNATTENDED), ({"X-Other": "eve"}, UNATTENDED)],
)
def test_behind_a_proxy_its_header_alone_says_who_launched(
    runs: dg.DagsterInstance, dagit: str, headers: Mapping[str, str], name: str
) -> None:
    answer = launched(dagit, "nothing", module=LOCATION, tags=FORGED, headers=headers)
    assert launcher(run_of(runs, answer).tags) == name


def test_who_launched_a_training_is_the_candidates_trainer_and_it_starts_without_a_daemon(
    runs: dg.DagsterInstance, dagit: str, home: Home
) -> None:
    store = Platform(home, runs).lake.store
    assert read_note(store, USE_CASE, "line").trainer == UNATTENDED
    answer = launched(dagit, USE_CASE, "candidate_line", module=LOCATION, tags=FORGED, headers={HEADER: "grace"})
    finished(runs, answer["run"]["runId"])
    assert read_note(store, USE_CASE, "line").trainer == "grace"


def test_without_a_proxy_no_header_names_anybody(runs: dg.DagsterInstance, home: Home) -> None:
    with dagit_on(home, module=LOCATION) as dagit:
        answer = launched(dagit, "nothing", module=LOCATION, headers={HEADER: "mallory"})
        assert launcher(run_of(runs, answer).tags) == UNATTENDED


@pytest.mark.slow
def test_a_launch_from_the_command_line_starts_and_names_nobody(
    runs: dg.DagsterInstance, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**home.environment(), **BEHIND_A_PROXY, "PYTHONPATH": str(Path(__file__).parents[2])}.items():
        monkeypatch.setenv(name, value)
    tags = json.dumps({**FORGED, "from": "the command line"})
    command = (sys.executable, "-m", "dagster", "job", "launch", "-m", LOCATION, "-j", "nothing_job", "--tags", tags)
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)

    [run] = runs.get_runs(dg.RunsFilter(tags={"from": "the command line"}))
    assert launcher(finished(runs, run.run_id).tags) == UNATTENDED


def test_a_sensors_run_starts_and_names_nobody(runs: dg.DagsterInstance, home: Home) -> None:
    arguments = ("dagster._daemon", "run", "-m", LOCATION)
    daemon = dagster_process("daemon", home, *arguments, environment=BEHIND_A_PROXY, ready_url=None)
    of_the_sensor = dg.RunsFilter(tags={"dagster/sensor_name": EAGER})
    with Processes(home.logs, lambda _line: None) as processes:
        processes.start(daemon)
        eventually(lambda: runs.get_runs(of_the_sensor), PATIENCE_S)
        [run] = runs.get_runs(of_the_sensor)
        assert launcher(finished(runs, run.run_id).tags) == UNATTENDED


def test_dagster_still_has_what_the_coordinator_stands_on() -> None:
    """Run coordinators are in a private module: `trainserve_assets.coordinator` and `dagster.yaml` depend on all this."""
    assert issubclass(IdentityRunCoordinator, DefaultRunCoordinator)
    assert {"dagster_run", "workspace"} <= set(SubmitRunContext._fields)
    assert callable(SubmitRunContext.get_request_header)
    assert callable(dg.DagsterInstance.add_run_tags)
