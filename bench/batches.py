"""Rows a second in batches of a thousand: in process from body to encoded answer, and over HTTP from wrk.

All take the same flights, of which nothing is null, by each way in; beside them stands what the engine alone gives, from rows
and from columns. In process everything runs on the one thread of this process, which logs nothing; over HTTP on one worker.
"""

import struct
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from bench.case import Case
from bench.case import measure as measure_case
from bench.figures import LIBRARIES, Line, Report, report
from bench.load import pinned
from bench.released import USE_CASE
from bench.requests import LOAD_CORE, SERVER_CORE, Flights
from lake.columns import Columns
from lake.delta import Table
from lake.engines import ColumnarEngine, Engine
from lake.home import Home
from lake.input_schema import InputSchema
from lake.interface.answers import GivenAnswer, write_answer
from lake.interface.bodies import BYTES, Question
from lake.interface.messages import Encoded, InterfaceName
from lake.package import open_package
from lake.protocol import BINARY_SIZE, JSON_LENGTH_HEADER, TENSOR_TYPES
from lake.tables import DATASET
from serving.follower import Follower
from serving.model import ReleasedModel

ROWS = 1_000
CONNECTIONS = 4
ENGINE_ROWS, ENGINE_COLUMNS = "the engine alone, rows", "the engine alone, columns"
IN_PROCESS, OVER_HTTP = "in process", "over HTTP"
_FORMATS = {"FP64": "d", "INT64": "q", "BOOL": "?"}
_SHARE = 10  # of the seconds of a load, for each case in process


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A body with a thousand flights, and how it is sent."""

    name: str
    interface: InterfaceName
    body: bytes
    json_length: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What a client says of it."""
        if self.json_length is None:
            return {"content-type": "application/json"}
        return {"content-type": BYTES, JSON_LENGTH_HEADER: self.json_length}

    @property
    def question(self) -> Question:
        """It as a server reads it."""
        return Question(interface=self.interface, name=USE_CASE, body=self.body, json_length=self.json_length)


class BatchFigure(Line, frozen=True, kw_only=True):
    """Medians over the rounds. `of_columns` is the median of the rows a second over those of the engine from columns."""

    name: str
    where: str
    rows_per_second: float
    batch_ms: float
    of_columns: float
    rounds: list[float]

    def cells(self) -> dict[str, str]:
        """Rows a second, also as a share of what the engine alone gives."""
        return {
            "what": self.name,
            "where": self.where,
            "rows/s": f"{self.rows_per_second:,.0f}",
            "ms a batch": f"{self.batch_ms:.2f}",
            "of the engine, columns": f"{self.of_columns:.2f}",
        }


def measure(folder: Path, rounds: int, seconds: float, say: Callable[[str], None]) -> Report:
    """Measure all ways in turn, round after round. `seconds` is the length of one load over HTTP."""
    flights = Flights(folder, say)
    model = served(flights.home)
    rows = known_rows(flights.home, model.schema)
    batches = bodies(model.schema, rows)
    loops = {**_engine_loops(flights, model.schema, rows), **{one.name: _loop(model, one.question) for one in batches}}
    server = flights.predictor(tuple(pinned(SERVER_CORE)))
    cases = {one.name: _case(server, one) for one in batches}
    found: list[dict[tuple[str, str], float]] = []
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}: in process")
        of_round = {(name, IN_PROCESS): _rows_per_second(loop, seconds / _SHARE) for name, loop in loops.items()}
        for name, case in cases.items():
            say(f"round {number + 1} of {rounds}: {name} over HTTP")
            [load] = measure_case(case, folder, [CONNECTIONS], seconds, LOAD_CORE, say).loads.values()
            of_round[name, OVER_HTTP] = load.requests_per_second * ROWS
        found.append(of_round)
    setup = (
        f"{ROWS:,} flights a request, {CONNECTIONS} connections over HTTP to one worker on one core, "
        f"{rounds} interleaved rounds of {seconds:g} s, medians"
    )
    return report("batches", setup, [_figure(key, found) for key in found[0]], (*LIBRARIES, "numpy", "pylignum"))


def served(home: Home) -> ReleasedModel:
    """The released model, loaded as a predictor loads it."""
    follower = Follower(home, USE_CASE, "champion")
    follower.look()
    return follower.model


