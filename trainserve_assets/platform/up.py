"""`trainserve up`: the whole platform on this machine, until Ctrl-C."""

import signal
import threading
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table as RichTable

from lake.bucket import check_before_start
from lake.home import Home
from trainserve_assets.platform.processes import Processes
from trainserve_assets.platform.topology import Topology, arms_of


def up(
    *,
    host: str = "127.0.0.1",
    proxy_port: int = 8000,
    dagit_port: int = 3000,
    read_only_port: Annotated[int | None, Parameter(env_var="TRAINSERVE_READ_ONLY_PORT")] = None,
    reports_port: int = 3001,
    challenger_share: float = 0.1,
) -> None:
    """Start Dagit with its daemon, the reports, a predictor for each arm, the proxy and the shipper, on the lake there is.

    Parameters
    ----------
    host
        The address that everything listens on.
    proxy_port
        The proxy's port; predictors take the ports from 101 above it.
    dagit_port
        Dagit's port. Whoever reaches it can launch runs and write events.
    read_only_port
        The port of a second Dagit, on which nothing can be launched or changed; without it there is none.
    reports_port
        The port on which the reports of evaluations can be read. Dagit links to it.
    challenger_share
        The share of requests for each arm named challenger, while no parameters are stored.

    """
    from trainserve_assets.catalog import use_cases

    home = Home.from_environment()
    check_before_start(home.lake)
    console = Console()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    arms = arms_of(home, list(use_cases()))
    topology = Topology(
        home=home,
        host=host,
        proxy_port=proxy_port,
        dagit_port=dagit_port,
        read_only_port=read_only_port,
        reports_port=reports_port,
        arms=arms,
        shares=tuple((use_case, arm, challenger_share) for use_case, arm in arms if arm == "challenger"),
    )
    topology.check_ports(dagit=True)
    with Processes(home.logs, lambda line: console.print(f"[yellow]{line}[/]")) as processes:
        with console.status("starting predictors, proxy and shipper"):
            processes.start(*topology.serving())
        with console.status("starting Dagit, its daemon and the reports"):
            processes.start(*topology.dagster())
        console.print(addresses(topology))
        console.print("Ctrl-C stops everything.")
        stopped.wait()
        console.print("stopping")


def addresses(topology: Topology) -> RichTable:
    """Where everything is."""
    table = RichTable(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("Dagit", topology.dagit_url)
    if topology.read_only_url is not None:
        table.add_row("Dagit, read-only", topology.read_only_url)
    if topology.reports_url is not None:
        table.add_row("reports of evaluations", topology.reports_url)
    table.add_row("proxy", topology.proxy_url)
    table.add_row("its API page", f"{topology.proxy_url}/schema")
    for use_case, arm in topology.arms:
        table.add_row(f"predictor {use_case}/{arm}", f"{topology.predictor_url(use_case, arm)}/schema")
    table.add_row("metrics of the shipper", topology.shipper_metrics_url)
    table.add_row("logs", str(topology.home.logs))
    return table
