"""A lake in a bucket: one of two writers wins, what is away says so, and a store that cannot keep the ledger gets no writes."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from functools import partial
from pathlib import Path

import obstore
import polars as pl
import pytest
from obstore.store import from_url

import lake.delta
from lake.bucket import check_put_if_absent, table_options
from lake.delta import Table
from lake.delta_maintenance import checkpoint, clean_log, compact, configure, vacuum
from lake.documents import DocumentStore
from lake.errors import Conflict, NotFound, SettingError, Unavailable
from lake.home import Home
from tests.s3 import Bucket, Misbehaviour, bucket_of
from tests.scenario import USE_CASE
from tests.served import eventually

WRITERS = 6


@pytest.fixture(scope="module")
def server() -> Iterator[Bucket]:
    with bucket_of() as bucket:
        yield bucket


@pytest.fixture
def bucket(server: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket of its own for each test."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server.another()


def rows(first: int, last: int) -> pl.DataFrame:
    return pl.DataFrame({"seq": range(first, last + 1), "event_date": "2013-07-01"}, schema_overrides={"seq": pl.Int64})


def seqs(table: Table) -> list[int]:
    return sorted(table.scan().collect()["seq"].to_list())


def at_once(function: Callable[[int], None], count: int) -> None:
    """Run it with each of these numbers, all at the same time."""
    with ThreadPoolExecutor(count) as threads:
        list(threads.map(function, range(count)))


def test_documents_are_written_read_and_listed_as_in_a_folder(bucket: Bucket) -> None:
    store = DocumentStore(bucket.lake)
    store.put("a/1.json", b"1")
    store.put("a/1.json", b"one")
    store.put_new("a/b/2.json", b"2")

    assert (store.get("a/1.json"), store.find("a/b/2.json"), store.find("a/3.json")) == (b"one", b"2", None)
    assert (store.names("a"), store.folders("a"), store.folders(), store.names("c")) == (["1.json"], ["b"], ["a"], [])
    with pytest.raises(NotFound):
        store.get("a/3.json")
    with pytest.raises(NotFound):
        store.put("../outside.json", b"")


def test_of_many_writers_of_one_document_one_wins(bucket: Bucket) -> None:
    wins: list[tuple[int, int]] = []

    def write(writer: int) -> None:
        store = DocumentStore(bucket.lake)
        for number in range(10):
            try:
                store.put_new(f"releases/{number}.json", f"{writer}".encode())
            except Conflict:
                continue
            wins.append((number, writer))

    at_once(write, WRITERS)

    store = DocumentStore(bucket.lake)
    assert sorted(number for number, _ in wins) == list(range(10))
    assert all(store.get(f"releases/{number}.json") == f"{writer}".encode() for number, writer in wins)


def test_a_write_whose_answer_was_lost_is_not_taken_for_another_writers(bucket: Bucket) -> None:
    store = DocumentStore(bucket.lake)
    store.put_new("releases/0.json", b"")
    bucket.lose_answer_to("releases/1.json")
    store.put_new("releases/1.json", b"ours")

    assert store.get("releases/1.json") == b"ours"
    with pytest.raises(Conflict):
        store.put_new("releases/1.json", b"theirs")


def test_writers_of_one_table_lose_and_double_no_row(bucket: Bucket) -> None:
    def ship(writer: int) -> None:
        table = Table(bucket.lake, USE_CASE, "predictions")
        for first in range(1, 30, 10):
            table.append_once(rows(first, first + 14), f"spool {writer}", ["event_date"])

    at_once(ship, 3)

    assert seqs(Table(bucket.lake, USE_CASE, "predictions")) == sorted(list(range(1, 36)) * 3)


def test_a_commit_whose_answer_was_lost_doubles_nothing(bucket: Bucket) -> None:
    table = Table(bucket.lake, USE_CASE, "predictions")
    for first in (1, 6):
        table.append_once(rows(first, first + 4), "spool")
        bucket.lose_answer_to("_delta_log")
    table.append_once(rows(11, 15), "spool")
    bucket.lose_answer_to("_delta_log")
    Table(bucket.lake, USE_CASE, "evaluation").append_new(rows(1, 5), ["seq"])
    evaluation = Table(bucket.lake, USE_CASE, "evaluation")
    bucket.lose_answer_to("_delta_log")
    evaluation.append_new(rows(4, 9), ["seq"])

    assert seqs(table) == list(range(1, 16))
    assert seqs(evaluation) == list(range(1, 10))


def test_a_table_is_kept_small_in_a_bucket_too(bucket: Bucket) -> None:
    table = Table(bucket.lake, USE_CASE, "predictions")
    for number in range(1, 7):
        table.append_once(rows(number, number), "spool", ["event_date"])
    configure(
        table, {"delta.deletedFileRetentionDuration": "interval 0 seconds", "delta.logRetentionDuration": "interval 0 days"}
    )

    assert compact(table, fewest=2) == 6
    checkpoint(table)
    assert vacuum(table) == 6
    clean_log(table)
    assert seqs(table) == list(range(1, 7))
    assert sum(name.endswith(".parquet") and "_delta_log" not in name for name in bucket.names()) == 1


def test_some_partitions_are_read_from_a_bucket_too(bucket: Bucket) -> None:
    table = Table(bucket.lake, USE_CASE, "predictions")
    for number in (1, 2, 3):
        table.append_once(rows(number, number).with_columns(event_date=date(2013, 7, number)), "spool", ["event_date"])

    assert sorted(table.scan_partitions("event_date", ">", date(2013, 7, 1)).collect()["seq"]) == [2, 3]


def test_documents_and_tables_stand_at_the_endpoint_of_s3_where_there_are_two(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", bucket.endpoint)

    DocumentStore(bucket.lake).put_new("a/1.json", b"1")
    table = Table(bucket.lake, USE_CASE, "dataset")
    table.replace(rows(1, 3), "a digest")

    assert DocumentStore(bucket.lake).get("a/1.json") == b"1"
    assert seqs(table) == [1, 2, 3]


@pytest.mark.parametrize(
    ("misbehaviour", "found"),
    [
        ("overwrites", "this one overwrote a file that was there"),
        ("has no conditional writes", "this one has no conditional writes"),
    ],
)
def test_nothing_is_written_to_a_store_in_which_two_writers_would_both_win(misbehaviour: Misbehaviour, found: str) -> None:
    with bucket_of(misbehaviour) as bucket:
        table = Table(bucket.lake, USE_CASE, "predictions")
        store = DocumentStore(bucket.lake)
        for write in (
            lambda: check_put_if_absent(bucket.lake),
            lambda: store.put_new("releases/1.json", b"1"),
            lambda: table.append_once(rows(1, 2), "spool"),
            lambda: table.append_new(rows(1, 2), ["seq"]),
            lambda: table.replace(rows(1, 2), "a digest"),
        ):
            with pytest.raises(SettingError, match=f"TRAINSERVE_LAKE is .*a store that keeps put-if-absent.*{found}"):
                write()

        assert set(bucket.names()) <= {"deep/lake/put-if-absent"}


def test_the_store_of_that_control_would_let_both_win() -> None:
    with bucket_of("overwrites") as bucket:
        raw = from_url(bucket.lake, client_options={"allow_http": True})
        for content in (b"first", b"second"):
            obstore.put(raw, "releases/1.json", content, mode="create")

        assert DocumentStore(bucket.lake).get("releases/1.json") == b"second"


def test_it_is_asked_once_in_the_life_of_a_process(bucket: Bucket) -> None:
    check_put_if_absent(bucket.lake)
    with bucket.away():
        check_put_if_absent(bucket.lake)

    assert bucket.names() == ["deep/lake/put-if-absent"]


def test_a_bucket_that_is_not_there_is_no_empty_lake(bucket: Bucket) -> None:
    nowhere = f"s3://{bucket.name}-other/lake"
    store = DocumentStore(nowhere)

    for read in (lambda: store.find("a/1.json"), lambda: store.names("a"), lambda: Table(nowhere, USE_CASE, "labels").exists()):
        with pytest.raises(Unavailable, match="NoSuchBucket"):
            read()
    with pytest.raises(SettingError, match="a bucket that exists"):
        store.put_new("a/1.json", b"1")


@pytest.mark.parametrize("retries", [pytest.param({"max_retries": "2"}), pytest.param({}, marks=pytest.mark.slow)])
def test_a_lake_that_is_away_is_unavailable_and_answers_again(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, retries: dict[str, str]
) -> None:
    """By default a table is tried ten times, for four seconds."""
    with monkeypatch.context() as patch:
        patch.setattr(lake.delta, "table_options", lambda address: {**(table_options(address) or {}), **retries})
        table = Table(bucket.lake, USE_CASE, "labels")
    store = DocumentStore(bucket.lake, make=False)
    store.put_new("a/1.json", b"1")
    table.append_once(rows(1, 2), "spool")
    ship = partial(table.append_once, rows(1, 3), "spool")

    with bucket.away():
        for access in (lambda: store.find("a/1.json"), table.exists, table.open, ship):
            with pytest.raises(Unavailable, match=r"is not available: .*[Ee]rror sending request") as away:
                access()
            assert "\n" not in str(away.value)
            assert "\x1b" not in str(away.value)
        with pytest.raises(Unavailable) as again:
            access()
        assert str(again.value) == str(away.value), "what says the same is no news"

    assert find_eventually(store, "a/1.json") == b"1"
    assert ship() == 1
    assert seqs(Table(bucket.lake, USE_CASE, "labels")) == [1, 2, 3]


@pytest.mark.parametrize(
    "lake", ["s3://", "s3:///lake", "s3://Bucket/lake", "s3://bucket/a b", "s3://bucket/a/../b", "gs://bucket/lake"]
)
def test_an_address_that_libraries_would_read_in_different_ways_is_refused(tmp_path: Path, lake: str) -> None:
    with pytest.raises(SettingError, match=r"TRAINSERVE_LAKE is .*, expected a folder .* or s3://bucket/path"):
        Home.at(tmp_path, lake)


def test_a_hanging_store_is_given_up_within_seconds_and_left_alone_for_as_long(bucket: Bucket) -> None:
    store = DocumentStore(bucket.lake, make=False)
    paths = [f"a/{number}.json" for number in range(10)]
    for path in paths:
        store.put(path, b"1")

    began = time.monotonic()
    with bucket.hanging():
        for path in paths:
            with pytest.raises(Unavailable, match="error sending request"):
                store.get(path)
        assert time.monotonic() - began < 15

    assert find_eventually(store, paths[0]) == b"1"


def find_eventually(store: DocumentStore, path: str) -> bytes | None:
    """The document, once the store answers again."""
    found: list[bytes | None] = []

    def is_there() -> bool:
        with suppress(Unavailable):
            found.append(store.find(path))
        return bool(found)

    eventually(is_there)
    return found[0]
