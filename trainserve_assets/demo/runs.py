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

    def __init__(self, home: Home, environment: Mapping[str, str]) -> None:
        from trainserve_assets.definitions import defs

        warnings.simplefilter("ignore", dg.BetaWarning)
        prepare_dagster_home(home)
        os.environ.update(environment)
        self._instance = dg.DagsterInstance.get()
        definitions = defs()
        self._job = definitions.resolve_implicit_global_asset_job_def()
        self._graph = definitions.resolve_asset_graph()

    def keys(self, use_case: str, *names: str) -> list[dg.AssetKey]:
        """The assets of a use case whose name is, or begins with, one of these. Raises NotFound when there is none."""
        found = [key for key in self._graph.executable_asset_keys if key.path[0] == use_case and key.path[-1].startswith(names)]
        if not found:
            raise NotFound("asset", f"{use_case}/{names}", "The code location has no such asset.")
        return found

    def materialize(self, keys: Sequence[dg.AssetKey], run_config: Mapping[str, Any] | None = None) -> None:
        """Run these assets with their checks. Raises RunFailed."""
        self._execute(self._job.get_subset(asset_selection=set(keys)), run_config or {})

    def check(self, use_case: str, name: str) -> None:
        """Run the checks of an asset that is only observed. Raises RunFailed."""
        key = dg.AssetKey([use_case, name])
        checks = {one for one in self._graph.asset_check_keys if one.asset_key == key}
        self._execute(self._job.get_subset(asset_selection=set(), asset_check_selection=checks), {})

    def verdicts(self, use_case: str) -> list[CheckResult]:
        """What every check of a use case said last, whoever ran it."""
        keys = sorted(key for key in self._graph.asset_check_keys if key.asset_key.path[0] == use_case)
        latest = self._instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
        return [
            CheckResult(
                name=f"{evaluation.asset_key.to_user_string()}: {evaluation.check_name}",
                passed=evaluation.passed,
                severity=evaluation.severity.value,
                reason=evaluation.description or "",
            )
            for key in keys
            if key in latest and (evaluation := latest[key].evaluation) is not None
        ]

    def _execute(self, job: dg.JobDefinition, run_config: Mapping[str, Any]) -> None:
        result = job.execute_in_process(instance=self._instance, run_config={**_QUIET, **run_config}, raise_on_error=False)
        if not result.success:
            raise RunFailed(result.run_id, [_explain(event) for event in result.all_events if event.is_step_failure])

    def close(self) -> None:
        """Let go of the instance."""
        self._instance.dispose()


def _explain(event: dg.DagsterEvent) -> str:
    """The innermost error of a failed step, without its stack."""
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return f"{event.step_key}: {'no reason given' if error is None else error.message.strip()}"
