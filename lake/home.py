"""Where everything stands: the home of one machine, and the lake that machines share."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from lake.bucket import check_address


class Home(msgspec.Struct, frozen=True, kw_only=True):
    """Paths of all state. `root` belongs to one machine; `lake` may be shared by many.

    `root` is `TRAINSERVE_HOME` (default `.trainserve` below the working directory); `lake` is `TRAINSERVE_LAKE`,
    a folder or an `s3://` address (default `lake/` in the home); `approvers` is `TRAINSERVE_APPROVERS`, the file that
    says who may release (default `approvers.yaml` in the home).
    """

    root: Path
    lake: str
    approvers: Path

    @classmethod
    def at(cls, root: Path, lake: str | None = None, approvers: Path | None = None) -> "Home":
        """The home in a folder, with lake and approvers inside unless others are named."""
        root = root.expanduser().resolve()
        if lake is None:
            lake = str(root / "lake")
        elif "://" not in lake or lake.startswith("file://"):
            lake = str(Path(lake.removeprefix("file://")).expanduser().resolve())
        else:
            check_address(lake)
        approvers = root / "approvers.yaml" if approvers is None else approvers.expanduser().resolve()
        return cls(root=root, lake=lake.rstrip("/"), approvers=approvers)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Home":
        """The home that the environment names."""
        approvers = environment.get("TRAINSERVE_APPROVERS")
        return cls.at(
            Path(environment.get("TRAINSERVE_HOME") or ".trainserve"),
            environment.get("TRAINSERVE_LAKE") or None,
            Path(approvers) if approvers else None,
        )

    def environment(self) -> dict[str, str]:
        """The variables that make another process use this home."""
        return {
            "TRAINSERVE_HOME": str(self.root),
            "TRAINSERVE_LAKE": self.lake,
            "TRAINSERVE_APPROVERS": str(self.approvers),
            "DAGSTER_HOME": str(self.dagster),
        }

    @property
    def spools(self) -> Path:
        """One folder for each spool slot."""
        return self.root / "spools"

    @property
    def keys(self) -> Path:
        """The platform's signing key, and the public keys that readers trust."""
        return self.root / "keys"

    @property
    def dagster(self) -> Path:
        """Dagster's own home: runs, events, schedules."""
        return self.root / "dagster"

    @property
    def heads(self) -> Path:
        """The highest ledger heads that were seen, kept apart from the lake."""
        return self.root / "heads"

    @property
    def copies(self) -> Path:
        """Local copies of shared documents, used while the lake is away."""
        return self.root / "copies"

    @property
    def stops(self) -> Path:
        """What is stopped on this machine: a file for each use case or arm, there while it is."""
        return self.root / "stop"

    @property
    def held(self) -> Path:
        """Changes of parameters that the lake does not have yet, as it was away."""
        return self.root / "held"

    @property
    def workers(self) -> Path:
        """The proxy's workers of this machine, and what each goes by."""
        return self.root / "workers"

    @property
    def logs(self) -> Path:
        """What the processes print."""
        return self.root / "logs"

    @property
    def alerts(self) -> Path:
        """Who is told of alerts, and how to reach them; absent means nobody."""
        return self.root / "alerts.yaml"

    @property
    def credentials(self) -> Path:
        """Hashed API keys and their roles; absent means that no key is asked for."""
        return self.root / "credentials.yaml"


def now_us() -> int:
    """Microseconds since 1970 UTC: the clock of every document and row that is not handed a time."""
    return time.time_ns() // 1_000
