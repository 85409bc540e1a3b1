"""A home in which the flight model is released: trained as its asset trains it, on the same data."""

from datetime import datetime, timezone

import msgspec

from lake.delta import Table
from lake.documents import DocumentStore
from lake.home import Home
from lake.input_schema import publish_input_schema
from lake.release.decision import Decision
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
    store = DocumentStore(home.lake)
    publish_input_schema(store, flights.input_schema)
    dataset = Table(home.lake, USE_CASE, DATASET)
    frame = examples(flights, read_source(flights))
    dataset.replace(frame, content_digest(frame))
    [candidate] = [one for one in flights.candidates if one.name == CANDIDATE]
    made, _ = train_candidate(store, dataset, flights, candidate)
    key = PlatformKey.read_or_make(home.keys)
    ledger = Ledger(store, USE_CASE, Trust.in_key(key))
    decision = Decision(
        use_case=USE_CASE,
        decision="approve",
        role="champion",
        arm="champion",
        package_digest=made.package.digest,
        evaluation_id="0" * 64,
        release_standard_digest="0" * 64,
        policy_digest=BUILT_IN.digest,
        approver="bench",
        reason="to be measured",
        nonce=random_nonce(),
        model_version=CANDIDATE,
    )
    ledger.append(decision, "bench", datetime.now(timezone.utc).isoformat(), key)
    return made.package.digest
