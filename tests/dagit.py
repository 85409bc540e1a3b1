"""Dagit in a process of its own, on a code location with parcels, and what its clients send to it."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
from pyreqwest.client import SyncClientBuilder

from lake.home import Home
from tests.ports import free_port
from trainserve_assets.platform.processes import Processes, ProcessSpec

PARCELS = "tests.browser.location"
PATIENCE_S = 120.0
_LAUNCH = """
mutation Launch($execution: ExecutionParams!) {
  launchRun(executionParams: $execution) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on Error { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""


def dagster_process(name: str, home: Home, *arguments: str, environment: Mapping[str, str], ready_url: str | None) -> ProcessSpec:
    """One of Dagster's own programs on this home, able to import the tests."""
    project = str(Path(__file__).parents[1])
    return ProcessSpec(
        name=name,
        command=(sys.executable, "-m", *arguments),
        environment={**home.environment(), "PYTHONPATH": project, **environment},
        ready_url=ready_url,
    )


@contextmanager
def dagit_on(
    home: Home, *options: str, module: str = PARCELS, environment: Mapping[str, str] | None = None, name: str = "dagit"
) -> Iterator[str]:
    """Dagit on a home that is prepared, with more options or variables; gives its address."""
    port = str(free_port())
    address = f"http://127.0.0.1:{port}"
    arguments = ("dagster_webserver", "-m", module, "-h", "127.0.0.1", "-p", port, *options)
    spec = dagster_process(name, home, *arguments, environment=environment or {}, ready_url=f"{address}/server_info")
    with Processes(home.logs, lambda _line: None) as processes:
        processes.start(spec, ready_within_s=PATIENCE_S)
        yield address


def sent(url: str, document: object, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
    """POST a JSON document; gives the status and the document that came back."""
    named = {"Content-Type": "application/json", **(headers or {})}
    with SyncClientBuilder().no_proxy().timeout(timedelta(seconds=PATIENCE_S)).build() as client:
        response = client.post(url).headers(named).body_bytes(msgspec.json.encode(document)).build().send()
        return response.status, msgspec.json.decode(bytes(response.bytes()))


def launched(
    dagit: str,
    *key: str,
    module: str = PARCELS,
    run_config: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Launch one asset as Dagit's page does; gives the answer to `launchRun`."""
    execution = {
        "selector": {
            "repositoryLocationName": module,
            "repositoryName": "__repository__",
            "jobName": "__ASSET_JOB",
            "assetSelection": [{"path": key}],
            "assetCheckSelection": [],
        },
        "runConfigData": run_config or {},
        "executionMetadata": {"tags": [{"key": name, "value": value} for name, value in (tags or {}).items()]},
    }
    status, answer = sent(f"{dagit}/graphql", {"query": _LAUNCH, "variables": {"execution": execution}}, headers)
    assert status == 200, answer
    return dict(answer["data"]["launchRun"])
