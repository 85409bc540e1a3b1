"""The whole platform with its lake in a bucket: the loop, the store away for a while, and a store that cannot keep a ledger."""

import io
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta, timezone

import dagster as dg
import obstore
import polars as pl
import pytest
from obstore.store import from_url

import lake.bucket
from lake.commands.verify import verify
from lake.delta import Table
from lake.home import Home
from lake.log.backlog import backlog
from lake.tables import FEEDBACK, LABELS, PREDICTIONS, WINDOWS
from serving.app import create_app
from tests.drops import audited, by_request, delivered, labels, said
from tests.parcel_training import Platform, failures
from tests.ports import free_port
from tests.proxied import parameters, proxied
from tests.s3 import Bucket, bucket_of
from tests.scenario import USE_CASE, records_body
from tests.served import PREDICT, Approver, Client, eventually, listening, scores_of, toy, varied
from trainserve_assets.platform.processes import Processes, ProcessSpec, trainserve_command
from trainserve_assets.windows.table import newest_windows

ROWS = 30
AWAY_S = 600


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with bucket_of() as bucket:
        yield bucket


@pytest.fixture
def afar(home: Home, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose lake is in the bucket, which the environment names too."""
    afar = Home.at(home.root, bucket.lake)
    for name, value in afar.environment().items():
        monkeypatch.setenv(name, value)
    return afar


@pytest.fixture
def processes(afar: Home) -> Iterator[Processes]:
    with Processes(afar.logs, print) as processes:
        yield processes


def shipper(home: Home) -> ProcessSpec:
    """The shipper as a program."""
    return ProcessSpec(
        name="shipper", command=trainserve_command("shipper", "--freshness-s", "1"), environment=home.environment()
    )


def sent(client: Client, count: int) -> list[str]:
    """Ask about so many parcels of yesterday, one by one; the request ids of what was answered."""
    noon = datetime.now(timezone.utc).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
    answered = []
    for number, row in enumerate(varied(count)):
        row["sent_at"] = (noon + timedelta(minutes=number)).isoformat()
        answer = client.post(PREDICT, content=records_body(row))
        assert answer.status_code == 200, answer.text
        answered.append(answer.headers["trainserve-request-id"])
    return answered


def shipped(home: Home, name: str = PREDICTIONS) -> list[str]:
    """The request ids in a table of the log, sorted."""
    table = Table(home.lake, USE_CASE, name)
    return sorted(table.scan().collect()["request_id"].to_list()) if table.exists() else []


@pytest.mark.slow
def test_the_loop_from_training_to_feedback_needs_no_folder_for_its_lake(
    afar: Home, bucket: Bucket, processes: Processes
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        platform = Platform(afar, instance).train()
        released = platform.release()
        assert released.success, failures(released)

        with (
            listening(create_app(afar, USE_CASE, "champion")) as url,
            proxied(afar, parameters({"champion": url})) as client,
        ):
            request_ids = sent(client, ROWS)
            truths = [{"request_id": request_id, "row": 0, "label": number % 2} for number, request_id in enumerate(request_ids)]
            assert client.post(f"/models/{USE_CASE}/labels", json={"labels": truths}).status_code == 202
        processes.start(shipper(afar))
        eventually(lambda: backlog(afar).bytes == 0, within_s=60)
        watched = platform.run(["windows", "feedback"])
        assert watched.success, failures(watched)

    assert shipped(afar) == sorted(request_ids)
    assert shipped(afar, LABELS) == sorted(request_ids)
    day = newest_windows(Table(afar.lake, USE_CASE, WINDOWS)).filter(
        pl.col("span_end_utc") - pl.col("span_start_utc") == timedelta(days=1), metric="rows", slice="all"
    )
    assert day["value"].to_list() == [ROWS]
    assert Table(afar.lake, USE_CASE, FEEDBACK).scan().collect().height == ROWS
    assert verify(USE_CASE) == 0
    assert not (afar.root / "lake").exists()
    assert len(bucket.names()) > ROWS


@pytest.mark.parametrize("ailing", [Bucket.away, Bucket.hanging])
def test_without_the_store_answers_are_logged_and_what_waited_is_shipped_once_when_it_is_back(
    afar: Home,
    bucket: Bucket,
    processes: Processes,
    monkeypatch: pytest.MonkeyPatch,
    ailing: Callable[[Bucket], AbstractContextManager[None]],
) -> None:
    """How long a store that hangs is waited for by default, a test of the bucket says; here it is less."""
    monkeypatch.setattr(lake.bucket, "_SOON_TIMEOUTS", dict.fromkeys(("connect_timeout", "read_timeout"), timedelta(seconds=2)))
    monkeypatch.setattr(lake.bucket, "_SOON_RETRIES", {"max_retries": 2, "retry_timeout": timedelta(seconds=2)})
    Approver(afar).release(toy())
    [row] = varied(1)
    with listening(create_app(afar, USE_CASE, "champion")) as url, proxied(afar, parameters({"champion": url})) as client:
        processes.start(shipper(afar))
        request_ids = sent(client, ROWS)
        eventually(lambda: len(shipped(afar)) == ROWS, within_s=60)
        with ailing(bucket):
            request_ids += sent(client, ROWS)
            eventually(lambda: client.get("/health/ready").json()["lake"][USE_CASE]["reachable"] is False)
            first = backlog(afar).bytes
            request_ids += sent(client, ROWS)
            assert backlog(afar).bytes > first > 0
            with Client(create_app(afar, USE_CASE, "champion")) as restarted:
                eventually(lambda: restarted.get("/v2/health/ready").status_code == 200)
                answer = restarted.post(PREDICT, content=records_body(row))
                assert scores_of(answer.content) == [toy().score(row)]
                assert restarted.get("/health/ready").json()["package_source"] == "copy"
        eventually(lambda: backlog(afar).bytes == 0, within_s=90)
        eventually(lambda: client.get("/health/ready").json()["alarms"] == {})

    assert shipped(afar) == sorted(request_ids)


@pytest.mark.slow
@pytest.mark.timeout(2 * AWAY_S)
def test_after_ten_minutes_without_the_store_the_spools_drain_and_every_answer_stands_once(
    afar: Home, bucket: Bucket, processes: Processes
) -> None:
    Approver(afar).release(toy())
    with listening(create_app(afar, USE_CASE, "champion")) as url, proxied(afar, parameters({"champion": url})) as client:
        processes.start(shipper(afar))
        request_ids = sent(client, ROWS)
        eventually(lambda: len(shipped(afar)) == ROWS, within_s=60)
        waiting = backlog(afar).bytes
        with bucket.away():
            until = time.monotonic() + AWAY_S
            while time.monotonic() < until:
                request_ids += sent(client, ROWS)
                assert backlog(afar).bytes > waiting
                waiting = backlog(afar).bytes
                time.sleep(1)
        request_ids += sent(client, ROWS)
        eventually(lambda: backlog(afar).bytes == 0, within_s=120)

    assert len(request_ids) > 100 * ROWS
    assert shipped(afar) == sorted(request_ids)


def test_a_proxy_starts_and_answers_while_the_store_is_away(afar: Home, bucket: Bucket) -> None:
    Approver(afar).release(toy())
    with listening(create_app(afar, USE_CASE, "champion")) as url:
        with proxied(afar, parameters({"champion": url})) as client:
            assert sent(client, 1)
        with bucket.away(), proxied(afar, parameters({"champion": url})) as client:
            assert sent(client, 1)
            assert "error sending request" in client.get("/health/ready").json()["alarms"][USE_CASE]


@pytest.mark.parametrize("program", [("shipper",), ("proxy", "--port", str(free_port())), ("up",), ("demo",)])
def test_a_program_that_writes_does_not_start_on_a_store_that_overwrites(home: Home, program: tuple[str, ...]) -> None:
    with bucket_of("overwrites") as bucket, pytest.MonkeyPatch.context() as patch:
        for name, value in {
            **Home.at(home.root, bucket.lake).environment(),
            "PROXY_UPSTREAMS": f"{USE_CASE}/champion=http://a:1",
        }.items():
            patch.setenv(name, value)
        ended = subprocess.run(trainserve_command(*program), capture_output=True, text=True, timeout=60, check=False)

        assert ended.returncode == 1
        assert (
            f"TRAINSERVE_LAKE is '{bucket.lake} at {bucket.endpoint}', expected a store that keeps put-if-absent" in ended.stderr
        )
        assert bucket.names() == ["deep/lake/put-if-absent"]


def test_no_run_of_dagster_writes_to_a_store_that_overwrites(home: Home) -> None:
    with bucket_of("overwrites") as bucket, dg.DagsterInstance.ephemeral() as instance:
        refused = Platform(Home.at(home.root, bucket.lake), instance).run(["dataset"])

        assert not refused.success
        assert "expected a store that keeps put-if-absent" in failures(refused)
        assert bucket.names() == ["deep/lake/put-if-absent"]


def test_a_shipper_that_starts_while_the_store_is_away_ships_once_it_is_back(
    afar: Home, bucket: Bucket, processes: Processes
) -> None:
    Approver(afar).release(toy())
    with listening(create_app(afar, USE_CASE, "champion")) as url, proxied(afar, parameters({"champion": url})) as client:
        request_ids = sent(client, ROWS)
    with bucket.away():
        processes.start(shipper(afar))
        eventually(lambda: "not shipped, will try again" in (afar.logs / "shipper.log").read_text(), within_s=60)
        assert backlog(afar).bytes > 0

    eventually(lambda: backlog(afar).bytes == 0, within_s=90)
    assert shipped(afar) == sorted(request_ids)


def test_labels_dropped_into_a_bucket_are_logged_once_by_a_machine_that_runs_no_shipper(afar: Home, bucket: Bucket) -> None:
    files = from_url(f"s3://{bucket.name}/labels", endpoint=bucket.endpoint, client_options={"allow_http": True})
    address = f"s3://{bucket.name}/labels"
    first, grown = io.BytesIO(), io.BytesIO()
    by_request(1, 0).write_parquet(first)
    by_request(1, 0, 1).write_parquet(grown)
    obstore.put(files, "2013/july.parquet", first.getvalue())

    assert [one.accepted for one in delivered(afar, address=address)] == [2]
    assert delivered(afar, address=address) == []
    obstore.put(files, "2013/july.parquet", grown.getvalue())
    assert [one.accepted for one in delivered(afar, address=address)] == [1]

    by_request(0, 0, first=7).write_delta(
        f"{afar.lake}/{USE_CASE}/label_drops/warehouse", storage_options=storage_options(bucket)
    )
    assert [(one.drop, one.version, one.accepted) for one in delivered(afar)] == [("warehouse", "version 0", 2)]

    assert labels(afar) == [*said(1, 0, 1), *said(0, 0, first=7)]
    assert audited(afar).rows == 5
    assert not afar.spools.exists()


def storage_options(bucket: Bucket) -> dict[str, str]:
    """What Polars is told to write a table of somebody else's into the bucket."""
    return {"aws_endpoint_url": bucket.endpoint, "aws_allow_http": "true"}
