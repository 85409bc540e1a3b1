"""A `defs.yaml` becomes a use case, or a message that names the place; and Dagster's own commands load the code location."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from checks.experiment_plan import ExperimentPlan
from lake.errors import NotFound
from trainserve_assets.catalog import use_case, use_cases
from trainserve_assets.component import TrainServeModel
from trainserve_assets.use_case import Trainer, UseCase

# Dagster's own way of reading YAML.
pytestmark = pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated")

PROJECT = Path(__file__).parents[2]
FLIGHTS = PROJECT / "trainserve_assets" / "defs" / "flight_delay" / "defs.yaml"


def attributes(**changes: Any) -> dict[str, Any]:
    """The flights' attributes, some of them changed."""
    read: dict[str, Any] = msgspec.yaml.decode(FLIGHTS.read_bytes())["attributes"]
    return {**read, **changes}


def test_the_flights_are_a_use_case() -> None:
    found = TrainServeModel.resolve_from_yaml(msgspec.yaml.encode(attributes()).decode()).use_case
    assert found == use_case("flight_delay")
    assert list(use_cases()) == ["flight_delay"]


def test_a_use_case_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(NotFound, match=r"'late_train'.*flight_delay"):
        use_case("late_train")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"owners": "me"}, "owners"),
        ({"title": 3}, "title: expected `str`"),
        ({"history_until": "July"}, "'July', expected a day as 2013-01-01"),
        ({"features": ["carrier", "colour"]}, "no field 'colour'"),
        ({"features": ["scheduled_departure_utc"]}, "a field that is not a timestamp"),
        (
            {"split": {"train_from": "2013-06-01", "holdout_from": "2013-01-01", "holdout_until": "2013-07-01"}},
            "train_from before",
        ),
        ({"candidates": [{"name": "one", "trainer": "magic", "baseline": True}]}, "'catboost'"),
        ({"candidates": [{"name": "one", "trainer": "catboost"}]}, "exactly one with baseline: true"),
        ({"next_review": "soon"}, "'soon', expected a day as 2013-01-01"),
        ({"invariances": [{"field": "scheduled_departure_utc"}]}, "a field that is not a timestamp"),
        ({"invariances": [{"field": "colour"}]}, "no field 'colour'"),
        ({"cost": {"false_positive": 0, "false_negative": 1}}, "two numbers above 0"),
        ({"period": "year"}, "'month'"),
        ({"risk_tier": "none"}, "'medium'"),
        ({"experiments": {"challenger": {"longest_days": 10}}}, "longest_days of an experiment is 10"),
        ({"experiments": {"challenger": {"longest": 28}}}, "longest"),
        ({"release_standard": [{"name": "g", "metric": "auc", "must_be": "about", "limit": 1}]}, "'at least'"),
    ],
)
def test_a_wrong_attribute_is_named_with_what_was_found_and_expected(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(Exception, match=r".") as refused:
        TrainServeModel.resolve_from_yaml(msgspec.yaml.encode(attributes(**changes)).decode())
    assert words in str(refused.value)


def test_an_arm_has_its_own_plan_of_experiments_or_the_default_one() -> None:
    plans = {"default": {"longest_days": 56}, "bold": {"margin": 0.01}}
    found = TrainServeModel.resolve_from_yaml(msgspec.yaml.encode(attributes(experiments=plans)).decode()).use_case

    assert found.experiment_plan("challenger") == ExperimentPlan(longest_days=56)
    assert found.experiment_plan("bold") == ExperimentPlan(margin=0.01)
    assert use_case("flight_delay").experiment_plan("bold") == ExperimentPlan()


def test_editors_get_the_schema_of_the_use_cases_own_fields() -> None:
    schema = TrainServeModel.model().model_json_schema()
    assert list(schema["properties"]) == [field.name for field in msgspec.structs.fields(UseCase)]
    assert schema["$defs"]["Candidate"]["properties"]["trainer"]["enum"] == sorted(get_args(Trainer))
    assert schema["additionalProperties"] is False
    assert "monitoring" not in schema["required"]


@pytest.mark.parametrize(
    "command",
    [
        ("dagster", "definitions", "validate", "-w", "workspace.yaml"),
        ("dg", "list", "defs", "--json"),
        ("dg", "utils", "inspect-component", "trainserve_assets.component.TrainServeModel"),
        ("dg", "check", "yaml"),
    ],
    ids=["dagster definitions validate", "dg list defs", "dg utils inspect-component", "dg check yaml"],
)
def test_dagsters_commands_load_the_code_location(command: tuple[str, ...], tmp_path: Path) -> None:
    script, *arguments = command
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [Path(sys.executable).parent / script, *arguments],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if "defs" in arguments:
        assert "flight_delay/release" in done.stdout
