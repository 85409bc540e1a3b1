"""The use cases of this installation, read from their `defs.yaml` without Dagster."""

from pathlib import Path

import msgspec

from lake.errors import NotFound, SettingError
from trainserve_assets.use_case import UseCase

_COMPONENT = "trainserve_assets.component.TrainServeModel"
_DEFS = Path(__file__).parent / "defs"


def use_cases() -> dict[str, UseCase]:
    """Every use case, by name. Raises SettingError naming the file that cannot be read."""
    found = {}
    for path in sorted(_DEFS.glob("*/defs.yaml")):
        try:
            document = msgspec.yaml.decode(path.read_bytes(), type=dict[str, object])
            if document.get("type") == _COMPONENT:
                use_case = msgspec.convert(document["attributes"], UseCase)
                found[use_case.name] = use_case
        except (msgspec.MsgspecError, KeyError) as error:
            raise SettingError(str(path), str(error), "the attributes of a TrainServeModel") from error
    return found


def use_case(name: str) -> UseCase:
    """One use case. Raises NotFound."""
    known = use_cases()
    if name not in known:
        raise NotFound("use case", name, f"There are {sorted(known)}; each is a folder of trainserve_assets/defs.")
    return known[name]
