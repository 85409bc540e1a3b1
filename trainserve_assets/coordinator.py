"""The run coordinator: starts a launched run at once, and writes on it who launched it.

Dagster's own server knows no users. Where an identity proxy stands in front of it and names each request's user in a
header, that header alone says who launched a run. It stands apart from `runs.py`, which only reads tags, because
Dagster keeps run coordinators in a private module.
"""

import os
from collections.abc import Mapping
from typing import Self

from dagster import Field, StringSource
from dagster._config import UserConfigSchema
from dagster._core.run_coordinator import DefaultRunCoordinator, SubmitRunContext
from dagster._core.storage.dagster_run import DagsterRun
from dagster._serdes import ConfigurableClassData

from trainserve_assets.runs import UNATTENDED, USER_TAG


class IdentityRunCoordinator(DefaultRunCoordinator):
    """Starts each run at once, after writing its launcher into the tag `trainserve/user`.

    `identity_header` is the header in which an identity proxy names the user. With one, whatever a client put into that
    tag is overwritten, and a run that came without the header (from a schedule, a sensor, a backfill or the command
    line) names nobody. Without one the tag is left as it came: a claim.
    """

    def __init__(self, identity_header: str = "", inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._identity_header = identity_header

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """What `dagster.yaml` may say.

        The header's name is read from a variable here because Dagster's own `env:` refuses one that is not set.
        """
        words = "The environment variable that names the identity proxy's header; unset or empty: no header is trusted"
        return {"identity_header_variable": Field(StringSource, description=words)}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, object]) -> Self:
        """The coordinator that `dagster.yaml` asks for."""
        header = os.environ.get(str(config_value["identity_header_variable"]), "")
        return cls(identity_header=header.strip(), inst_data=inst_data)

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Start the run, and return it with its tags."""
        if self._identity_header:
            name = (context.get_request_header(self._identity_header) or "").strip()
            # A tag can be overwritten but not taken away; launching reads the run anew.
            self._instance.add_run_tags(context.dagster_run.run_id, {USER_TAG: name or UNATTENDED})
        return super().submit_run(context)
