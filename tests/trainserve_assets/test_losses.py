"""What an answer loses against its label, beside what the base rate would lose, for each task."""

import numpy as np
import polars as pl
import pytest

from lake.input_schema import Field, InputSchema
from trainserve_assets.logged import with_losses


def regression_schema() -> InputSchema:
    return InputSchema(
        use_case="weight", task="regression", label="kg", event_time="at", fields=(Field(name="at", type="timestamp"),)
    )


def multiclass_schema() -> InputSchema:
    return InputSchema(
        use_case="colour",
        task="multiclass",
        label="colour",
        classes=("red", "blue"),
        event_time="at",
        fields=(Field(name="at", type="timestamp"),),
    )


def test_a_regression_loses_the_squared_error() -> None:
    rows = pl.LazyFrame({"outcome": ["answered"], "answer": [[3.0]], "scores": [[3.0]], "label": [5.0], "package_digest": ["a"]})

    found = with_losses(rows, regression_schema(), {"a": (4.0,)}).collect().row(0, named=True)

    assert (found["score"], found["truth"], found["loss"], found["base_loss"]) == (3.0, 5.0, 4.0, 1.0)


def test_a_multiclass_answer_loses_the_log_of_what_it_gave_the_true_class() -> None:
    rows = pl.LazyFrame(
        {
            "outcome": ["answered", "answered"],
            "answer": [[0.8, 0.2], [0.5, 0.5]],
            "scores": [[0.8, 0.2], [0.5, 0.5]],
            "label": ["blue", None],
            "package_digest": ["a", "a"],
        }
    )

    found = with_losses(rows, multiclass_schema(), {"a": (0.5, 0.5)}).collect()

    assert found["loss"].to_list() == [pytest.approx(-np.log(0.2)), None]
    assert found["base_loss"].to_list() == [pytest.approx(np.log(2)), None]
