"""The one place where Great Expectations is used, and with it pandas.

Polars has aggregated the rows before: what is checked here is one row of measurements, so that a table of any size
costs the same. The context lives in memory, sends nothing and writes no Data Docs.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from checks.verdict import Remedy, Verdict
from lake.errors import SettingError


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What one measurement must be: within inclusive limits, of which at least one is given."""

    measurement: str
    minimum: float | None = None
    maximum: float | None = None

    def __post_init__(self) -> None:
        if self.minimum is None and self.maximum is None:
            raise SettingError(f"the expectation on {self.measurement!r}", "without a limit", "a minimum, a maximum or both")

    def holds(self, observed: float | None) -> bool:
        """Whether a measurement is so; one that is None, or no number, is not."""
        least = -math.inf if self.minimum is None else self.minimum
        greatest = math.inf if self.maximum is None else self.maximum
        return observed is not None and least <= observed <= greatest

    def reason(self, observed: float | None) -> str:
        """In words, what was measured and what it must be."""
        shown = "not measured" if observed is None else f"{observed:,g}"
        return f"{self.measurement}: is {shown}, expected {self}"

    def __str__(self) -> str:
        if self.minimum == self.maximum:
            return f"{self.minimum:,g}"
        low = None if self.minimum is None else f"at least {self.minimum:,g}"
        high = None if self.maximum is None else f"at most {self.maximum:,g}"
        return " and ".join(words for words in (low, high) if words)


def expect(measurements: Mapping[str, float | None], expected: Sequence[Expected], rows: int) -> list[Verdict]:
    """One verdict for each expectation, in their order; `rows` is how many rows were measured.

    A measurement that is None fails, and so does one that is absent.
    """
    import great_expectations as gx
    import pandas as pd
    from great_expectations.expectations.core.expect_column_max_to_be_between import ExpectColumnMaxToBeBetween

    batch = _context().data_sources.add_pandas("measurements").add_dataframe_asset("measurements")
    frame = pd.DataFrame({name: [value] for name, value in measurements.items()}, dtype="float64")
    suite = gx.ExpectationSuite(
        name="expected",
        expectations=[
            ExpectColumnMaxToBeBetween(
                column=one.measurement, min_value=one.minimum, max_value=one.maximum, meta={"position": position}
            )
            for position, one in enumerate(expected)
        ],
    )
    whole = batch.add_batch_definition_whole_dataframe("measurements").get_batch({"dataframe": frame})
    results = {result.expectation_config.meta["position"]: bool(result.success) for result in whole.validate(suite).results}
    return [
        _verdict(one, measurements.get(one.measurement), rows, passed=results[position]) for position, one in enumerate(expected)
    ]


def _verdict(expected: Expected, observed: float | None, rows: int, *, passed: bool) -> Verdict:
    limit = expected.maximum if expected.minimum is None else expected.minimum
    remedy: Remedy | None = None if passed else "fix the source"
    return Verdict(passed=passed, reason=expected.reason(observed), observed=observed, limit=limit, rows=rows, remedy=remedy)


def _context() -> Any:
    import great_expectations as gx
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults, ProgressBarsConfig

    return gx.get_context(
        mode="ephemeral",
        project_config=DataContextConfig(
            analytics_enabled=False,
            progress_bars=ProgressBarsConfig(globally=False),
            store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        ),
    )
