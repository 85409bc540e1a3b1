"""What arrives after an erasure, and was received before it, goes too: from other machines, from the source, by itself."""

import shutil
from pathlib import Path

import dagster as dg
import msgspec
import polars as pl
import pytest

from lake.delta import Table
from lake.documents import DocumentStore, canonical
from lake.home import Home, now_us
from lake.log.audit import Audit, Counts, Scope
from lake.log.erasure_requests import publish_request, read_requests
from lake.log.log_key import LogKey, read_trusted_log
from lake.log.records import PredictionRecord
from lake.log.shipper import Shipper
from lake.tables import DATASET, FEEDBACK, PREDICTIONS
from tests.erasable import ERASED, LOGGED, LOGGED_ABOUT_IT, Parcels, all_there_is, log, traces
from tests.erase_command import CONFIRMED, Erase, Install, erase, installed
from tests.parcel_training import Platform, failures
from tests.scenario import USE_CASE
from trainserve_assets.use_case import Retention

__all__ = ["erase", "installed"]

THOROUGH = {"ops": {f"{USE_CASE}__maintenance": {"config": {"thorough": True}}}}


@pytest.fixture
def untrained(home: Home, instance: dg.DagsterInstance, installed: Install) -> Platform:
    """A platform with a dataset, of which nothing is trained."""
    platform = Platform(home, instance)
    installed(platform.use_case)
    result = platform.run([DATASET])
    assert result.success, failures(result)
    return platform


@pytest.fixture
def other(untrained: Platform, tmp_path: Path) -> Home:
    """Another machine that logs into the same lake; it has the privacy key, and each trusts the other's log."""
    other = Home.at(tmp_path / "other", lake=untrained.home.lake)
    other.keys.mkdir(parents=True)
    shutil.copy(untrained.home.keys / "privacy.key", other.keys)
    homes = (untrained.home, other)
    for one, another in (homes, homes[::-1]):
        key = LogKey.read_or_make(one.keys)
        (another.keys / "trusted_log").mkdir(exist_ok=True)
        shutil.copy(one.keys / "trusted_log" / f"{key.id}.pub", another.keys / "trusted_log")
    return other


def counts(home: Home) -> Counts:
    """What an audit of the log has seen, which finds nothing."""
    audit = Audit(home, Scope())
    assert list(audit.findings()) == []
    return audit.counts


def rows(platform: Platform, name: str) -> pl.DataFrame:
    return Table(platform.home.lake, USE_CASE, name).scan().collect()


def maintained(platform: Platform) -> dict[str, object]:
    """The metadata of a thorough run of maintenance."""
    result = platform.run(["maintenance"], THOROUGH)
    assert result.success, failures(result)
    [event] = result.get_asset_materialization_events()
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_what_another_machine_ships_later_of_it_goes_with_the_next_maintenance(
    untrained: Platform, other: Home, erase: Erase
) -> None:
    parcels = Parcels(untrained.home)
    log(other, all_there_is(parcels))
    assert "Nothing was known" not in erase(*CONFIRMED).out, "the dataset knew it"
    Shipper(other).ship()
    assert counts(untrained.home).rows == LOGGED

    result = untrained.run(["feedback", "dataset"])
    assert result.success, failures(result)
    assert rows(untrained, FEEDBACK).filter(parcel_id=ERASED).is_empty(), "it is left out meanwhile"
    metadata = maintained(untrained)

    assert metadata["erased_rows"] == LOGGED_ABOUT_IT - 3, "without its value neither body nor features can be searched"
    seen = counts(untrained.home)
    assert (seen.rows, seen.erased) == (LOGGED - LOGGED_ABOUT_IT + 3, LOGGED_ABOUT_IT - 3)
    assert maintained(untrained)["erased_rows"] == 0
    assert traces(untrained.home, parcels.key_hash(ERASED)) == []


