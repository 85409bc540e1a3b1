"""The CatBoost engine answers as the trained model itself does, bit for bit, whatever the task, and repeats its bytes."""

from typing import Any

import msgspec
import pytest

from lake.engines import catboost as engine
from lake.input_schema import Task
from tests.parcel_log import FEATURES, LOG_FROM, manifest, parcels_sent

CATEGORIES = {"depot": ("harbour", "north", "south"), "carrier": ("bike", "van")}
POSITIONS = [FEATURES.index(name) for name in CATEGORIES]


def rows(count: int) -> list[tuple[Any, ...]]:
    """Parcels, then one with every value null and one with categories that no model has seen."""
    known = parcels_sent(LOG_FROM, days=1, per_day=count).select(FEATURES).rows()
    return [*known, (None,) * len(FEATURES), ("moon", "drone", *known[0][2:])]


def trained(loss: str, threads: int = 1, **parameters: Any) -> Any:
    """A small model of weights in kilograms: above ten (binary), by tens (classes), or the value."""
    import catboost

    weights = parcels_sent(LOG_FROM, days=1, per_day=300)["weight_kg"].to_list()
    labels = {
        "Logloss": [weight > 10 for weight in weights],
        "RMSE": weights,
    }.get(loss, [min(int(weight // 10), 2) for weight in weights])
    model = catboost.CatBoost(
        {"iterations": 12, "depth": 4, "loss_function": loss, "random_seed": 3, "thread_count": threads, **parameters}
    )
    prepared = engine.prepare(rows(300)[:300], POSITIONS)
    pool = catboost.Pool(prepared, labels, cat_features=POSITIONS, feature_names=list(FEATURES))
    model.set_params(logging_level="Silent", allow_writing_files=False)
    model.fit(pool)
    return model


@pytest.mark.parametrize(
    ("loss", "task", "parameters"),
    [
        ("Logloss", "binary", {"one_hot_max_size": 255}),
        ("Logloss", "binary", {"one_hot_max_size": 2}),  # categories as statistics of the target
        ("MultiClass", "multiclass", {}),
        ("MultiClassOneVsAll", "multiclass", {}),
        ("RMSE", "regression", {}),
    ],
)
def test_scores_are_those_of_the_trained_model(loss: str, task: Task, parameters: dict[str, Any]) -> None:
    import catboost

    model = trained(loss, **parameters)
    facts = msgspec.structs.replace(manifest(dataset_version=1), task=task, categories=CATEGORIES)
    pool = catboost.Pool(engine.prepare(rows(200), POSITIONS), cat_features=POSITIONS, feature_names=list(FEATURES))
    kind = "RawFormulaVal" if task == "regression" else "Probability"
    truth = model.predict(pool, prediction_type=kind).tolist()
    expected = truth if task == "multiclass" else [[one[1] if task == "binary" else one] for one in truth]

    loaded = engine.load({engine.FILE: engine.save(model)}, facts)

    assert loaded.scores(rows(200)) == expected
    assert [loaded.scores([row])[0] for row in rows(200)] == expected


def test_training_again_gives_the_same_bytes_on_any_number_of_threads() -> None:
    assert engine.save(trained("Logloss", threads=1)) == engine.save(trained("Logloss", threads=2))


def test_a_loaded_model_still_tells_what_it_was_trained_with() -> None:
    import catboost

    model = catboost.CatBoost()
    model.load_model(blob=engine.save(trained("Logloss")))

    parameters = msgspec.json.decode(model.get_metadata()["params"])
    assert parameters["boosting_options"]["iterations"] == 12
