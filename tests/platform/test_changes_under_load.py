"""Override, kill switch and roll back under load, on a proxy of several workers: in each within a second, and no request fails.

Told by the log, which has each request with the moment of its arrival and what answered it: from a second after the change on
nothing is answered as before, in no worker. What the machine itself held up is measured meanwhile, and granted.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from lake.commands.stop import resume, stop
from lake.home import Home, now_us
from lake.log.records import PredictionRecord, decode_record
from lake.log.segment import read_segment, segments
from lake.log.slot import slots
from lake.parameters.client import ParametersClient
from lake.parameters.document import Content, Fixed, change_of, content_of
from lake.parameters.rules import All, Answer, Rule
from tests.commands import running
from tests.recorded import RecordedClients, Stalls
from tests.scenario import USE_CASE
from tests.served import Approver, eventually, toy

WORKERS, ENOUGH = 2, 100
WITHIN_US = 1_000_000
FIXED = Rule(name="fixed", when=All(of=()), then=(Answer(scores=(0.5,)),))
Holds = Callable[[PredictionRecord], bool]


class Change(msgspec.Struct, frozen=True):
    """What was changed, between which moments, and how a row looks that goes by it; from `ended_at_us` on it is another's."""

    name: str
    at_us: int
    holds: Holds
    ended_at_us: int


def by_worker(home: Home) -> dict[str, list[PredictionRecord]]:
    """The rows that each worker's slot has."""
    found: dict[str, list[PredictionRecord]] = {}
    for folder in slots(home.spools):
        for path in segments(folder):
            for record in read_segment(path).records:
                decoded = None if record is None else decode_record(record)
                if isinstance(decoded, PredictionRecord):
                    found.setdefault(folder.name, []).append(decoded)
    return found


class Loaded:
    """A proxy under load, and the changes that were made to it."""

    def __init__(self, home: Home, url: str, clients: RecordedClients) -> None:
        self.changes: list[Change] = []
        self.parameters = ParametersClient(url)
        self._home = home
        self._clients = clients

    @contextmanager
    def changed(self, name: str, holds: Holds) -> Iterator[None]:
        """Note a change that is made here, and wait until many were asked long after it."""
        yield
        at_us = now_us()  # the moment at which who made it was told that it is made
        eventually(lambda: self._clients.sent_after(at_us + 2 * WITHIN_US) > ENOUGH, within_s=60)
        self.changes.append(Change(name, at_us, holds, now_us()))

    def put(self, **decided: object) -> int:
        """Change the parameters; returns the version."""
        before = self.parameters.get(USE_CASE)
        wanted: Content = replace(content_of(before), **decided)
        made = self.parameters.put(USE_CASE, before.version, change_of(wanted, "a test"))
        assert not isinstance(made, str)
        return before.version + 1


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_each_change_holds_in_every_worker_within_a_second_and_no_request_fails(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    approver = Approver(home)
    first, second = approver.release(toy(1)), approver.release(toy(2))
    for name, value in home.environment().items():
        monkeypatch.setenv(name, value)
    with ExitStack() as stack:
        predictor = stack.enter_context(running(home, "predictor", USE_CASE))
        settings = {"PROXY_UPSTREAMS": f"{USE_CASE}/champion={predictor.url}", "PROXY_TIMEOUT_S": "30"}
        proxy = stack.enter_context(running(home, "proxy", "--workers", str(WORKERS), environment=settings))
        eventually(lambda: proxy.get("/health/ready").status_code == 200)
        eventually(lambda: len(slots(home.spools)) == WORKERS)
        stalls = stack.enter_context(Stalls(tmp_path))
        clients = RecordedClients(proxy.url)
        stack.callback(clients.stop)
        loaded = Loaded(home, proxy.url, clients)
        with loaded.changed("what is answered when it is stopped", lambda row: row.parameters_version == 1):
            assert loaded.put(inactive_answer=Fixed(scores=(0.25,))) == 1
        with loaded.changed("override", lambda row: (row.rule, row.answer, row.parameters_version) == ("fixed", [0.5], 2)):
            assert loaded.put(rules=(FIXED,)) == 2
        with loaded.changed("its end", lambda row: (row.rule, row.package_digest) == ("champion", second)):
            assert loaded.put(rules=()) == 3
        with loaded.changed("kill switch", lambda row: (row.rule, row.answer) == ("stopped", [0.25])):
            assert stop(USE_CASE, why="a test", here_alone=True) == 0
        with loaded.changed("resumed", lambda row: row.rule == "champion"):
            assert resume(USE_CASE, why="a test", here_alone=True) == 0
        with loaded.changed("roll back", lambda row: row.package_digest == first):
            approver.decide("roll back", first)

    assert clients.lost == {}
    assert {told.status for told in clients.told.values()} == {200}
    rows = by_worker(home)
    assert len(rows) == WORKERS
    assert sum(map(len, rows.values())) == len(clients.told)
    granted_us = WITHIN_US + int(stalls.longest_s * 1_000_000)
    for change in loaded.changes:
        for worker, of_worker in rows.items():
            under = [row for row in of_worker if change.at_us < row.received_at_us < change.ended_at_us]
            assert sum(map(change.holds, under)) > 0, (change.name, worker)
            late_us = [row.received_at_us - change.at_us for row in under if not change.holds(row)]
            assert max(late_us, default=0) <= granted_us, (change.name, worker)
