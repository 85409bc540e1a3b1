"""Engines: what runs a model, and how its files are written and read. Heavy imports stay inside the engines.

An engine is one module with `NAME`, `FILE`, `save(model) -> bytes` and `load(data, manifest) -> Engine`; a writer and
its reader so stand together. `ENGINES` is the only list of them.
"""

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from lake.errors import SettingError

if TYPE_CHECKING:
    from lake.package import Manifest

# One row of features, in the order of the manifest's `features`.
Row = Sequence[Any]


class Engine(Protocol):
    """A loaded model."""

    name: str

    def scores(self, rows: Sequence[Row]) -> list[list[float]]:
        """For each row its scores: one probability (binary), one for each class (multiclass), one value (regression)."""
        ...


class EngineModule(Protocol):
    """The module of an engine."""

    NAME: str
    FILE: str

    def save(self, model: object) -> bytes:
        """The model's bytes in its native format."""
        ...

    def load(self, data: bytes, manifest: "Manifest") -> Engine:
        """The model from just these bytes: nothing is read again from disk."""
        ...


ENGINES = {"catboost": "lake.engines.catboost", "sklearn": "lake.engines.sklearn"}


def engine_module(name: str) -> EngineModule:
    """The module of the engine of this name. Raises SettingError."""
    if name not in ENGINES:
        raise SettingError("engine", name, f"one of {sorted(ENGINES)}")
    return cast("EngineModule", importlib.import_module(ENGINES[name]))
