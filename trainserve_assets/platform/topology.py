"""Which processes make up the platform on one machine, and where each listens."""

import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile

import msgspec

from lake.documents import DocumentStore
from lake.errors import TrainServeError
from lake.home import Home
from lake.listener import bind
from lake.release.ledger import Ledger
from lake.release.live import fold
from lake.release.trust import Trust
from trainserve_assets.platform.processes import ProcessSpec, trainserve_command

PROJECT = Path(__file__).parents[2]
# So far above the proxy listen the shipper, for Prometheus, and the first of the predictors.
_SHIPPER_ABOVE, _PREDICTORS_ABOVE = 100, 101
ARMS_FROM_THE_START = ("champion", "challenger")
_WORKSPACE = ("-w", str(PROJECT / "workspace.yaml"))


class Topology(msgspec.Struct, frozen=True, kw_only=True):
    """The predictors by use case and arm, the proxy and Dagit, all on one host.

    With a `read_only_port` there is a second Dagit, which shows the same and can launch, report and change nothing; with
    a `reports_port` the reports of evaluations are served, and Dagit links to them.
    """

    home: Home
    host: str
    proxy_port: int
    dagit_port: int
    read_only_port: int | None = None
    reports_port: int | None = None
    arms: tuple[tuple[str, str], ...]
    shares: tuple[tuple[str, str, float], ...] = ()

    @property
    def proxy_url(self) -> str:
        """Where clients send requests."""
        return f"http://{self.host}:{self.proxy_port}"

    @property
    def dagit_url(self) -> str:
        """Where data engineers and approvers look."""
        return f"http://{self.host}:{self.dagit_port}"

    @property
    def shipper_metrics_url(self) -> str:
        """Where Prometheus asks the shipper."""
        return f"http://{self.host}:{self._shipper_port}/metrics"

    @property
    def read_only_url(self) -> str | None:
        """Where everybody else looks, if there is such a Dagit."""
        return None if self.read_only_port is None else f"http://{self.host}:{self.read_only_port}"

    @property
    def reports_url(self) -> str | None:
        """Where the reports of evaluations are, if they are served."""
        return None if self.reports_port is None else f"http://{self.host}:{self.reports_port}"

    def predictor_url(self, use_case: str, arm: str) -> str:
        """Where the predictor of an arm listens."""
        return f"http://{self.host}:{self._predictor_port(use_case, arm)}"

    def serving(self) -> list[ProcessSpec]:
        """Predictors, proxy and shipper: what serves, with or without Dagster."""
        return [*(self._predictor(use_case, arm) for use_case, arm in self.arms), self._proxy(), self.shipper()]

    def shipper(self) -> ProcessSpec:
        """The log's shipper."""
        command = trainserve_command("shipper", "--metrics-host", self.host, "--metrics-port", str(self._shipper_port))
        return ProcessSpec(name="shipper", command=command, environment=self.home.environment())

    @property
    def dagster_environment(self) -> dict[str, str]:
        """What makes Dagster use this home, know whom to ask what is served and by which shares, and where reports are."""
        reports = {} if self.reports_url is None else {"TRAINSERVE_REPORTS": self.reports_url}
        return {**self.home.environment(), **self._parameters(), "TRAINSERVE_PREDICTORS": self._addresses(), **reports}

    def dagster(self) -> list[ProcessSpec]:
        """Dagit, a read-only one and the reports where they are wanted, and the daemon, on an instance that survives."""
        prepare_dagster_home(self.home)
        daemon = ProcessSpec(
            name="dagster-daemon", command=(_script("dagster-daemon"), "run", *_WORKSPACE), environment=self.dagster_environment
        )
        pages = [self._dagit("dagit", self.dagit_port)]
        if self.read_only_port is not None:
            pages.append(self._dagit("dagit-read-only", self.read_only_port, "--read-only"))
        if self.reports_port is not None:
            pages.append(self._reports(self.reports_port))
        return [*pages, daemon]

    def check_ports(self, *, dagit: bool) -> None:
        """Raises SettingError naming the first address that is in use."""
        wanted = [(self.proxy_port, "the proxy (choose another with --proxy-port)")]
        wanted.append((self._shipper_port, "the shipper's metrics (choose another with --proxy-port, which it follows)"))
        wanted += [
            (self._predictor_port(use_case, arm), f"the predictor of {use_case}/{arm} (stop what listens there)")
            for use_case, arm in self.arms
        ]
        if dagit:
            wanted.append((self.dagit_port, "Dagit (choose another with --dagit-port)"))
            if self.read_only_port is not None:
                wanted.append((self.read_only_port, "the read-only Dagit (choose another with --read-only-port)"))
            if self.reports_port is not None:
                wanted.append((self.reports_port, "the reports (choose another with --reports-port)"))
        for port, what in wanted:
            bind(self.host, port, what).close()

    def _dagit(self, name: str, port: int, *options: str) -> ProcessSpec:
        return ProcessSpec(
            name=name,
            command=(_script("dagster-webserver"), *_WORKSPACE, "-h", self.host, "-p", str(port), *options),
            environment=self.dagster_environment,
            ready_url=f"http://{self.host}:{port}/server_info",
        )

    def _reports(self, port: int) -> ProcessSpec:
        return ProcessSpec(
            name="reports",
            command=trainserve_command("reports", "--host", self.host, "--port", str(port)),
            environment=self.home.environment(),
            ready_url=f"http://{self.host}:{port}/health/live",
        )

    def _predictor(self, use_case: str, arm: str) -> ProcessSpec:
        port = self._predictor_port(use_case, arm)
        return ProcessSpec(
            name=f"predictor-{use_case}-{arm}",
            command=trainserve_command("predictor", use_case, "--arm", arm, "--host", self.host, "--port", str(port)),
            environment={**self.home.environment(), "OMP_NUM_THREADS": "1"},
            ready_url=f"{self.predictor_url(use_case, arm)}/health/live",
        )

    def _proxy(self) -> ProcessSpec:
        return ProcessSpec(
            name="proxy",
            command=trainserve_command("proxy", "--host", self.host, "--port", str(self.proxy_port)),
            environment={**self.home.environment(), **self._parameters()},
            ready_url=f"{self.proxy_url}/health/live",
        )

    def _parameters(self) -> dict[str, str]:
        """Version 0 of the proxy's parameters."""
        shares = ",".join(f"{use_case}/{arm}={share}" for use_case, arm, share in self.shares)
        return {"PROXY_UPSTREAMS": self._addresses(), "PROXY_SHARES": shares}

    def _addresses(self) -> str:
        return ",".join(f"{use_case}/{arm}={self.predictor_url(use_case, arm)}" for use_case, arm in self.arms)

    def _predictor_port(self, use_case: str, arm: str) -> int:
        return self.proxy_port + _PREDICTORS_ABOVE + self.arms.index((use_case, arm))

    @property
    def _shipper_port(self) -> int:
        return self.proxy_port + _SHIPPER_ABOVE


def arms_of(home: Home, use_cases: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The arms to start predictors for: those that a ledger shows live, and the usual two, which wait for a release."""
    arms = []
    store = DocumentStore(home.lake)
    for use_case in use_cases:
        names = dict.fromkeys(ARMS_FROM_THE_START)
        try:
            ledger = Ledger(store, use_case, Trust.read(home), home.heads)
            ledger.poll()
            names.update(dict.fromkeys(fold(ledger.entries).releases))
        except TrainServeError:
            pass  # nothing released yet, or a ledger that does not verify: the predictors say so themselves
        arms += [(use_case, arm) for arm in names]
    return tuple(arms)


def prepare_dagster_home(home: Home) -> None:
    """Dagster's home with our `dagster.yaml`."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    copyfile(PROJECT / "dagster.yaml", home.dagster / "dagster.yaml")


def _script(name: str) -> str:
    return str(Path(sys.executable).parent / name)
