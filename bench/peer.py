"""Peers: other servers of the same CatBoost model, each in an environment of its own, as those who know them would set them up.

Environments stand in `.bench/`, are made by pip from `bench/peers/requirements/` at the first use, and stay.
"""

import hashlib
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from bench.case import Case, free_ports
from lake.errors import Unavailable
from lake.input_schema import InputSchema
from lake.interface.examples import example_infer, example_record
from lake.package import Package
from trainserve_assets.platform.processes import ProcessSpec

ROOT = Path(__file__).parent
APPLICATIONS = ROOT / "peers"
ENVIRONMENTS = ROOT.parent / ".bench"
_STAMP = "installed"

FASTAPI, FASTAPI_OURS = "FastAPI, CatBoost", "FastAPI, our engine"
LITSERVE, BENTOML, MLFLOW, RAY = "LitServe", "BentoML", "MLflow", "Ray Serve"
MLSERVER, MLSERVER_DEFAULTS = "MLServer, no inference pool", "MLServer, defaults"


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """What peers are given: a folder with the model and the types of its features, and a row of them."""

    folder: Path
    schema: InputSchema
    features: tuple[str, ...]

    @property
    def record(self) -> dict[str, Any]:
        """One row, in the order of the features."""
        example = example_record(self.schema)
        return {name: example[name] for name in self.features}

    @property
    def tensors(self) -> dict[str, Any]:
        """The same row in the Open Inference Protocol."""
        inputs = [tensor for tensor in example_infer(self.schema)["inputs"] if tensor["name"] in self.features]
        return {"inputs": [{**tensor, "shape": [1, 1]} for tensor in inputs]}


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """One peer: its environment, how it is started on a port, where it says that it is ready, and what it is asked.

    `prepare` is run once before the first start, with the folder of the model; it returns more of the environment.
    """

    name: str
    environment: str
    command: Callable[[Path, Path, int], tuple[str, ...]]
    ready: str
    path: str
    body: Callable[[Model], Any]
    prepare: Callable[[Path, Path, int], None] | None = None


def peer_model(folder: Path, package: Package, schema: InputSchema) -> Model:
    """The folder that peers read, made of a package."""
    folder.mkdir(parents=True)
    (folder / "model.cbm").write_bytes(package.files["model.cbm"])
    features = package.manifest.features
    types = {name: schema.field(name).type for name in features}
    (folder / "features.json").write_bytes(msgspec.json.encode({"types": types}))
    return Model(folder=folder, schema=schema, features=tuple(features))


def peer_case(peer: Peer, model: Model, port: int, prefix: tuple[str, ...] = ()) -> Case:
    """The peer, ready to be measured; `prefix` stands before its command."""
    programs = environment(peer.environment) / "bin"
    if peer.prepare is not None:
        peer.prepare(programs, model.folder, port)
    variables = {
        "BENCH_PEER_FOLDER": str(model.folder),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(APPLICATIONS),
        "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
        **_SILENT,
    }
    address = f"http://127.0.0.1:{port}"
    spec = ProcessSpec(
        name=peer.name.replace(" ", "-").replace(",", ""),
        command=(*prefix, *peer.command(programs, model.folder, port)),
        environment=variables,
        ready_url=address + peer.ready,
    )
    return Case(name=peer.name, specs=(spec,), url=address + peer.path, body=msgspec.json.encode(peer.body(model)))


def is_installed(peer: Peer) -> bool:
    """Whether its environment is there already."""
    return (ENVIRONMENTS / peer.environment / _STAMP).exists()


def environment(name: str) -> Path:
    """The environment of a peer, made at the first use. Raises Unavailable with what pip said."""
    requirements = APPLICATIONS / "requirements" / f"{name}.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    folder = ENVIRONMENTS / name
    stamp = folder / _STAMP
    if stamp.exists() and stamp.read_text() == digest:
        return folder
    made = _run(sys.executable, "-m", "venv", "--clear", str(folder))
    made = made or _run(str(folder / "bin" / "pip"), "install", "--quiet", "--requirement", str(requirements))
    if made:
        raise Unavailable(f"the environment of {name}", made, f"See {requirements.name}; pip has to reach a package index.")
    stamp.write_text(digest)
    return folder


