"""One row of scikit-learn's models: `predict_proba` of a pipeline on a DataFrame, beside the platform from body to answer.

Both run in this process, on one thread. The pipeline is what one would write without a platform, of the same estimator with
the same parameters on the same rows: it takes a frame with named columns, and the frame is made for each row.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from bench.figures import Line, Report, report
from bench.released import USE_CASE, release_flights
from lake.decoder import Decoder
from lake.delta import Table
from lake.documents import DocumentStore
from lake.engines import Engine
from lake.home import Home
from lake.interface.examples import example_record
from lake.interface.messages import Provenance, Scored, predict_response
from lake.tables import DATASET
from trainserve_assets.catalog import use_case
from trainserve_assets.trainers import Lesson
from trainserve_assets.training import train_candidate

CANDIDATES = ("hist_gradient_boosting", "logistic_regression")
FRAME = "predict_proba(DataFrame)"
_SHARE = 10  # of the seconds of a round, for each case
LIBRARIES = ("scikit-learn", "pandas", "numpy", "pylignum", "msgspec")


class OneRow(Line, frozen=True, kw_only=True):
    """Medians over the rounds; `times_faster` is the median of the frame's time over this one's in the same round."""

    model: str
    name: str
    row_us: float
    times_faster: float
    rounds: list[float]

    def cells(self) -> dict[str, str]:
        """Microseconds a row, and how many rows in the time of one through a frame."""
        return {
            "model": self.model,
            "what": self.name,
            "us a row": f"{self.row_us:,.0f}",
            "x the frame": f"{self.times_faster:.1f}",
        }


def measure(folder: Path, rounds: int, seconds: float, say: Callable[[str], None]) -> Report:
    """Measure all ways in turn, round after round."""
    home = Home.at(folder / "home")
    say("training the flight models")
    release_flights(home)
    ways = {(model, name): way for model in CANDIDATES for name, way in _ways(home, model).items()}
    found: list[dict[tuple[str, str], float]] = []
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        found.append({key: _row_us(way, seconds / _SHARE) for key, way in ways.items()})
    setup = f"one flight, in process, {rounds} interleaved rounds of {seconds / _SHARE:g} s, medians"
    return report("one_row", setup, [_figure(key, found) for key in ways], LIBRARIES)


def _ways(home: Home, name: str) -> dict[str, Callable[[], object]]:
    """The ways to an answer about the example, by the name of what gives it."""
    flights = use_case(USE_CASE)
    [candidate] = [one for one in flights.candidates if one.name == name]
    made, lesson = train_candidate(DocumentStore(home.lake), Table(home.lake, USE_CASE, DATASET), flights, candidate)
    package, record = made.package, example_record(flights.input_schema)
    decoder, body = Decoder(flights.input_schema), msgspec.json.encode({"records": [record]})
    frame_way = _frame_way(lesson, name, candidate.parameters, record)
    engines = {engine.name: engine for engine in (package.reference(), package.load().engine)}

    def answering(engine: Engine) -> Callable[[], object]:
        provenance = Provenance(
            request_id="of the benchmark",
            arm="champion",
            role="champion",
            release_seq=1,
            package_digest=package.digest,
            engine=engine.name,
        )

        def answer() -> object:
            records = decoder.records(body).records
            rows = [tuple(getattr(record, feature) for feature in lesson.features) for record in records]
            return predict_response(Scored(engine.scores(rows)), USE_CASE, "1", provenance, None)

        return answer

    return {FRAME: frame_way, **{f"body to answer, {name}": answering(engine) for name, engine in engines.items()}}


def _frame_way(lesson: Lesson, name: str, parameters: Mapping[str, Any], record: Mapping[str, Any]) -> Callable[[], object]:
    import pandas as pd

    dtypes = {feature: pd.CategoricalDtype(list(known)) for feature, known in lesson.categories.items()}
    numbers = {feature: "float64" for feature in lesson.features if feature not in dtypes}

    def frame(rows: Sequence[Sequence[Any]]) -> Any:
        return pd.DataFrame(rows, columns=list(lesson.features)).astype({**dtypes, **numbers})

    model = _pipeline(name, list(dtypes), list(numbers), parameters)
    model.fit(frame(lesson.rows), lesson.labels)
    row = tuple(record[feature] for feature in lesson.features)
    return lambda: model.predict_proba(frame([row]))


def _pipeline(name: str, categories: list[str], numbers: list[str], parameters: Mapping[str, Any]) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    if name == "hist_gradient_boosting":
        return HistGradientBoostingClassifier(**parameters, early_stopping=False, categorical_features="from_dtype")
    columns = ColumnTransformer(
        [
            ("categories", OneHotEncoder(handle_unknown="ignore"), categories),
            ("numbers", make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), numbers),
        ]
    )
    return make_pipeline(columns, LogisticRegression(**parameters, max_iter=1000))


def _row_us(way: Callable[[], object], seconds: float) -> float:
    way()
    took: list[float] = []
    ends_at = time.perf_counter() + seconds
    while not took or time.perf_counter() < ends_at:
        started = time.perf_counter()
        way()
        took.append(time.perf_counter() - started)
    return median(took) * 1e6


def _figure(key: tuple[str, str], rounds: Sequence[Mapping[tuple[str, str], float]]) -> OneRow:
    model, name = key
    times = [one[key] for one in rounds]
    frames = [one[model, FRAME] for one in rounds]
    faster = median(frame / took for frame, took in zip(frames, times, strict=True))
    return OneRow(model=model, name=name, row_us=median(times), times_faster=faster, rounds=times)
