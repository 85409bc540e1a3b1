"""Rows a second that the shipper moves from a backlog of flights into their local Delta table, on one core.

Beside it stands a bare `write_deltalake` of the very rows, which the shipper writes as well, after it has read, checked and
decoded the spool; and a shipper with a quarter of the backlog, whose memory tells whether it grows with that. Processes are
pinned to one core, and rows are counted by the second of processor time, which a shared machine does not disturb.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import msgspec
from uuid_utils import uuid7

from bench.drain import Drained
from bench.figures import Line, Report, report
from bench.load import pinned
from bench.released import USE_CASE
from lake.decoder import Decoder, epoch_us
from lake.documents import DocumentStore
from lake.home import Home
from lake.input_schema import publish_input_schema
from lake.log.chain import Chain
from lake.log.log_key import LogKey
from lake.log.records import PredictionRecord, encode_record
from lake.log.slot import Slot
from trainserve_assets.catalog import use_case
from trainserve_assets.examples import examples, read_source

ROWS_BY_SECOND = 200_000  # of the length of a load, so that a quick run is quick
ROWS_BY_GROUP, SEGMENT_BYTES = 16, 8 * 1024 * 1024  # as a proxy has it that many connections keep busy
DISTINCT_ROWS = 20_000
BARE, SHIPPER, SHORT = "bare write_deltalake", "shipper", "shipper, a quarter of the backlog"
LIBRARIES = ("deltalake", "polars", "msgspec")


class Shipped(Line, frozen=True, kw_only=True):
    """Medians over the rounds. `ratio` is that of its rows by processor second to those of the bare write."""

    name: str
    rows: int
    rows_per_cpu_second: float
    rows_per_second: float
    ratio: float
    memory_mb: float
    rounds: list[Drained]

    def cells(self) -> dict[str, str]:
        """Rows a second, and memory."""
        return {
            "what": self.name,
            "rows": f"{self.rows:,}",
            "rows/s of a core": f"{self.rows_per_cpu_second:,.0f}",
            "rows/s": f"{self.rows_per_second:,.0f}",
            "of the bare write": "" if self.name == BARE else f"{self.ratio:.2f}",
            "memory MB": f"{self.memory_mb:,.0f}",
        }


def measure(folder: Path, rounds: int, seconds: float, say: Callable[[str], None]) -> Report:
    """Measure all cases in turn, round after round."""
    rows = round(ROWS_BY_SECOND * seconds)
    say(f"logging {rows:,} flights")
    spools = {SHIPPER: _spooled(folder / "whole", rows), SHORT: _spooled(folder / "quarter", rows // 4)}
    drained: dict[str, list[Drained]] = {SHIPPER: [], SHORT: [], BARE: []}
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        for name, made in spools.items():
            root = folder / "home"
            shutil.copytree(made.root, root)
            drained[name].append(_drain("ship", root))
            if name == SHIPPER:
                drained[BARE].append(_drain("write", root))
            shutil.rmtree(root)
    setup = f"flights of {ROWS_BY_GROUP} a commit, one core, {rounds} rounds, medians"
    return report("shipper", setup, [_line(name, drained) for name in (BARE, SHIPPER, SHORT)], LIBRARIES)


def _line(name: str, drained: dict[str, list[Drained]]) -> Shipped:
    measured = drained[name]
    ratios = [one.rows_per_cpu_second / bare.rows_per_cpu_second for one, bare in zip(measured, drained[BARE], strict=True)]
    return Shipped(
        name=name,
        rows=measured[0].rows,
        rows_per_cpu_second=median(one.rows_per_cpu_second for one in measured),
        rows_per_second=median(one.rows / one.seconds for one in measured),
        ratio=median(ratios),
        memory_mb=median(one.memory_mb for one in measured),
        rounds=measured,
    )


def _drain(what: str, root: Path) -> Drained:
    command = [*pinned(0), sys.executable, "-m", "bench.drain", what, str(root), USE_CASE]
    environment = {**os.environ, "POLARS_MAX_THREADS": "1"}  # as many as it has cores
    ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return msgspec.json.decode(ended.stdout, type=Drained)


def _spooled(root: Path, rows: int) -> Home:
    """A home in which so many answers of flights are logged, sealed as a proxy seals them, and none is shipped."""
    home = Home.at(root)
    flights = use_case(USE_CASE)
    publish_input_schema(DocumentStore(home.lake), flights.input_schema)
    answers = islice(_answers(), rows)
    with Slot.lease(home.spools, "process") as slot:
        chain = Chain(slot.folder, slot.spool_id, slot.chain, LogKey.read_or_make(home.keys))
        while group := list(islice(answers, ROWS_BY_GROUP)):
            sealed = chain.seal(group, slot.next_seq)
            slot.append([*group, sealed.encoded])
            chain.advance(sealed)
            if slot.size >= SEGMENT_BYTES:
                chain.keep()
                slot.rotate()
        chain.keep()
        slot.rotate()
    return home


def _answers() -> Iterator[bytes]:
    """Encoded answers without end, each with ids and a score of its own."""
    flights = use_case(USE_CASE)
    names = flights.input_schema.names
    rows = examples(flights, read_source(flights)).head(DISTINCT_ROWS).select(names).to_dicts()
    now_us = epoch_us(datetime.now(timezone.utc))
    for number, features in enumerate(cycle(Decoder(flights.input_schema).convert(rows))):
        score = number * 7919 % 100_003 / 100_003
        yield encode_record(
            PredictionRecord(
                use_case=USE_CASE,
                request_id=str(uuid7()),
                row=0,
                event_time_us=now_us + number,
                received_at_us=now_us + number,
                outcome="answered",
                status=200,
                parameters_version=1,
                latency_us=900 + number % 500,
                attempts=1,
                arm="champion",
                client_request_id=f"client-{number}",
                role="champion",
                release_seq=1,
                package_digest="a" * 64,
                engine="catboost",
                client_id="bench",
                routing_key_hash=f"{number * 2_654_435_761 % 1000:032x}",
                entity_key_hash=f"{number * 2_654_435_761 % 2**64:032x}",
                features=features,
                scores=[score],
                answer=[score],
                upstream_latency_us=700 + number % 400,
            )
        )