def _run(*command: str) -> str:
    """The end of what a command said if it failed, else nothing."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if ended.returncode == 0 else ended.stderr.strip()[-1000:]


def _script(script: str, *arguments: str) -> Callable[[Path, Path, int], tuple[str, ...]]:
    return lambda programs, _folder, port: (str(programs / "python"), str(APPLICATIONS / script), str(port), *arguments)


def _bentoml(programs: Path, _folder: Path, port: int) -> tuple[str, ...]:
    return (str(programs / "bentoml"), "serve", "bentoml_app:Flight", "--host", "127.0.0.1", "--port", str(port))


def _mlflow(programs: Path, folder: Path, port: int) -> tuple[str, ...]:
    served = ("models", "serve", "--model-uri", str(folder / "mlflow"), "--env-manager", "local")
    return (str(programs / "mlflow"), *served, "--port", str(port))


def _save_for_mlflow(programs: Path, folder: Path, _port: int) -> None:
    if not (folder / "mlflow").exists():
        command = (programs / "python", APPLICATIONS / "mlflow_app.py", folder / "model.cbm", folder / "mlflow")
        subprocess.run(command, check=True, capture_output=True)


def _mlserver(pool: str) -> tuple[Callable[[Path, Path, int], tuple[str, ...]], Callable[[Path, Path, int], None]]:
    """How MLServer is started, and the folder with its settings: with the processes of its inference pool, or none."""

    def settings(_programs: Path, folder: Path, port: int) -> None:
        here = folder / f"mlserver-{pool}"
        here.mkdir(exist_ok=True)
        others = dict(zip(("grpc_port", "metrics_port"), free_ports(2), strict=True))
        workers = {} if pool == "defaults" else {"parallel_workers": 0}
        (here / "settings.json").write_bytes(
            msgspec.json.encode({"host": "127.0.0.1", "http_port": port, "debug": False, **others, **workers})
        )
        described = {"name": "flight", "implementation": "mlserver_app.Flight"}
        (here / "model-settings.json").write_bytes(msgspec.json.encode(described))

    return lambda programs, folder, _port: (str(programs / "mlserver"), "start", str(folder / f"mlserver-{pool}")), settings


_pooled, _pooled_settings = _mlserver("defaults")
_alone, _alone_settings = _mlserver("none")

# No peer may look for anything outside this machine.
_SILENT: Mapping[str, str] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "BENTOML_DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
}

PEERS = (
    Peer(
        name=FASTAPI,
        environment="fastapi",
        command=_script("fastapi_app.py", "catboost"),
        ready="/docs",
        path="/predict",
        body=lambda model: {"records": [model.record]},
    ),
    Peer(
        name=FASTAPI_OURS,
        environment="fastapi",
        command=_script("fastapi_app.py", "lignum"),
        ready="/docs",
        path="/predict",
        body=lambda model: {"records": [model.record]},
    ),
    Peer(
        name=LITSERVE,
        environment="litserve",
        command=_script("litserve_app.py"),
        ready="/health",
        path="/predict",
        body=lambda model: model.record,
    ),
    Peer(
        name=MLSERVER,
        environment="mlserver",
        command=_alone,
        prepare=_alone_settings,
        ready="/v2/models/flight/ready",
        path="/v2/models/flight/infer",
        body=lambda model: model.tensors,
    ),
    Peer(
        name=MLSERVER_DEFAULTS,
        environment="mlserver",
        command=_pooled,
        prepare=_pooled_settings,
        ready="/v2/models/flight/ready",
        path="/v2/models/flight/infer",
        body=lambda model: model.tensors,
    ),
    Peer(
        name=BENTOML,
        environment="bentoml",
        command=_bentoml,
        ready="/readyz",
        path="/predict",
        body=lambda model: {"record": model.record},
    ),
    Peer(
        name=MLFLOW,
        environment="mlflow",
        command=_mlflow,
        prepare=_save_for_mlflow,
        ready="/ping",
        path="/invocations",
        body=lambda model: {"dataframe_split": {"columns": list(model.record), "data": [list(model.record.values())]}},
    ),
    Peer(
        name=RAY,
        environment="ray",
        command=_script("ray_app.py"),
        ready="/-/routes",
        path="/predict",
        body=lambda model: model.record,
    ),
)
