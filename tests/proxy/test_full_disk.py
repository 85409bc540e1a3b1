"""When the log cannot be written nothing is answered, and when it can again requests are."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lake.home import Home
from serving.app import create_app
from tests.proxied import labels, parameters, predictions, proxied
from tests.proxy.test_labels import LABELS
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, Client, eventually, listening, toy

MANY_LABELS = {"labels": [{"request_id": "r", "label": 1}] * 1000}


@pytest.fixture
def small_disk(home: Home) -> Iterator[Path]:
    """Spools on a file system of their own, of 256 KB."""
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    home.spools.mkdir(parents=True)
    mounted = subprocess.run([mount, "-t", "tmpfs", "-o", "size=256k", "tmpfs", home.spools], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"this machine lets nobody mount: {mounted.stderr.decode().strip()}")
    yield home.spools
    subprocess.run(["umount", "--lazy", home.spools], check=True)  # noqa: S607 - beside the mount that was found


@pytest.fixture
def client(home: Home, approver: Approver, small_disk: Path) -> Iterator[Client]:
    """The proxy before a released champion, with its spools on the small disk."""
    assert small_disk == home.spools
    approver.release(toy())
    with listening(create_app(home, USE_CASE, "champion")) as url, proxied(home, parameters({"champion": url})) as client:
        yield client


def fill(disk: Path) -> Path:
    """A file that takes all that is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)) == 4096:
                pass
        except OSError:
            pass
    return ballast


def test_on_a_full_disk_nothing_is_answered_and_nothing_answered_is_unlogged(
    home: Home, client: Client, small_disk: Path
) -> None:
    answers = [client.post(PREDICT, content=records_body(parcel()))]
    ballast = fill(small_disk)
    answers += [client.post(PREDICT, content=records_body(parcel(carrier="x" * 200))) for _ in range(100)]
    refused = client.post(LABELS, json=MANY_LABELS)
    malformed = client.post(PREDICT, content=b"{" * 10_000)
    ballast.unlink()
    answers.append(client.post(PREDICT, content=records_body(parcel())))

    statuses = [answer.status_code for answer in answers]
    assert (statuses[0], statuses[-2], statuses[-1]) == (200, 503, 200)
    assert {*statuses, refused.status_code, malformed.status_code} == {200, 503}
    problem = answers[-2]
    assert problem.headers["content-type"] == "application/problem+json"
    assert "Nothing was answered unlogged; try again when the disk is writable." in problem.json()["detail"]
    acknowledged = [answer.headers["trainserve-request-id"] for answer in answers if answer.status_code == 200]
    assert [row.request_id for row in predictions(home)] == acknowledged
    assert labels(home) == []


def test_it_is_not_ready_while_the_log_cannot_be_written_and_finds_by_itself_when_it_can(
    client: Client, small_disk: Path
) -> None:
    ballast = fill(small_disk)
    eventually(lambda: client.post(LABELS, json=MANY_LABELS).status_code == 503)
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert "No space left on device" in ready.json()["log_failing"]
    assert client.get("/health/live").status_code == 200

    ballast.unlink()

    eventually(lambda: client.get("/health/ready").status_code == 200)  # no request has to fail for it
    assert client.post(LABELS, json=MANY_LABELS).status_code == 202
