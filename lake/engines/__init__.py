"""Engines: what runs a model. Heavy imports stay inside them.

An engine is a module, named in the entry-point group `trainserve.engines`, so that others can bring theirs. Two kinds:
a *reference* is the trained model's own library, which writes the model's native file and reads it; a *translation* runs
the models of references by other means, and is used only where it was proven to give the same bits.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from lake.errors import SettingError

if TYPE_CHECKING:
    from lake.columns import Columns
    from lake.package import Manifest

GROUP = "trainserve.engines"

# One row of features, in the order of the manifest's `features`.
Row = Sequence[Any]
# The values of the numbers in a row at which a model's answer may change, by the position in the row.
Borders = Mapping[int, Sequence[float]]


class Engine(Protocol):
    """A loaded model."""

    name: str

    def scores(self, rows: Sequence[Row]) -> list[list[float]]:
        """For each row its scores: one probability (binary), one for each class (multiclass), one value (regression)."""
        ...


@runtime_checkable
class ColumnarEngine(Engine, Protocol):
    """A loaded model that takes many rows faster by their columns."""

    def scores_of_columns(self, columns: "Columns") -> Sequence[list[float]]:
        """As `scores`, to the bit, of the columns of its features; it may leave others alone."""
        ...


class ReferenceEngine(Engine, Protocol):
    """A model in the hands of the library that trained it."""

    def borders(self) -> Borders:
        """Where the numbers of a row are split; empty for a model without splits."""
        ...


class EngineModule(Protocol):
    """The module of an engine."""

    NAME: str

    def load(self, files: Mapping[str, bytes], manifest: "Manifest") -> Engine:
        """The model from just these bytes of its package: nothing is read again from disk."""
        ...


@runtime_checkable
class Reference(Protocol):
    """The module of an engine that is the trained model's own library; `FILE` is its native file."""

    NAME: str
    FILE: str

    def save(self, model: object) -> bytes:
        """The model's bytes in its native format."""
        ...

    def load(self, files: Mapping[str, bytes], manifest: "Manifest") -> ReferenceEngine:
        """See `EngineModule.load`."""
        ...


@runtime_checkable
class Translation(Protocol):
    """The module of an engine that runs what others trained."""

    NAME: str

    def translate(self, model: object, manifest: "Manifest") -> dict[str, bytes]:
        """The files that a package needs beside the native one. Raises Untranslatable."""
        ...

    def load(self, files: Mapping[str, bytes], manifest: "Manifest") -> Engine:
        """See `EngineModule.load`."""
        ...


class Untranslatable(Exception):
    """A model that an engine cannot run; says why."""


def engine_module(name: str) -> EngineModule:
    """The module of the engine of this name. Raises SettingError, naming those that are installed."""
    found = entry_points(group=GROUP, name=name)
    if not found:
        raise SettingError("engine", name, f"one of {sorted(entry_points(group=GROUP).names)}")
    return cast("EngineModule", next(iter(found)).load())


def reference(name: str) -> Reference:
    """The module of a reference engine. Raises SettingError."""
    module = engine_module(name)
    if not isinstance(module, Reference):
        raise SettingError("engine", name, "the own engine of a trained model, which writes its native file")
    return module


def translations() -> list[str]:
    """The names of all engines that run what others trained. Raises ImportError where one is half installed."""
    return [name for name in sorted(entry_points(group=GROUP).names) if isinstance(engine_module(name), Translation)]
