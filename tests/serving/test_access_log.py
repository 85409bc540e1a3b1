"""The access log has a line for each request, and no request waits for it."""

import os
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from lake.credentials import add_credential
from lake.home import Home
from lake.interface.access_log import AccessLog, Line
from lake.times import utc
from tests.commands import running
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, eventually, toy

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def lines(text: str) -> list[Any]:
    """The lines of a log, but those about health."""
    found = [msgspec.json.decode(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in found if "/health/" not in line["path"]]


def line(number: int) -> Line:
    """One line."""
    return Line(
        at_us=1_700_000_000_000_000 + number,
        method="GET",
        path=f"/{number}",
        status=200,
        latency_us=number,
        request_id=None,
        client_id=None,
        trace_id=None,
    )


def test_a_line_says_who_asked_what_and_how_it_ended(home: Home, tmp_path: Path) -> None:
    Approver(home).release(toy())
    key = add_credential(home.credentials, "shop", ("client",))
    path = tmp_path / "access.log"
    headers = {"authorization": f"Bearer {key}", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    with running(home, "predictor", USE_CASE, "--stand-alone", "--access-log", str(path)) as server:
        with httpx.Client(base_url=server.url, trust_env=False) as client:
            answered = client.post(PREDICT, content=records_body(parcel()), headers=headers)
            refused = client.post(PREDICT, content=records_body(parcel()))
            unknown = client.get("/nowhere?secret=1")
        assert server.stop() == 0
        first, second, third = lines(path.read_text())

    assert [answered.status_code, refused.status_code, unknown.status_code] == [200, 401, 404]
    assert utc(first.pop("at_utc"))
    assert 0 < first.pop("latency_us") < 10_000_000
    assert first == {
        "method": "POST",
        "path": PREDICT,
        "status": 200,
        "request_id": answered.headers["trainserve-request-id"],
        "client_id": "shop",
        "trace_id": TRACE,
    }
    assert (second["status"], second["client_id"]) == (401, None)
    assert second["request_id"] == refused.headers["trainserve-request-id"], "its row has it too"
    assert (third["path"], third["status"]) == ("/nowhere", 404)


def test_it_may_go_to_the_standard_output(home: Home) -> None:
    with running(home, "predictor", USE_CASE, "--access-log", "-") as server:
        server.get(f"/models/{USE_CASE}")
        eventually(lambda: [one["status"] for one in lines(server.printed)] == [503])


def test_without_the_setting_there_is_none(home: Home) -> None:
    with running(home, "predictor", USE_CASE) as server:
        server.get(f"/models/{USE_CASE}")
        assert server.stop() == 0
        assert lines(server.printed) == []
        assert "trainserve_access_log" not in server.printed


def test_lines_that_wait_are_written_before_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log = AccessLog(str(path))
    log.start()
    for number in range(1000):
        log.note(line(number))
    log.stop()

    assert [one["path"] for one in lines(path.read_text())] == [f"/{number}" for number in range(1000)]


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log = AccessLog(str(path))
    log.start()
    log.note(line(1))
    eventually(lambda: lines(path.read_text()))
    path.rename(tmp_path / "access.log.1")
    log.note(line(2))
    eventually(lambda: path.exists() and lines(path.read_text()))
    log.stop()

    assert [one["path"] for one in lines((tmp_path / "access.log.1").read_text())] == ["/1"]
    assert [one["path"] for one in lines(path.read_text())] == ["/2"]


def test_when_more_wait_than_the_queue_takes_lines_are_lost_and_counted_and_nobody_waits(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    log = AccessLog(str(pipe), queue_lines=10)
    reader = os.open(pipe, os.O_RDWR)
    log.start()
    os.close(reader)
    for number in range(100):  # nobody reads any more: the writer stands still at its first lines
        log.note(line(number))
    [lost] = [sample.value for family in log.collect() for sample in family.samples]
    reader = os.open(pipe, os.O_RDWR)
    log.stop()
    written = lines(os.read(reader, 65_536).decode())
    os.close(reader)

    assert 80 <= lost <= 90
    assert len(written) == 100 - lost


def test_a_disk_that_takes_no_line_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log = AccessLog(str(folder / "access.log"))
    log.start()
    (folder / "access.log").unlink()
    folder.rmdir()
    log.note(line(1))
    eventually(lambda: log.lost == 1)
    folder.mkdir()
    log.note(line(2))
    log.stop()

    assert [one["path"] for one in lines((folder / "access.log").read_text())] == ["/2"]
    assert "its lines are lost" in capsys.readouterr().out


def test_a_file_that_cannot_be_opened_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        AccessLog(str(tmp_path / "nowhere" / "access.log")).start()
