"""Real shipper processes, killed with SIGKILL at random and at chosen moments: nothing is lost, nothing doubled."""

import itertools
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

import msgspec
import polars as pl
import pytest

from lake.delta import Table
from lake.documents import DocumentStore
from lake.failpoints import MOMENTS, VARIABLE
from lake.home import Home
from lake.input_schema import publish_input_schema
from lake.log.backlog import backlog
from lake.log.records import encode_record
from lake.log.shipper import Shipper
from lake.log.slot import Slot
from lake.tables import LABELS, PREDICTIONS
from tests.scenario import USE_CASE, label, parcel_schema, prediction

DEADLINE_S = 60


class Worker:
    """Logs predictions and labels without a pause, in segments of a few groups, and remembers what was acknowledged."""

    def __init__(self, home: Home) -> None:
        self.acknowledged = 0
        self._slot = Slot.lease(home.spools)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self._prediction, self._label = prediction(0), label(0)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._slot.close()

    def _write(self) -> None:
        for group in itertools.count():
            numbers = range(self.acknowledged, self.acknowledged + 1 + group % 7)
            changes = [{"request_id": f"{number:012}"} for number in numbers]
            self._slot.append([encode_record(msgspec.structs.replace(self._prediction, **change)) for change in changes])
            self._slot.append([encode_record(msgspec.structs.replace(self._label, **change)) for change in changes])
            self.acknowledged = numbers.stop
            if group % 5 == 4:
                self._slot.rotate()
            if self._stopped.wait(0.002):
                return


def start_shipper(home: Home, *options: str, failpoint: str = "") -> subprocess.Popen[bytes]:
    """Start `trainserve shipper`, as an operator would; at a failpoint it kills itself."""
    trainserve = str(Path(sys.executable).with_name("trainserve"))
    environment = {**home.environment(), VARIABLE: failpoint}
    command = [trainserve, "shipper", "--freshness-s", "0", *options]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


def version(home: Home) -> int:
    """How many commits the table of predictions has seen; -1 before the first."""
    found = Table(home.lake, USE_CASE, PREDICTIONS).version()
    return -1 if found is None else found


def outlive(home: Home, shippers: int, lives: int) -> int:
    """Kill and start shippers so many times while a worker writes; returns how many requests were acknowledged."""
    publish_input_schema(DocumentStore(home.lake), parcel_schema())
    with Worker(home) as worker:
        for _ in range(lives):
            before = version(home)
            running = [start_shipper(home) for _ in range(shippers)]
            deadline = time.monotonic() + DEADLINE_S
            try:
                while version(home) <= before + 2:
                    assert time.monotonic() < deadline, "the shipper ships nothing"
                    assert all(shipper.poll() is None for shipper in running), "the shipper ended by itself"
                threading.Event().wait(random.uniform(0, 0.03))  # noqa: S311 - a moment somewhere in the next commit
            finally:
                for shipper in running:
                    shipper.kill()
                assert [shipper.wait() for shipper in running] == [-signal.SIGKILL] * shippers
    Shipper(home).ship()
    return worker.acknowledged


def assert_all_there_once(home: Home, acknowledged: int) -> None:
    """Every acknowledged record stands in its table, once."""
    assert acknowledged > 0
    assert backlog(home).segments == 0
    for table in (PREDICTIONS, LABELS):
        ids = (
            Table(home.lake, USE_CASE, table)
            .scan()
            .select(pl.col("request_id").str.slice(-12).cast(pl.Int64))
            .collect()["request_id"]
        )
        lost, doubled = set(range(acknowledged)) - set(ids), ids.len() - ids.n_unique()
        assert (len(lost), doubled, ids.max()) == (0, 0, acknowledged - 1)


@pytest.mark.parametrize(("shippers", "lives"), [(1, 3), (2, 2)])
def test_killed_shippers_lose_and_double_nothing(home: Home, shippers: int, lives: int) -> None:
    assert_all_there_once(home, outlive(home, shippers, lives))


@pytest.mark.slow
@pytest.mark.parametrize(("shippers", "lives"), [(1, 40), (2, 20)])
def test_shippers_killed_many_times_lose_and_double_nothing(home: Home, shippers: int, lives: int) -> None:
    assert_all_there_once(home, outlive(home, shippers, lives))


def log_requests(home: Home, first: int, last: int) -> None:
    """Have a worker log predictions and labels of these requests, in three closed segments and an open one; then it is gone."""
    publish_input_schema(DocumentStore(home.lake), parcel_schema())
    with Slot.lease(home.spools) as slot:
        quarter = (last - first) // 4
        for begin in range(first, last, quarter):
            slot.rotate()
            numbers = range(begin, begin + quarter)
            slot.append([encode_record(record) for number in numbers for record in (prediction(number), label(number))])


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("times", [1, 2])
def test_a_shipper_killed_at_a_failpoint_loses_and_doubles_nothing(home: Home, moment: str, times: int) -> None:
    log_requests(home, 0, 40)
    two_segments = ("--rows-by-commit", "40")
    shipper = start_shipper(home, *two_segments, failpoint=f"{moment}:{times}")

    assert shipper.wait(DEADLINE_S) == -signal.SIGKILL, "it ended otherwise than at the failpoint"
    log_requests(home, 40, 80)
    Shipper(home).ship()

    assert_all_there_once(home, 80)


def data_files(home: Home) -> set[Path]:
    """The data files of the table of predictions that are complete, committed or not."""
    return set(Path(home.lake, USE_CASE, PREDICTIONS).rglob("*.parquet"))


def test_a_shipper_killed_between_its_data_files_and_their_commit_loses_and_doubles_nothing(home: Home) -> None:
    """The moment is within delta-rs, so it is met from outside: the process is killed as soon as a data file appears."""
    orphans: set[Path] = set()
    number = 0
    deadline = time.monotonic() + DEADLINE_S
    while not orphans:
        assert time.monotonic() < deadline, f"the moment was not met in {number} tries"
        log_requests(home, 400 * number, 400 * (number + 1))
        before, number = data_files(home), number + 1
        shipper = start_shipper(home)
        while data_files(home) == before:
            assert shipper.poll() is None, "the shipper ended by itself"
        shipper.kill()
        shipper.wait()
        committed = Table(home.lake, USE_CASE, PREDICTIONS)
        known = set(committed.open().file_uris()) if committed.exists() else set()
        orphans = {path for path in data_files(home) if str(path) not in known}
    Shipper(home).ship()

    assert_all_there_once(home, 400 * number)


def test_a_failpoint_that_there_is_not_is_refused(home: Home) -> None:
    shipper = start_shipper(home, failpoint="comitted")

    assert shipper.wait(DEADLINE_S) == 1


def test_a_shipper_that_is_asked_to_stop_ships_what_is_closed_and_ends(home: Home) -> None:
    publish_input_schema(DocumentStore(home.lake), parcel_schema())
    with Worker(home) as worker:
        shipper = start_shipper(home)
        deadline = time.monotonic() + DEADLINE_S
        while version(home) < 1:
            assert time.monotonic() < deadline, "the shipper ships nothing"
    shipper.terminate()

    assert shipper.wait(DEADLINE_S) == 0
    assert_all_there_once(home, worker.acknowledged)
