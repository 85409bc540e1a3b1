"""The read-only Dagit of `trainserve up --read-only-port`: it shows, and launches and writes nothing."""

from collections.abc import Iterator

import dagster as dg
import pytest
from rich.console import Console

from lake.errors import SettingError
from lake.home import Home
from lake.listener import bind
from tests.dagit import PATIENCE_S, launched, sent
from tests.ports import free_port
from trainserve_assets.platform.processes import Processes
from trainserve_assets.platform.topology import Topology
from trainserve_assets.platform.up import addresses

FLIGHTS = "flight_delay"


def topology(home: Home, read_only_port: int | None) -> Topology:
    return Topology(
        home=home,
        host="127.0.0.1",
        proxy_port=free_port(),
        dagit_port=free_port(),
        read_only_port=read_only_port,
        arms=(),
    )


@pytest.fixture
def read_only(home: Home) -> Iterator[str]:
    """The address of the read-only Dagit alone, started as `trainserve up` does."""
    chosen = topology(home, free_port())
    [spec] = [spec for spec in chosen.dagster() if spec.name == "dagit-read-only"]
    with Processes(home.logs, lambda _line: None) as processes:
        processes.start(spec, ready_within_s=PATIENCE_S)
        yield str(chosen.read_only_url)


def test_nothing_is_launched_or_written_through_the_read_only_dagit(read_only: str, home: Home) -> None:
    answer = launched(read_only, FLIGHTS, "dataset", module="trainserve")
    check = {"check_name": "better_than_the_base_rate", "passed": True}
    refusals = [
        sent(f"{read_only}/report_asset_materialization/{FLIGHTS}/release", {}),
        sent(f"{read_only}/report_asset_check/{FLIGHTS}/evaluation", check),
        sent(f"{read_only}/report_asset_observation/{FLIGHTS}/release", {}),
    ]

    assert answer["__typename"] == "UnauthorizedError"
    assert refusals == [(401, {"error": "Not authorized to report runless asset events."})] * 3
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        assert instance.get_runs_count() == 0
        assert instance.all_asset_keys() == []


def test_without_its_port_there_is_no_read_only_dagit(home: Home) -> None:
    chosen = topology(home, None)
    assert [spec.name for spec in chosen.dagster()] == ["dagit", "dagster-daemon"]
    with (console := Console(width=200)).capture() as shown:
        console.print(addresses(chosen))
    assert "read-only" not in shown.get()


def test_with_its_port_the_writable_dagit_stays_writable_and_both_are_named(home: Home) -> None:
    chosen = topology(home, free_port())
    pages = {spec.name: "--read-only" in spec.command for spec in chosen.dagster()}
    assert pages == {"dagit": False, "dagit-read-only": True, "dagster-daemon": False}
    with (console := Console(width=200)).capture() as shown:
        console.print(addresses(chosen))
    assert str(chosen.read_only_url) in shown.get()
    assert chosen.dagit_url in shown.get()


def test_its_port_in_use_is_named_before_anything_starts(home: Home) -> None:
    with bind("127.0.0.1", 0, "a test") as listener:
        chosen = topology(home, int(listener.getsockname()[1]))
        with pytest.raises(SettingError, match="the address of the read-only Dagit"):
            chosen.check_ports(dagit=True)
