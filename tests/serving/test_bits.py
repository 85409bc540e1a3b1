"""For any valid row every way in gives the bits of the trained model called directly: CatBoost's and scikit-learn's."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake.columns import Columns
from lake.decoder import Decoder
from lake.engines import ColumnarEngine, Engine
from lake.home import Home
from lake.input_schema import InputSchema, Task
from lake.package import seal
from serving.app import create_app
from serving.prediction import ROWS_ON_THE_LOOP
from tests.any_parcel import ROW
from tests.parcel_log import FEATURES, LOG_FROM, manifest, parcels_sent
from tests.protocol import binary_body, outputs_of
from tests.scenario import USE_CASE, parcel_schema, records_body, tensors_body
from tests.served import INFER, PREDICT, Approver, Client
from trainserve_assets.trainers import Lesson, train
from trainserve_assets.use_case import Trainer

CATEGORIES = {"depot": ("harbour", "north", "south"), "carrier": ("bike", "van")}
CLASSES = ("early", "late", "lost")

TRAINERS: list[tuple[Trainer, str, Task]] = [
    ("catboost", "catboost", "binary"),
    ("catboost", "lignum", "binary"),
    ("catboost", "lignum", "multiclass"),
    ("catboost", "lignum", "regression"),
    ("hist_gradient_boosting", "sklearn", "binary"),
    ("hist_gradient_boosting", "lignum", "binary"),
    ("hist_gradient_boosting", "lignum", "multiclass"),
    ("hist_gradient_boosting", "lignum", "regression"),
    ("logistic_regression", "sklearn", "multiclass"),
    ("logistic_regression", "linear", "binary"),
    ("logistic_regression", "linear", "multiclass"),
    ("linear_regression", "sklearn", "regression"),
    ("linear_regression", "linear", "regression"),
]


class Direct(msgspec.Struct, frozen=True):
    """A trained model as its library has it, called without any part of the platform."""

    trainer: Trainer
    task: Task
    model: Any

    def scores(self, row: dict[str, Any]) -> list[float]:
        """What the model itself gives one row."""
        if self.trainer == "catboost":
            return self._of_catboost([row.get(name) or "" if name in CATEGORIES else row.get(name) for name in FEATURES])
        numbers = [_number(name, row.get(name)) for name in FEATURES]
        matrix: npt.NDArray[np.float64] = np.array([numbers], dtype=np.float64)
        if self.task == "regression":
            return [float(self.model.predict(matrix)[0])]
        return _of_classes(self.task, self.model.predict_proba(matrix)[0])

    def _of_catboost(self, values: list[Any]) -> list[float]:
        import catboost

        positions = [FEATURES.index(name) for name in CATEGORIES]
        pool = catboost.Pool([values], cat_features=positions, feature_names=list(FEATURES))
        if self.task == "regression":
            return [float(self.model.predict(pool)[0])]
        return _of_classes(self.task, self.model.predict(pool, prediction_type="Probability")[0])


def _of_classes(task: Task, probabilities: Sequence[Any]) -> list[float]:
    values = [float(value) for value in probabilities]
    return values[1:] if task == "binary" else values


def _number(name: str, value: Any) -> float:
    """A value as scikit-learn was trained on it: a category is its place in the list."""
    if name in CATEGORIES:
        value = CATEGORIES[name].index(value) if value in CATEGORIES[name] else None
    return float("nan") if value is None else float(value)


class Served(msgspec.Struct, frozen=True):
    """A trained model, released, before every way in."""

    direct: Direct
    engine: Engine
    schema: InputSchema
    client: Client

    def by_the_engine(self, rows: Sequence[dict[str, Any]]) -> list[list[float]]:
        records = Decoder(self.schema).convert(rows)
        return self.engine.scores([tuple(getattr(record, name) for name in FEATURES) for record in records])

    def by_columns(self, rows: Sequence[dict[str, Any]]) -> list[list[float]]:
        if not isinstance(self.engine, ColumnarEngine):
            return self.by_the_engine(rows)
        records = Decoder(self.schema).convert(rows)
        values = [tuple(getattr(record, name) for name in FEATURES) for record in records]
        return [*self.engine.scores_of_columns(Columns.of_rows(FEATURES, values))]

    def by_records(self, rows: Sequence[dict[str, Any]]) -> list[list[float]]:
        answer = self.client.post(PREDICT, content=records_body(*rows))
        assert answer.status_code == 200, answer.text
        return [row.get("scores", [row.get("score")]) for row in answer.json()["predictions"]]

    def by_tensors(self, rows: Sequence[dict[str, Any]]) -> list[list[float]]:
        return self._inferred(rows, tensors_body(*rows), {})

    def by_bytes(self, rows: Sequence[dict[str, Any]]) -> list[list[float]]:
        return self._inferred(rows, *binary_body(*rows, parameters={"binary_data_output": True}))

    def _inferred(self, rows: Sequence[dict[str, Any]], body: bytes, headers: dict[str, str]) -> list[list[float]]:
        answer = self.client.post(INFER, content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        outputs = outputs_of(answer)
        width = len(outputs["score"]) // len(rows)
        scores = [outputs["score"][start : start + width] for start in range(0, len(outputs["score"]), width)]
        if self.schema.classes:
            assert outputs["label"] == [CLASSES[row.index(max(row))] for row in scores]
        return scores


@pytest.fixture(scope="module", params=TRAINERS, ids=" ".join)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model of each kind."""
    trainer, engine, task = request.param
    parcels = parcels_sent(LOG_FROM, days=6, per_day=50)
    labels = parcels["label"].to_numpy()
    labels = {"binary": labels, "multiclass": labels + (parcels["weight_kg"].to_numpy() > 15), "regression": labels * 7.3}[task]
    lesson = Lesson(task=task, features=FEATURES, categories=CATEGORIES, rows=parcels.select(FEATURES).rows(), labels=labels)
    rounds = {"catboost": {"iterations": 8, "depth": 4}, "hist_gradient_boosting": {"max_iter": 8}}.get(trainer, {})
    trained = train(trainer, lesson, {**rounds}, seed=3)
    classes = CLASSES if task == "multiclass" else ()
    schema = parcel_schema(task=task, classes=classes)
    facts = msgspec.structs.replace(
        manifest(dataset_version=1),
        engine=engine,
        reference=trained.engine,
        task=task,
        classes=classes,
        categories=CATEGORIES,
    )
    home = Home.at(tmp_path_factory.mktemp(engine))
    approver = Approver(home, schema)
    package = seal(approver.store, facts, trained.model, lesson.rows[:5])
    approver.decide("approve", package.digest)
    with Client(create_app(home, USE_CASE, "champion")) as client:
        assert client.get(f"/models/{USE_CASE}").json()["engine"] == engine
        yield Served(Direct(trainer, task, trained.model), package.load().engine, schema, client)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROW, min_size=1, max_size=5))
def test_any_valid_row_gets_the_trained_models_bits_by_every_way_in(served: Served, rows: list[dict[str, Any]]) -> None:
    truth = [_bits(served.direct.scores(row)) for row in rows]

    for way in (served.by_the_engine, served.by_columns, served.by_records, served.by_tensors, served.by_bytes):
        assert [_bits(scores) for scores in way(rows)] == truth, way.__name__
        assert [_bits(way([row])[0]) for row in rows] == truth, way.__name__
        many = rows * (1 + ROWS_ON_THE_LOOP // len(rows))  # in a thread
        assert [_bits(scores) for scores in way(many)] == truth * (len(many) // len(rows)), way.__name__


def _bits(scores: Sequence[float]) -> list[str]:
    return [float(score).hex() for score in scores]
