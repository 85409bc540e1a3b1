"""Drops of labels: each label of a drop is logged once, however often and by how many it is delivered, and sealed."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake

from lake.decoder import epoch_us
from lake.delta import Table
from lake.documents import DocumentStore
from lake.errors import Unavailable
from lake.failpoints import MOMENTS_OF_DELIVERY, VARIABLE
from lake.home import Home
from lake.log import drops as reading
from lake.log.deliveries import Deliveries
from lake.log.delivery import drop_folder
from lake.log.drops import Drop
from lake.log.erasure_requests import ErasureRequest, publish_request
from lake.log.log_key import LogKey
from lake.tables import LABELS, PREDICTIONS
from tests.drops import OBSERVED, audited, by_request, delivered, deliverer, drops, labels, put, rejected, said
from tests.lake.rows import rows_of
from tests.proxied import key_hash
from tests.scenario import USE_CASE, parcel_schema, prediction


def test_the_labels_of_a_file_are_logged_and_sealed(home: Home) -> None:
    put(home, by_request(1, 0, 1))

    [one] = delivered(home)

    assert (one.rows, one.accepted, one.repeated, one.rejected, one.refused) == (3, 3, 0, 0, None)
    assert labels(home) == said(1, 0, 1)
    rows = Table(home.lake, USE_CASE, LABELS).scan().collect()
    assert set(rows["client_id"]) == {"drop:july.parquet"}
    assert rows["observed_at_utc"].to_list() == [OBSERVED + timedelta(hours=number) for number in (1, 2, 3)]
    assert audited(home).rows == 3


def test_a_label_of_a_drop_may_name_the_entity_and_its_time(home: Home) -> None:
    at = OBSERVED - timedelta(days=1)
    put(home, pl.DataFrame({"entity": [{"parcel_id": "P-1"}], "event_time": [at], "label": [1]}))

    delivered(home)

    [row] = Table(home.lake, USE_CASE, LABELS).scan().collect().iter_rows(named=True)
    assert (row["request_id"], row["row"], row["event_time_utc"]) == (None, None, at)
    assert row["entity_key_hash"] == key_hash(home, "P-1")


def test_what_was_delivered_is_pending_no_more(home: Home) -> None:
    put(home, by_request(1, 0))

    assert len(delivered(home)) == 1
    assert delivered(home) == []


def test_a_delivery_that_is_run_again_adds_nothing(home: Home) -> None:
    put(home, by_request(1, 0))
    [drop] = drop_folder(home, USE_CASE).drops()
    deliverer(home).deliver(drop)

    again = deliverer(home).deliver(drop).delivered

    assert (again.seq, again.accepted, again.repeated) == (2, 0, 2)
    assert labels(home) == said(1, 0)


def test_a_file_that_grew_adds_its_new_rows(home: Home) -> None:
    put(home, by_request(1, 0))
    delivered(home)
    put(home, by_request(1, 0, 0, 1))

    [one] = delivered(home)

    assert (one.seq, one.rows, one.accepted, one.repeated) == (2, 4, 2, 2)
    assert labels(home) == said(1, 0, 0, 1)
    assert audited(home).rows == 4


def test_a_file_that_changed_adds_its_corrections(home: Home) -> None:
    put(home, by_request(1, 0, observed=False))
    delivered(home)
    put(home, by_request(0, 0, observed=False))
    delivered(home)
    put(home, by_request(1, 0, observed=False))
    delivered(home)

    assert labels(home) == [*said(1, 0), *said(0), *said(1)]


def test_a_correction_with_an_observation_of_its_own_stands_beside_what_it_corrects(home: Home) -> None:
    first = by_request(1)
    corrected = pl.concat(
        [first, first.with_columns(label=pl.lit(0, pl.Int64), observed_at=pl.col("observed_at") + timedelta(days=1))]
    )
    put(home, corrected)

    delivered(home)
    put(home, pl.concat([corrected, by_request(1, first=2)]))
    [one] = delivered(home)

    assert (one.accepted, one.repeated) == (1, 2)
    assert labels(home) == [*said(1), *said(0), *said(1, first=2)]


def test_files_in_folders_are_drops_and_what_is_not_finished_is_none(home: Home) -> None:
    put(home, by_request(1), "2013-07.parquet/part-0.snappy.parquet")
    put(home, by_request(0, first=2), "2013-07.parquet/part-1.snappy.parquet")
    for name in ("_temporary/part.parquet", ".part.parquet", "notes.txt", "_SUCCESS"):
        (drops(home) / name).parent.mkdir(exist_ok=True)
        (drops(home) / name).write_bytes(b"half")

    names = [one.drop for one in delivered(home)]

    assert names == ["2013-07.parquet/part-0.snappy.parquet", "2013-07.parquet/part-1.snappy.parquet"]
    assert labels(home) == said(1, 0)


def test_a_delta_table_is_read_at_the_version_that_was_listed(home: Home) -> None:
    address = str(drops(home) / "warehouse")
    write_deltalake(address, by_request(1, 0))
    [drop] = drop_folder(home, USE_CASE).drops()
    write_deltalake(address, by_request(1, first=3), mode="append")

    first = deliverer(home).deliver(drop).delivered

    assert (drop.kind, first.version, first.accepted) == ("delta", "version 0", 2)
    [second] = delivered(home)
    assert (second.version, second.rows, second.accepted, second.repeated) == ("version 1", 3, 1, 2)
    assert labels(home) == said(1, 0, 1)


def test_a_delta_table_that_was_rewritten_adds_nothing(home: Home) -> None:
    address = str(drops(home) / "warehouse")
    partitioned = by_request(1, 0, 1).with_columns(day=pl.col("observed_at").dt.date())
    write_deltalake(address, partitioned, partition_by=["day"])
    delivered(home)
    write_deltalake(address, partitioned.reverse(), mode="overwrite")

    [one] = delivered(home)

    assert (one.accepted, one.repeated) == (0, 3)
    assert len(labels(home)) == 3


def test_the_address_of_drops_may_be_a_delta_table_of_somebody_elses(home: Home) -> None:
    address = home.root.parent / "warehouse" / "truth"
    write_deltalake(str(address), by_request(1, 0))

    [one] = delivered(home, address=str(address))

    assert (one.drop, one.accepted) == (".", 2)
    assert delivered(home, address=str(address)) == []


def test_an_address_that_is_not_there_is_away(home: Home) -> None:
    with pytest.raises(Unavailable, match="its folder is not there"):
        delivered(home, address=str(home.root.parent / "nowhere"))


def test_before_there_is_a_folder_of_drops_none_is_pending(home: Home) -> None:
    assert delivered(home) == []


def test_a_table_whose_files_are_gone_is_away_and_is_not_taken_for_delivered(home: Home) -> None:
    address = drops(home) / "warehouse"
    write_deltalake(str(address), by_request(1))
    for file in address.glob("*.parquet"):
        file.unlink()

    with pytest.raises(Unavailable, match="warehouse"):
        delivered(home)

    assert Deliveries(home.lake, USE_CASE).pending(drop_folder(home, USE_CASE).drops()) != []


def test_an_entity_that_was_erased_does_not_come_back_with_its_drop(home: Home) -> None:
    at = pl.Series([OBSERVED, OBSERVED + timedelta(days=1)] * 2)
    parcels = [{"parcel_id": name} for name in ("P-1", "P-1", "P-2", "P-2")]
    rows = pl.DataFrame({"entity": parcels, "event_time": at, "label": [1] * 4})
    put(home, rows)
    deliverer(home)
    request = ErasureRequest(
        use_case=USE_CASE,
        entity_key_hash=key_hash(home, "P-1"),
        value_hashes={},
        until_us=epoch_us(OBSERVED) + 1,
        asked_by="ada",
        why="asked",
    )
    publish_request(DocumentStore(home.lake), request, LogKey.read_or_make(home.keys))

    [one] = delivered(home)

    assert (one.rows, one.accepted, one.rejected) == (4, 3, 0)
    kept = Table(home.lake, USE_CASE, LABELS).scan().filter(entity_key_hash=key_hash(home, "P-1")).collect()
    assert kept["event_time_utc"].to_list() == [OBSERVED + timedelta(days=1)]


def test_labels_that_name_no_logged_prediction_are_counted(home: Home) -> None:
    logged = rows_of([prediction(1), prediction(2)], parcel_schema())
    Table(home.lake, USE_CASE, PREDICTIONS).append_once(logged, "s", ["event_date"])
    put(home, by_request(1, 0, 1))

    [one] = delivered(home)

    assert (one.accepted, one.unknown) == (3, 1)


def test_a_large_drop_is_taken_in_batches(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_BATCH_ROWS", 100)
    monkeypatch.setattr(reading, "_PASS_ROWS", 300)
    values = [number % 2 for number in range(1_000)]
    put(home, pl.concat([by_request(*values), by_request(*values[:50]), by_request(1 - values[700], first=701)]))

    [one] = delivered(home)

    assert (one.rows, one.accepted, one.repeated, one.rejected) == (1_051, 999, 50, 2)
    assert audited(home).rows == 999
    assert audited(home).commits > 5


def test_two_deliveries_at_once_log_each_label_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_BATCH_ROWS", 50)
    values = [number % 2 for number in range(400)]
    put(home, by_request(*values))
    [drop] = drop_folder(home, USE_CASE).drops()
    both = [deliverer(home), deliverer(home)]

    with ThreadPoolExecutor(2) as threads:
        first, second = [one.delivered for one in threads.map(lambda one: one.deliver(drop), both)]

    assert sorted(labels(home)) == sorted(said(*values))
    assert {first.seq, second.seq} == {1}
    assert Deliveries(home.lake, USE_CASE).newest()[drop.name].accepted == 400
    assert audited(home).rows == 400


@pytest.mark.parametrize("moment", MOMENTS_OF_DELIVERY)
def test_a_delivery_that_is_killed_goes_on_where_it_was(home: Home, moment: str) -> None:
    put(home, pl.concat([by_request(1, 0, 1, 0), by_request(7, first=9)]))
    deliverer(home)
    command = [
        sys.executable,
        "-c",
        "from tests.drops import delivered; from lake.home import Home; delivered(Home.from_environment())",
    ]
    killed = subprocess.run(command, env={**home.environment(), VARIABLE: moment}, check=False)
    assert killed.returncode == -9

    [one] = delivered(home)

    assert labels(home) == said(1, 0, 1, 0)
    assert (one.seq, one.rows, one.accepted, one.repeated, one.rejected) == (1, 5, 4, 0, 1)
    assert rejected(home).height == 1
    assert audited(home).rows == 4


def test_a_delivery_goes_on_once_the_lake_is_back(home: Home) -> None:
    put(home, by_request(1, 0))
    [drop] = drop_folder(home, USE_CASE).drops()
    one, lake = deliverer(home), Path(home.lake)
    lake.rename(lake.with_name("elsewhere"))
    with pytest.raises(Unavailable, match="its folder is not there"):
        one.deliver(drop)
    lake.with_name("elsewhere").rename(lake)

    assert one.deliver(drop).delivered.accepted == 2
    assert labels(home) == said(1, 0)


def test_a_drop_that_is_taken_away_is_not_found(home: Home) -> None:
    gone = Drop(name="gone.parquet", kind="parquet", stamp="1")

    with pytest.raises(Exception, match=r"There is no document 'late_parcel/label_drops/gone.parquet'"):
        deliverer(home).deliver(gone)
