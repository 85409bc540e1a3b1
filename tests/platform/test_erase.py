"""Erasing beside those who answer and ship, in a bucket, of hashed entities, and by a process that is killed anywhere."""

import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from datetime import datetime, timezone

import dagster as dg
import polars as pl
import pytest

from lake.delta import Table
from lake.documents import DocumentStore
from lake.failpoints import MOMENTS_OF_ERASURE
from lake.home import Home
from lake.input_schema import publish_input_schema
from lake.log.audit import Audit, Counts, Scope
from lake.log.shipper import Shipper
from lake.tables import DATASET, ERASURES, FEEDBACK, LABELS, PREDICTIONS
from serving.app import create_app
from tests.erasable import ERASED, LOGGED, LOGGED_ABOUT_IT, OTHER, Parcels, all_there_is, changed, log, traces
from tests.erase_command import CONFIRMED, Erase, Install, erase, installed, killed_at
from tests.parcel_training import Platform, failures, parcel_use_case
from tests.proxied import parameters, proxied
from tests.s3 import bucket_of
from tests.scenario import USE_CASE, parcel, private_schema, records_body
from tests.served import PREDICT, Approver, eventually, listening, toy
from trainserve_assets.platform.processes import trainserve_command

__all__ = ["erase", "installed"]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def counts(home: Home) -> Counts:
    """What an audit of the log has seen, which finds nothing."""
    audit = Audit(home, Scope())
    assert list(audit.findings()) == []
    return audit.counts


def rows(home: Home, name: str) -> pl.DataFrame:
    return Table(home.lake, USE_CASE, name).scan().collect()


def filled(platform: Platform) -> Platform:
    """With a dataset, a log that is partly shipped, and feedback."""
    result = platform.run([DATASET])
    assert result.success, failures(result)
    groups = all_there_is(Parcels(platform.home, platform.use_case.input_schema))
    log(platform.home, groups[:4])
    Shipper(platform.home).ship()
    result = platform.run([FEEDBACK, DATASET])
    assert result.success, failures(result)
    log(platform.home, groups[4:])
    return platform


def assert_erased(home: Home) -> None:
    """Nothing of it is left, and all else is as it was logged."""
    parcels = Parcels(home)
    assert traces(home, f'{ERASED}"', f"'{ERASED}'", parcels.key_hash(ERASED)) == []
    seen = counts(home)
    assert (seen.rows, seen.erased) == (LOGGED - LOGGED_ABOUT_IT, LOGGED_ABOUT_IT)
    assert rows(home, ERASURES).select("spool_id", "seq").is_unique().all()
    assert rows(home, DATASET).filter(parcel_id=OTHER).height == 2


