"""The use case that `docs/use_case.md` shows works as it stands there, from its source to its evaluation."""

import re
from pathlib import Path

import dagster as dg
import msgspec
import pytest

from lake.home import Home
from tests.parcel_training import Platform, failures
from trainserve_assets.component import TrainServeModel

PAGE = Path(__file__).parents[2] / "docs" / "use_case.md"
SOURCE = "trainserve_assets.defs.tumours.source"


def block(language: str) -> str:
    """The one block of this language."""
    [found] = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(found)


@pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated")
def test_the_use_case_of_the_page_is_trained_evaluated_and_may_be_released(
    home: Home, instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "source_of_the_page.py").write_text(block("python"))
    monkeypatch.syspath_prepend(tmp_path)
    assert SOURCE in block("yaml")
    attributes = msgspec.yaml.decode(block("yaml").replace(SOURCE, "source_of_the_page"))["attributes"]
    use_case = TrainServeModel.resolve_from_yaml(msgspec.yaml.encode(attributes).decode()).use_case
    platform = Platform(home, instance, use_case)

    result = platform.run(["dataset", "candidate_catboost", "candidate_boosting", "candidate_logistic", "evaluation"])

    assert result.success, failures(result)
    assert all(check.passed for check in result.get_asset_check_evaluations())
    released = platform.release(candidate="catboost")
    assert released.success, failures(released)
