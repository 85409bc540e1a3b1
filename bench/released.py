"""A home in which the flight model is released: trained as its asset trains it, on the same data."""

from datetime import datetime, timezone

import msgspec

from lake.delta import Table
from lake.documents import DocumentStore
from lake.home import Home
from lake.input_schema import publish_input_schema
from lake.release.decision import Decision, DecisionKind, Role
from lake.release.ledger import Ledger
from lake.release.policy import BUILT_IN
from lake.release.signatures import PlatformKey, random_nonce
from lake.release.trust import Trust
from lake.tables import DATASET
from trainserve_assets.catalog import use_case
from trainserve_assets.digests import content_digest
from trainserve_assets.examples import examples, read_source
from trainserve_assets.training import train_candidate
from trainserve_assets.use_case import EngineChoice

USE_CASE = "flight_delay"
CANDIDATE = "catboost"


def release_flights(home: Home, engine: EngineChoice = "fastest") -> str:
    """Train the CatBoost candidate and release it as champion, without Dagster; returns the package's digest."""
    flights = msgspec.structs.replace(use_case(USE_CASE), engine=engine)
    publish_input_schema(DocumentStore(home.lake), flights.input_schema)
    frame = examples(flights, read_source(flights))
    Table(home.lake, USE_CASE, DATASET).replace(frame, content_digest(frame))
    digest = seal_flights(home, engine)
    decide(home, digest)
    return digest


def seal_flights(home: Home, engine: EngineChoice = "fastest", seed: int | None = None) -> str:
    """Train the CatBoost candidate on the data of a home, from this seed or its own; returns the package's digest."""
    flights = msgspec.structs.replace(use_case(USE_CASE), engine=engine)
    [candidate] = [one for one in flights.candidates if one.name == CANDIDATE]
    if seed is not None:
        candidate = msgspec.structs.replace(candidate, seed=seed)
    made, _ = train_candidate(DocumentStore(home.lake), Table(home.lake, USE_CASE, DATASET), flights, candidate)
    return made.package.digest


def decide(
    home: Home, package_digest: str, kind: DecisionKind = "approve", role: Role = "champion", arm: str = "champion"
) -> None:
    """Record a decision about a package in the ledger."""
    key = PlatformKey.read_or_make(home.keys)
    ledger = Ledger(DocumentStore(home.lake), USE_CASE, Trust.in_key(key))
    ledger.poll()
    decision = Decision(
        use_case=USE_CASE,
        decision=kind,
        role=role,
        arm=arm,
        package_digest=package_digest,
        evaluation_id="0" * 64,
        release_standard_digest="0" * 64,
        policy_digest=BUILT_IN.digest,
        approver="bench",
        reason="to be measured",
        nonce=random_nonce(),
        model_version=CANDIDATE,
    )
    ledger.append(decision, "bench", datetime.now(timezone.utc).isoformat(), key)
