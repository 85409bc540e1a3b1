"""Launching the release asset in a Dagit that is up, as its Launchpad would."""

import warnings
from typing import Any
from urllib.parse import urlsplit

import msgspec

from lake.errors import SettingError, Unavailable
from lake.release.decision import Decision
from lake.tables import RELEASE

_JOB = "__ASSET_JOB"


def release_config(decision: Decision, line: str) -> dict[str, Any]:
    """The run config of the release asset that records this signed decision."""
    config: dict[str, Any] = {
        "evaluation_id": decision.evaluation_id,
        "decision": decision.decision,
        "role": decision.role,
        "arm": decision.arm,
        "approver": decision.approver,
        "reason": decision.reason,
        "greatest_share": decision.greatest_share,
        "waivers": msgspec.to_builtins(decision.waivers),
        "signatures": [line],
    }
    if decision.expires_at_utc is not None:
        config["expires_at_utc"] = decision.expires_at_utc
    return {"ops": {f"{decision.use_case}__{RELEASE}": {"config": config}}}


def launch_release(url: str, decision: Decision, line: str) -> str:
    """Start the materialization; returns the run's id. Raises SettingError for a bad address, Unavailable."""
    from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError

    address = urlsplit(url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise SettingError("--launch", url, "the address of Dagit, as http://127.0.0.1:3000")
    try:
        client = DagsterGraphQLClient(
            address.hostname, address.port, use_https=address.scheme == "https", path_prefix=address.path.rstrip("/")
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Dagster's client calls gql in a way that gql will end
            return client.submit_job_execution(
                _JOB, run_config=release_config(decision, line), asset_selection=[[decision.use_case, RELEASE]]
            )
    except (DagsterGraphQLClientError, OSError) as error:
        why = str(error.__cause__ or error).partition("\n")[0]
        raise Unavailable(f"Dagit at {url}", why, "Paste the line into the Launchpad of the release instead.") from error
