"""`trainserve demo`: plays the loop on real flights, step by step, and counts what came of it."""

import fcntl
import shutil
import signal
from collections.abc import Generator
from contextlib import contextmanager
from typing import NoReturn

from rich.console import Console

from lake.bucket import check_before_start
from lake.errors import SettingError
from lake.home import Home
from trainserve_assets.demo import USE_CASE
from trainserve_assets.platform.processes import Processes
from trainserve_assets.platform.topology import Topology, arms_of
from trainserve_assets.platform.up import addresses

CHALLENGER_SHARE = 0.2
LEAST_FREE_BYTES = 500 * 1024 * 1024


def demo(*, host: str = "127.0.0.1", proxy_port: int = 8000, dagit_port: int = 3000, reports_port: int = 3001) -> int:
    """Play the whole loop on the flights of 2013: train, release, serve July, label, watch; then stay up on a terminal.

    Parameters
    ----------
    host
        The address that everything listens on.
    proxy_port
        The proxy's port; predictors take the ports from 101 above it.
    dagit_port
        Dagit's port.
    reports_port
        The port on which the reports of evaluations can be read, while the platform stays up.

    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    home = Home.from_environment()
    check_before_start(home.lake)
    console = Console()
    with _alone(home):
        _check_disk(home)
        topology = Topology(
            home=home,
            host=host,
            proxy_port=proxy_port,
            dagit_port=dagit_port,
            reports_port=reports_port,
            arms=arms_of(home, [USE_CASE]),
            shares=((USE_CASE, "challenger", CHALLENGER_SHARE),),
        )
        topology.check_ports(dagit=console.is_terminal)
        try:
            return _play(topology, console)
        except KeyboardInterrupt:
            console.print("Interrupted. What was started is stopped; run it again to go on from here.")
            return 130


def _play(topology: Topology, console: Console) -> int:
    with console.status("loading Dagster and the asset graph"):
        from trainserve_assets.demo.steps import Demonstration
    with Processes(topology.home.logs, lambda line: console.print(f"[yellow]{line}[/]")) as processes:
        passed = Demonstration(topology, processes, console).play()
        if console.is_terminal:
            _stay_up(topology, processes, console)
    return 0 if passed else 1


def _stay_up(topology: Topology, processes: Processes, console: Console) -> None:
    with console.status("starting Dagit, its daemon and the reports"):
        processes.start(*topology.dagster())
    console.print(addresses(topology))
    console.print("Ctrl-C stops everything.")
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("stopping")


@contextmanager
def _alone(home: Home) -> Generator[None]:
    """One demonstration at a time in a home. Raises SettingError while another one runs."""
    home.root.mkdir(parents=True, exist_ok=True)
    with (home.root / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SettingError("TRAINSERVE_HOME", str(home.root), "a home that no other demonstration runs in") from error
        yield


def _check_disk(home: Home) -> None:
    free = shutil.disk_usage(home.root).free
    if free < LEAST_FREE_BYTES:
        wanted = f"at least {LEAST_FREE_BYTES >> 20} MB: free some, or set TRAINSERVE_HOME to a folder on another disk"
        raise SettingError(f"the free space for {home.root}", f"{free >> 20} MB", wanted)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
