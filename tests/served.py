"""What serving tests share: trained toy models, sealed and released as a person would, and applications on real addresses."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import msgspec
import uvicorn
from litestar import Litestar
from litestar.testing import TestClient

from lake.documents import DocumentStore
from lake.home import Home
from lake.input_schema import InputSchema, publish_input_schema
from lake.interface.lane import WithLane
from lake.interface.protocol import Connections, Protocol
from lake.interface.settings import ServerSettings
from lake.listener import bind
from lake.package import seal
from lake.release.approvers import Written, write_written
from lake.release.decision import DecisionKind, Role
from lake.release.ledger import Entry, Ledger
from lake.release.signatures import ApproverKey, PlatformKey, public_text
from lake.release.trust import Trust
from lake.times import Clock, now_utc, rfc3339
from tests.parcel_log import FEATURES, LOG_FROM, manifest, parcels_sent
from tests.scenario import USE_CASE, decision, parcel, parcel_schema

PREDICT = f"/models/{USE_CASE}/predict"
INFER = f"/v2/models/{USE_CASE}/infer"
Client = TestClient[Litestar]

CATEGORIES = ("depot", "carrier")


class Toy(msgspec.Struct, frozen=True):
    """A trained CatBoost classifier of late parcels, and its own answer to a client's row."""

    model: Any
    seed: int

    def score(self, row: dict[str, Any]) -> float:
        """The probability that the trained model itself gives."""
        return float(self.model.predict_proba([_features(row)])[0][1])


@cache
def toy(seed: int = 1) -> Toy:
    """The toy of this seed; other seeds answer otherwise."""
    import catboost

    parcels = parcels_sent(LOG_FROM, days=10, per_day=50)
    model = catboost.CatBoostClassifier(
        iterations=10, depth=4, one_hot_max_size=255, random_seed=seed, subsample=0.6, thread_count=1, allow_writing_files=False
    )
    rows = [_features(row) for row in parcels.select(FEATURES).iter_rows(named=True)]
    positions = [FEATURES.index(name) for name in CATEGORIES]
    pool = catboost.Pool(rows, parcels["label"].to_list(), cat_features=positions, feature_names=list(FEATURES))
    model.fit(pool, verbose=False)
    return Toy(model, seed)


def _features(row: dict[str, Any]) -> list[Any]:
    """A row as CatBoost was trained on it: no category is the empty one."""
    return [row.get(name) or "" if name in CATEGORIES else row.get(name) for name in FEATURES]


class Approver:
    """Publishes the input schema of parcels, seals toys, and records decisions about them in the ledger of a home.

    `toys` are the models that it sealed, by the digests of their packages.
    """

    def __init__(self, home: Home, schema: InputSchema | None = None, clock: Clock = now_utc) -> None:
        self._home = home
        self._clock = clock
        self.store = DocumentStore(home.lake)
        self.toys: dict[str, Toy] = {}
        self._key = PlatformKey.read_or_make(home.keys)
        publish_input_schema(self.store, schema or parcel_schema())

    def make_policy(self, **facts: Any) -> None:
        """Put the first policy in force, which names ada as its approver."""
        key = ApproverKey.make(self._home.root / "ada.key", "a passphrase")
        ada = {"name": "ada", "keys": [{"public_key": public_text(key.public), "valid_from_utc": "2020-01-01T00:00:00Z"}]}
        policy = {"version": 1, "valid_from_utc": "2020-01-01T00:00:00Z", "approvers": [ada], **facts}
        write_written(self._home.approvers, [Written(policy=policy)])

    def seal(self, toy: Toy) -> str:
        """Seal the toy; returns its package's digest."""
        categories = {"depot": ("harbour", "north", "south"), "carrier": ("bike", "van")}
        facts = msgspec.structs.replace(manifest(dataset_version=1), seed=toy.seed, engine="lignum", categories=categories)
        samples = [("north", "van", 12.5, 40.25, 3, False), ("south", None, 900.0, None, None, True)]
        digest = seal(self.store, facts, toy.model, samples).digest
        self.toys[digest] = toy
        return digest

    def decide(self, kind: DecisionKind, package: str, arm: str = "champion", role: Role | None = None, **facts: Any) -> Entry:
        """Record a decision about a package; the arms champion and challenger have the role of their name."""
        trust = Trust.read(self._home)
        ledger = Ledger(self.store, USE_CASE, trust)
        ledger.poll()
        seq = ledger.head.seq + 1
        taken = decision(
            decision=kind,
            package_digest=package,
            arm=arm,
            role=role or arm,
            nonce=f"nonce {seq}",
            policy_digest=trust.policy_at(now_utc()).digest,
            model_version=f"{USE_CASE} {seq}.0.0",
            **facts,
        )
        return ledger.append(taken, "ada", rfc3339(self._clock()), self._key)

    def release(self, toy: Toy, arm: str = "champion", **facts: Any) -> str:
        """Seal and approve; returns the package's digest."""
        digest = self.seal(toy)
        self.decide("approve", digest, arm, **facts)
        return digest


def varied(count: int) -> list[dict[str, Any]]:
    """Valid rows that differ in every field that a model uses, nulls and an unknown category among them."""
    depots, carriers = ("north", "south", "harbour"), ("van", "bike", None, "drone")
    return [
        parcel(
            parcel_id=f"P-{number}",
            depot=depots[number % 3],
            carrier=carriers[number % 4],
            weight_kg=number * 7919 % 10_007 / 10.007,
            distance_km=None if number % 5 == 0 else 37.1 + number * 31 % 17 / 3,
            stops=None if number % 7 == 0 else number % 12,
            express=number % 2 == 0,
        )
        for number in range(count)
    ]


def eventually(condition: Callable[[], object], within_s: float = 20.0) -> None:
    """Wait until a condition holds; fails, naming it, after the time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"did not happen within {within_s:g} s: {condition}"
        time.sleep(0.01)


@contextmanager
def listening(app: Litestar, port: int = 0) -> Iterator[str]:
    """Serve an application on this port, or a free one, of this machine, in a thread; gives its address.

    Over connections as a server has them, with its lane if it has one.
    """
    listener = bind("127.0.0.1", port, "a test's application")
    config = uvicorn.Config(
        app, http=Protocol, log_level="critical", ws="none", lifespan="on", server_header=False, date_header=False
    )
    server = uvicorn.Server(config)
    server.server_state = Connections(ServerSettings(), app.lane if isinstance(app, WithLane) else None)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="uvicorn")
    thread.start()
    try:
        eventually(lambda: server.started or not thread.is_alive())
        assert server.started, "the application did not start"
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


def scores_of(answer: bytes, interface: str = "predict") -> list[float]:
    """The scores in the body of an answer."""
    document = msgspec.json.decode(answer)
    if interface == "predict":
        return [row["score"] for row in document["predictions"]]
    [data] = [output["data"] for output in document["outputs"] if output["name"] == "score"]
    return list(data)
