"""When the log cannot be written nothing is answered, and when it can again requests are."""

import errno
from collections.abc import Iterator
from itertools import count
from math import inf, isnan
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lake.home import Home
from lake.log.room import Disk
from serving.app import create_app
from tests.alert_rules import alert_rules
from tests.disks import fill, small_disk
from tests.forgetful_disk import forgetful_disk
from tests.proxied import NOBODY, labels, parameters, predictions, proxied
from tests.proxy.test_labels import LABELS
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, Client, eventually, listening, toy

MANY_LABELS = {"labels": [{"request_id": "r", "label": 1}] * 1000}


@pytest.fixture
def disk(home: Home) -> Iterator[Path]:
    """Spools on a file system of their own, of 256 KB."""
    with small_disk(home.spools, 256) as folder:
        yield folder


@pytest.fixture
def client(home: Home, approver: Approver, disk: Path) -> Iterator[Client]:
    """The proxy before a released champion, with its spools on the small disk."""
    assert disk == home.spools
    approver.release(toy())
    with listening(create_app(home, USE_CASE, "champion")) as url, proxied(home, parameters({"champion": url})) as client:
        yield client


def test_on_a_full_disk_nothing_is_answered_and_nothing_answered_is_unlogged(home: Home, client: Client, disk: Path) -> None:
    answers = [client.post(PREDICT, content=records_body(parcel()))]
    ballast = fill(disk)
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


def test_it_is_not_ready_while_the_log_cannot_be_written_and_finds_by_itself_when_it_can(client: Client, disk: Path) -> None:
    ballast = fill(disk)
    eventually(lambda: client.post(LABELS, json=MANY_LABELS).status_code == 503)
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert "No space left on device" in ready.json()["log_failing"]
    assert client.get("/health/live").status_code == 200

    ballast.unlink()

    eventually(lambda: client.get("/health/ready").status_code == 200, within_s=5)  # no request has to fail for it
    assert client.post(LABELS, json=MANY_LABELS).status_code == 202


def test_a_disk_that_lets_nobody_write_refuses_until_it_does_again(tmp_path: Path) -> None:
    with forgetful_disk(tmp_path / "disk") as disk:
        home = Home.at(disk.folder / "home")
        Approver(home).release(toy())
        with listening(create_app(home, USE_CASE, "champion")) as url, proxied(home, parameters({"champion": url})) as client:
            disk.refuse(errno.EROFS)
            refused = client.post(PREDICT, content=records_body(parcel()))
            ready = client.get("/health/ready")
            disk.refuse(0)
            eventually(lambda: client.get("/health/ready").status_code == 200, within_s=5)
            answered = client.post(PREDICT, content=records_body(parcel()))

        assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
        assert (ready.status_code, ready.json()["log_failing"]) == (503, "[Errno 30] Read-only file system")
        assert answered.status_code == 200
        assert [row.request_id for row in predictions(home)] == [answered.headers["trainserve-request-id"]]


def test_the_time_until_the_disk_is_full_follows_from_what_was_used_up(disk: Path) -> None:
    minute = count(0, 60)
    watched = Disk(disk, clock_s=lambda: float(next(minute)))
    assert isnan(watched.look().hours_until_full), "one look tells no pace"
    assert watched.look().hours_until_full == inf
    (disk / "kept").write_bytes(bytes(8192))
    looked = watched.look()
    assert looked.free_bytes == 256 * 1024 - 8192
    assert looked.hours_until_full == pytest.approx(looked.free_bytes / 4096 / 60), "8 KB in two minutes"

    hours = [watched.look().hours_until_full for _ in range(15)]

    assert hours[:-1] == sorted(hours[:-1]), "the longer nothing is added, the longer it lasts"
    assert hours[-2:] == [hours[-2], inf], "what was added more than a quarter of an hour ago tells nothing any more"
    (disk / "kept").unlink()
    assert watched.look().hours_until_full == inf


def test_looking_often_does_not_shorten_what_the_pace_is_taken_from(disk: Path) -> None:
    second = count()
    watched = Disk(disk, clock_s=lambda: float(next(second)))
    for _ in range(60):
        watched.look()
    (disk / "kept").write_bytes(bytes(61_440))

    looked = watched.look()

    assert looked.hours_until_full == pytest.approx(looked.free_bytes / (61_440 / 60) / 3600)


def test_a_disk_that_is_gone_has_no_figures(tmp_path: Path) -> None:
    looked = Disk(tmp_path / "gone").look()

    assert (isnan(looked.free_bytes), isnan(looked.hours_until_full)) == (True, True)


def test_the_room_is_among_the_metrics(client: Client, disk: Path) -> None:
    fill(disk)

    page = client.get("/metrics").text

    assert "trainserve_log_disk_free_bytes 0.0" in page
    assert "trainserve_log_disk_hours_until_full NaN" in page


def test_the_alerts_on_the_disk_go_by_metrics_that_there_are(home: Home) -> None:
    with proxied(home, parameters({"champion": NOBODY})) as client:
        known = {family.name for family in text_string_to_metric_families(client.get("/metrics").text)}

    rules = alert_rules("disk")

    asked = {name for rule in rules for name in rule.metrics}
    assert asked == {"trainserve_log_failing", "trainserve_log_disk_hours_until_full"}
    assert asked <= known
    assert all(rule.labels["severity"] in ("warning", "critical") and rule.annotations["description"] for rule in rules)