@pytest.fixture(scope="module")
def filled_once(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home that is filled; to be copied, and not to be changed."""
    home = Home.at(tmp_path_factory.mktemp("filled") / "home")
    with dg.DagsterInstance.ephemeral() as instance:
        filled(Platform(home, instance))
    return home


@pytest.mark.parametrize("failpoint", [*MOMENTS_OF_ERASURE, "rows erased:2", "examples erased:2", "files removed:4"])
def test_an_erasure_that_is_killed_anywhere_is_finished_by_the_next(
    home: Home, filled_once: Home, erase: Erase, installed: Install, failpoint: str
) -> None:
    shutil.copytree(filled_once.root, home.root, dirs_exist_ok=True)
    defs = installed(parcel_use_case())

    assert killed_at(home, defs, failpoint) == -signal.SIGKILL
    said = erase(*CONFIRMED)

    assert said.status == 0, said
    assert "dataset version 0 can no longer be read" in said.out
    assert_erased(home)


def test_an_erasure_beside_a_proxy_and_a_shipper_takes_all_that_was_received_before_it(
    home: Home, erase: Erase, installed: Install
) -> None:
    installed(parcel_use_case())
    Approver(home).release(toy())
    stopped, sent = threading.Event(), list[datetime]()
    command = trainserve_command("shipper", "--freshness-s", "1")
    environment = home.environment()
    with (
        listening(create_app(home, USE_CASE, "champion")) as url,
        proxied(home, parameters({"champion": url})) as client,
        subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as shipper,
    ):
        body = records_body(parcel(parcel_id=ERASED), parcel(parcel_id=OTHER))

        def send() -> None:
            while not stopped.wait(0.005):
                assert client.post(PREDICT, content=body, headers={"trainserve-routing-key": "me"}).status_code == 200
                sent.append(datetime.now(timezone.utc))

        thread = threading.Thread(target=send)
        thread.start()
        try:
            eventually(lambda: Table(home.lake, USE_CASE, PREDICTIONS).exists(), within_s=60)
            answered, began = len(sent), datetime.now(timezone.utc)
            said = erase(*CONFIRMED)
        finally:
            stopped.set()
            thread.join()
            shipper.terminate()
            shipper.wait()
    Shipper(home).ship()

    assert said.status == 0, said
    found = rows(home, PREDICTIONS).with_columns(parcel_id=pl.col("features").struct.field("parcel_id"))
    assert found.filter(parcel_id=OTHER).height == len(sent), "no row of another went"
    assert found.filter(pl.col("parcel_id") == ERASED, pl.col("received_at_utc") < began).is_empty()
    seen = counts(home)
    assert answered <= seen.erased
    assert seen.erased + seen.rows == 2 * len(sent)


def test_an_erasure_in_a_bucket_leaves_nothing_either(
    home: Home, instance: dg.DagsterInstance, erase: Erase, installed: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bucket_of() as bucket:
        afar = Home.at(home.root, bucket.lake)
        for name, value in afar.environment().items():
            monkeypatch.setenv(name, value)
        platform = filled(Platform(afar, instance))
        installed(platform.use_case)

        said = erase(*CONFIRMED)

        assert said.status == 0, said
        files = [name for name in bucket.names() if name.endswith(".parquet") and "_delta_log" not in name]
        for name in (PREDICTIONS, LABELS, FEEDBACK, DATASET):
            named = {uri.rpartition("/")[2] for uri in Table(afar.lake, USE_CASE, name).open().file_uris()}
            there = {path.rpartition("/")[2] for path in files if f"/{USE_CASE}/{name}/" in path}
            assert there == named, "only the files of the newest version are there"
        seen = counts(afar)
        assert (seen.rows, seen.erased) == (LOGGED - LOGGED_ABOUT_IT, LOGGED_ABOUT_IT)
        assert rows(afar, DATASET).filter(parcel_id=ERASED).is_empty()
        assert rows(afar, DATASET).filter(parcel_id=OTHER).height == 2


def test_an_entity_that_is_kept_as_a_hash_is_erased_too(
    home: Home, instance: dg.DagsterInstance, erase: Erase, installed: Install
) -> None:
    platform = filled(Platform(home, instance, parcel_use_case(input_schema=private_schema())))
    installed(platform.use_case)
    before = rows(home, DATASET).height

    said = erase(*CONFIRMED)

    assert said.status == 0, said
    assert "dataset      1 rows erased" in said.out
    assert rows(home, DATASET).height == before - 1
    assert rows(home, PREDICTIONS).filter(entity_key_hash=Parcels(home).key_hash(ERASED)).is_empty()
    assert counts(home).erased == LOGGED_ABOUT_IT
    result = platform.run([DATASET])
    assert result.success, failures(result)
    assert rows(home, DATASET).height == before - 1


def test_records_that_cannot_be_shipped_are_said_to_be_left(home: Home, erase: Erase, installed: Install) -> None:
    """Of a use case that nobody has published here: it waits for its schema."""
    installed(parcel_use_case())
    Approver(home)
    publish_input_schema(DocumentStore(home.lake), parcel_use_case().input_schema)
    slot = home.spools / "slot-000"
    assert erase().status == 0, "which makes the privacy key"
    log(home, [[Parcels(home).asked(1, ERASED)], [changed(Parcels(home).asked(2, ERASED), use_case="elsewhere")]])

    said = erase(*CONFIRMED, "--patience-s", "0")

    assert said.status == 1
    assert "segments of this machine could not be shipped" in said.out
    assert "run it again" in said.out
    assert slot.exists()
