"""The power goes, at any moment of a load, with whatever nobody had the disk keep: what was answered is in the table, once."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import polars as pl
import pytest

from lake.delta import Table
from lake.home import Home
from lake.log.backlog import backlog
from lake.log.durability import Durability
from lake.log.group_commit import GroupCommit
from lake.log.log_key import LogKey
from lake.log.records import encode_record
from lake.log.shipper import Shipper
from lake.log.slot import Slot
from lake.tables import PREDICTIONS
from tests.forgetful_disk import Mounted, Watch, forgetful_disk
from tests.load import Load
from tests.ports import proxy_port
from tests.scenario import USE_CASE, prediction
from tests.served import Approver, eventually, toy
from trainserve_assets.platform.processes import Processes
from trainserve_assets.platform.topology import Topology

ANSWERS = 2_000
NEW_ROWS = 5


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Mounted]:
    """A disk that keeps only what it was told to keep."""
    with forgetful_disk(tmp_path / "disk") as disk:
        yield disk


def answered_on(disk: Mounted, folder: Path, durability: Durability) -> Load:
    """Run predictor, proxy and shipper under load, and cut the power at many of their changes, into `folder/cuts`."""
    home = Home.at(disk.folder / "home")
    Approver(home).release(toy(1))
    topology = Topology(home=home, host="127.0.0.1", proxy_port=proxy_port(1), dagit_port=0, arms=((USE_CASE, "champion"),))
    predictor, proxy, shipper = topology.serving()
    proxy = msgspec.structs.replace(proxy, environment={**proxy.environment, "TRAINSERVE_DURABILITY": durability})
    shipper = msgspec.structs.replace(shipper, command=disk.command("shipper", "--freshness-s", "0.2"))
    to = str(folder / "cuts")
    with Processes(folder / "logs", print) as processes:
        processes.start(predictor, proxy, shipper)
        load = Load(topology.proxy_url)
        try:
            eventually(lambda: len(load.acknowledged()) > 0, within_s=60)
            disk.watch(Watch(below="/home/lake", every=13, to=to), Watch(below="/home/spools", every=97, to=to))
            eventually(lambda: len(load.acknowledged()) > ANSWERS, within_s=200)
            disk.watch()
        finally:
            load.stop()
        eventually(lambda: backlog(home).bytes == 0, within_s=60)
    return load


def logged(home: Home) -> pl.Series:
    """The ids of the requests in the table, each as often as it stands there; none where nothing was left to ship."""
    table = Table(home.lake, USE_CASE, PREDICTIONS)
    return table.scan().select("request_id").collect()["request_id"] if table.exists() else pl.Series(dtype=pl.String)


def live_on(home: Home) -> set[str]:
    """What the next life of the platform answers, and has shipped."""

    async def answer() -> set[str]:
        log = GroupCommit(Slot.lease(home.spools), LogKey.read_or_make(home.keys))
        new = {f"new-{number}" for number in range(NEW_ROWS)}
        for request_id in sorted(new):
            await log.append([encode_record(prediction(0, request_id=request_id))])
        await log.close()
        return new

    new = asyncio.run(answer())
    Shipper(home).ship()
    return new


@pytest.mark.slow
@pytest.mark.parametrize("durability", ["disk", "process"])
def test_after_a_power_cut_the_log_has_what_was_answered_and_takes_what_is_answered_next(
    disk: Mounted, tmp_path: Path, durability: Durability
) -> None:
    load = answered_on(disk, tmp_path, durability)
    lost = []
    for left in sorted((tmp_path / "cuts").iterdir(), key=lambda left: int(left.name)):
        home = Home.at(left / "home")
        (home.root / "boot").unlink(missing_ok=True)  # the machine has started again
        Shipper(home).ship()
        found = logged(home)
        assert found.n_unique() == found.len(), "a row stands twice"
        lost.append(len(load.acknowledged(before=int(left.name) / 1e9) - set(found)))
        assert live_on(home) <= set(logged(home)), "numbers were given again: what was answered next is lost"
        shutil.rmtree(left)

    assert len(lost) > 20
    if durability == "disk":
        assert set(lost) == {0}, "an answer that a client has is not in the table"
    else:
        assert max(lost) > 0, "the disk forgot nothing that nobody waited for: this test would find nothing"
