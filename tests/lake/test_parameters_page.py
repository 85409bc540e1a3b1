"""What docs/parameters.md shows is accepted as it stands there."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lake.input_schema import InputSchema
from lake.parameters.checked import check_parameters
from lake.parameters.checked_rules import check_rules
from lake.parameters.document import Arm, Content
from lake.parameters.explained import read_change

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "parameters.md").read_text()
EXAMPLES = [msgspec.yaml.decode(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


def flights() -> InputSchema:
    use_case = msgspec.yaml.decode((ROOT / "trainserve_assets/defs/flight_delay/defs.yaml").read_bytes())["attributes"]
    return msgspec.convert(use_case["input_schema"], InputSchema)


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_is_accepted(example: dict[str, Any]) -> None:
    change = read_change(msgspec.json.encode({"arms": {"champion": {}}, **example, "why": "the page says so"}))

    check_parameters(change)
    check_rules(change, flights())


def test_every_parameter_stands_on_the_page() -> None:
    assert [name for name in Content.__struct_fields__ if f"`{name}" not in PAGE] == []
    assert [name for name in Arm.__struct_fields__ if f"`arms.<arm>.{name}" not in PAGE] == []
