"""What may be laid down for an experiment."""

from typing import Any

import pytest

from checks.experiment_plan import ExperimentPlan
from lake.errors import SettingError


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"fewest_days": 6}, "a whole week"),
        ({"longest_days": 13}, "14 or more"),
        ({"alpha": 0.0}, "between 0 and 0.5"),
        ({"greatest_p95_ratio": 1.0}, "above 1"),
    ],
)
def test_a_plan_that_cannot_be_kept_is_refused(wrong: dict[str, Any], expected: str) -> None:
    with pytest.raises(SettingError, match=expected):
        ExperimentPlan(**wrong)
