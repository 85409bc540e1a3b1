"""Materializations as a person would launch them, on the platform's own Dagster instance, in this process."""

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from lake.errors import NotFound, TrainServeError
from lake.home import Home
from trainserve_assets.demo.summary import CheckResult
from trainserve_assets.platform.topology import prepare_dagster_home

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class RunFailed(TrainServeError):
    """A run did not succeed; says which steps failed and why."""

    def __init__(self, run_id: str, failures: Sequence[str]) -> None:
        super().__init__(f"Run {run_id} failed: " + "; ".join(failures))


class Runs:
    """Launches runs of the code location's assets."""

    def __init__(self, home: Home) -> None:
        from trainserve_assets.definitions import defs

        warnings.simplefilter("ignore", dg.BetaWarning)
        prepare_dagster_home(home)
        os.environ.update(home.environment())
        self._instance = dg.DagsterInstance.get()
        self._definitions = defs()
        self._job = self._definitions.resolve_implicit_global_asset_job_def()
        self._keys = self._definitions.resolve_asset_graph().executable_asset_keys

    def keys(self, use_case: str, *names: str) -> list[dg.AssetKey]:
        """The assets of a use case whose name is, or begins with, one of these. Raises NotFound when there is none."""
        found = [key for key in self._keys if key.path[0] == use_case and key.path[-1].startswith(names)]
        if not found:
            raise NotFound("asset", f"{use_case}/{names}", "The code location has no such asset.")
        return found

    def materialize(self, keys: Sequence[dg.AssetKey], run_config: Mapping[str, Any] | None = None) -> list[CheckResult]:
        """Run these assets with their checks; returns what the checks said. Raises RunFailed."""
        result = self._job.execute_in_process(
            instance=self._instance,
            asset_selection=list(keys),
            run_config={**_QUIET, **(run_config or {})},
            raise_on_error=False,
        )
        if not result.success:
            raise RunFailed(result.run_id, [_explain(event) for event in result.all_events if event.is_step_failure])
        return [
            CheckResult(
                name=f"{evaluation.asset_key.to_user_string()}: {evaluation.check_name}",
                passed=evaluation.passed,
                severity=evaluation.severity.value,
                reason=evaluation.description or "",
            )
            for evaluation in result.get_asset_check_evaluations()
        ]

    def close(self) -> None:
        """Let go of the instance."""
        self._instance.dispose()


def _explain(event: dg.DagsterEvent) -> str:
    """The innermost error of a failed step, without its stack."""
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return f"{event.step_key}: {'no reason given' if error is None else error.message.strip()}"