def known_rows(home: Home, schema: InputSchema) -> list[dict[str, Any]]:
    """A thousand flights of which nothing is null, which bytes could not say."""
    frame = Table(home.lake, USE_CASE, DATASET).scan().select(schema.names).drop_nulls().collect().sample(ROWS, seed=3)
    return frame.to_dicts()


def bodies(schema: InputSchema, rows: Sequence[Mapping[str, Any]]) -> list[Batch]:
    """The rows as bytes behind JSON, as tensors in JSON, and as records."""
    columns = {field.name: [row[field.name] for row in rows] for field in schema.fields}
    datatypes = {field.name: TENSOR_TYPES[field.type][0] for field in schema.fields}
    heads = [{"name": name, "shape": [len(rows)], "datatype": datatype} for name, datatype in datatypes.items()]
    chunks = [_packed(columns[name], datatype) for name, datatype in datatypes.items()]
    sized = [{**head, "parameters": {BINARY_SIZE: len(chunk)}} for head, chunk in zip(heads, chunks, strict=True)]
    text = msgspec.json.encode({"inputs": sized, "parameters": {"binary_data_output": True}})
    in_json = msgspec.json.encode({"inputs": [{**head, "data": columns[head["name"]]} for head in heads]})  # type: ignore[index]
    return [
        Batch(name="OIP, bytes", interface="infer", body=b"".join([text, *chunks]), json_length=str(len(text))),
        Batch(name="OIP, JSON", interface="infer", body=in_json),
        Batch(name="records", interface="predict", body=msgspec.json.encode({"records": rows})),
    ]


def _packed(values: Sequence[Any], datatype: str) -> bytes:
    if datatype != "BYTES":
        return struct.pack(f"<{len(values)}{_FORMATS[datatype]}", *values)
    texts = [value.encode() if isinstance(value, str) else value.isoformat().encode() for value in values]
    return b"".join(part for text in texts for part in (len(text).to_bytes(4, "little"), text))


def _engine_loops(flights: Flights, schema: InputSchema, rows: Sequence[Mapping[str, Any]]) -> dict[str, Callable[[], object]]:
    package = open_package(flights.store, schema.use_case, flights.digest)
    engine: Engine = package.load().engine
    features = package.manifest.features
    values = [tuple(row[name] for name in features) for row in rows]
    loops: dict[str, Callable[[], object]] = {ENGINE_ROWS: lambda: engine.scores(values)}
    if isinstance(engine, ColumnarEngine):
        columns, columnar = Columns.of_rows(features, values), engine
        loops[ENGINE_COLUMNS] = lambda: columnar.scores_of_columns(columns)
    return loops


def _loop(model: ReleasedModel, question: Question) -> Callable[[], Encoded]:
    def answer() -> Encoded:
        rows = question.rows(model.decoder)
        given = GivenAnswer(model.scored(rows), model.release.model_version, model.provenance("of the benchmark"))
        return write_answer(question.interface, given, rows.client_request_id, rows.outputs, model.schema)

    return answer


def _case(server: Case, batch: Batch) -> Case:
    path = "predict" if batch.interface == "predict" else "infer"
    [spec] = server.specs
    root = str(spec.ready_url).removesuffix("/health/ready")
    url = f"{root}/models/{USE_CASE}/predict" if path == "predict" else f"{root}/v2/models/{USE_CASE}/infer"
    return Case(name=batch.name, specs=server.specs, url=url, body=batch.body, headers=batch.headers)


def _rows_per_second(loop: Callable[[], object], seconds: float) -> float:
    """By the median of the batches in so many seconds: a pause of the machine is none of ours."""
    loop()
    took: list[float] = []
    ends_at = time.perf_counter() + seconds
    while not took or time.perf_counter() < ends_at:
        started = time.perf_counter()
        loop()
        took.append(time.perf_counter() - started)
    return ROWS / median(took)


def _figure(key: tuple[str, str], rounds: Sequence[Mapping[tuple[str, str], float]]) -> BatchFigure:
    name, where = key
    speeds = [one[key] for one in rounds]
    bases = [one.get((ENGINE_COLUMNS, IN_PROCESS), one[ENGINE_ROWS, IN_PROCESS]) for one in rounds]
    return BatchFigure(
        name=name,
        where=where,
        rows_per_second=median(speeds),
        batch_ms=ROWS / median(speeds) * 1_000 * (CONNECTIONS if where == OVER_HTTP else 1),
        of_columns=median(speed / base for speed, base in zip(speeds, bases, strict=True)),
        rounds=speeds,
    )