def test_what_is_received_after_an_erasure_is_not_erased_by_it(untrained: Platform, erase: Erase) -> None:
    parcels = Parcels(untrained.home)
    log(untrained.home, [[parcels.asked(1, ERASED)]])
    assert erase(*CONFIRMED).status == 0
    log(untrained.home, [[parcels.asked(2, ERASED, received_at_us=now_us() + 1)]])
    Shipper(untrained.home).ship()

    assert maintained(untrained)["erased_rows"] == 0
    assert rows(untrained, PREDICTIONS)["request_id"].str.slice(-1).to_list() == ["2"]


def test_what_the_source_still_tells_of_it_stays_out_of_the_dataset(untrained: Platform, erase: Erase) -> None:
    before = rows(untrained, DATASET)
    assert before.filter(parcel_id=ERASED).height == 1
    assert erase(*CONFIRMED).status == 0

    result = untrained.run([DATASET])

    assert result.success, failures(result)
    assert rows(untrained, DATASET).equals(before.filter(pl.col("parcel_id") != ERASED))
    [event] = result.get_asset_materialization_events()
    assert event.materialization.metadata["left_out_as_erased"].value == 1


def unfinished(platform: Platform) -> None:
    """An erasure that was asked for, and ended there."""
    home, parcels = platform.home, Parcels(platform.home)
    store = DocumentStore(home.lake)
    [request] = read_requests(store, USE_CASE, read_trusted_log(home.keys)).requests
    assert request.entity_key_hash == parcels.key_hash(ERASED)
    publish_request(store, msgspec.structs.replace(request, finished=False), LogKey.read_or_make(home.keys))


def test_an_erasure_that_was_left_unfinished_is_finished_by_maintenance(untrained: Platform, erase: Erase) -> None:
    parcels = Parcels(untrained.home)
    assert erase(*CONFIRMED).status == 0
    unfinished(untrained)
    record = parcels.asked(1, ERASED)
    assert isinstance(record, PredictionRecord)
    log(untrained.home, [[record]])
    Shipper(untrained.home).ship()

    assert maintained(untrained)["erased_rows"] == 1

    store = DocumentStore(untrained.home.lake)
    assert [one.finished for one in read_requests(store, USE_CASE, read_trusted_log(untrained.home.keys)).requests] == [True]
    assert traces(untrained.home, parcels.key_hash(ERASED), f"'{ERASED}'") == []


def test_maintenance_erases_nothing_from_what_is_on_hold_and_says_so(untrained: Platform, erase: Erase) -> None:
    assert erase(*CONFIRMED).status == 0
    log(untrained.home, [[Parcels(untrained.home).asked(1, ERASED)]])
    Shipper(untrained.home).ship()
    held = msgspec.structs.replace(untrained.use_case, retention=Retention(legal_hold=(PREDICTIONS,)))

    metadata = maintained(Platform(untrained.home, untrained.instance, held))

    assert metadata["erased_rows"] == 0
    assert "what arrived late of erased entities stays: retention.legal_hold of 'late_parcel'" in str(metadata["not_erased"])
    assert rows(untrained, PREDICTIONS).height == 1


def test_nobody_without_a_key_of_a_log_can_have_anything_erased(untrained: Platform, erase: Erase) -> None:
    parcels = Parcels(untrained.home)
    log(untrained.home, [[parcels.asked(1, ERASED)]])
    Shipper(untrained.home).ship()
    assert erase(*CONFIRMED, entity='{"parcel_id": "P-404"}').status == 0
    store = DocumentStore(untrained.home.lake)
    [asked] = read_requests(store, USE_CASE, read_trusted_log(untrained.home.keys)).requests
    forged = msgspec.structs.replace(asked, entity_key_hash=parcels.key_hash(ERASED))
    store.put(forged.path, canonical(forged))

    result = untrained.run(["maintenance"], THOROUGH)

    assert "does not verify: found a signature over something else" in failures(result)
    assert rows(untrained, PREDICTIONS).height == 1
    assert "does not verify" in failures(untrained.run([DATASET]))
