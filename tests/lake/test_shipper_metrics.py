"""What Prometheus learns of the shipper: what waits, for how long, what was shipped, and what nobody could read."""

import subprocess
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lake.delta import Table
from lake.documents import DocumentStore
from lake.errors import NotFound, SettingError
from lake.home import Home, now_us
from lake.input_schema import publish_input_schema
from lake.listener import bind
from lake.log.backlog import backlog, waiting
from lake.log.records import encode_record
from lake.log.segment import closed_segments
from lake.log.shipper import Shipper
from lake.log.shipper_metrics import ShipperMetrics
from lake.log.slot import Slot
from lake.tables import PREDICTIONS
from tests.alert_rules import alert_rules
from tests.ports import free_port
from tests.scenario import USE_CASE, label, parcel_schema, prediction
from tests.served import eventually

Sample = tuple[str, frozenset[tuple[str, str]]]
HOUR_US = 3_600_000_000


def log_some(home: Home, number: int = 3, age_us: int = HOUR_US, **changes: str) -> Path:
    """Have a worker log predictions that arrived so long ago, half of them in a segment that is still open; returns its slot."""
    with Slot.lease(home.spools) as slot:
        for one in range(number):
            slot.append([encode_record(prediction(one, received_at_us=now_us() - age_us, **changes)), encode_record(label(one))])
            if one == number // 2:
                slot.rotate()
    return slot.folder


def read(text: str) -> dict[Sample, float]:
    """The samples of an exposition."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def measured(metrics: ShipperMetrics, name: str, **labels: str) -> float:
    """A sample of a registry, 0 where it has none."""
    return metrics.registry.get_sample_value(name, labels) or 0.0


def test_what_waits_is_told_by_slot_in_rows_and_seconds(home: Home) -> None:
    metrics = ShipperMetrics(home)
    with Slot.lease(home.spools):
        log_some(home)

    assert measured(metrics, "trainserve_log_waiting_rows", slot="slot-000") == 0
    assert measured(metrics, "trainserve_log_lag_seconds", slot="slot-000") == 0
    assert measured(metrics, "trainserve_log_waiting_rows", slot="slot-001") == 6
    assert measured(metrics, "trainserve_log_lag_seconds", slot="slot-001") == pytest.approx(3600, abs=60)
    assert measured(metrics, "trainserve_log_waiting_bytes", slot="slot-001") == backlog(home).bytes


def test_a_clock_that_was_set_back_makes_no_negative_lag(home: Home) -> None:
    log_some(home, age_us=-HOUR_US)

    assert [slot.lag_s for slot in waiting(home)] == [0.0]


def test_what_is_shipped_is_counted_by_table_and_no_longer_waits(home: Home) -> None:
    publish_input_schema(DocumentStore(home.lake), parcel_schema())
    metrics = ShipperMetrics(home)
    folder = log_some(home)
    kept = {path: path.read_bytes() for path in closed_segments(folder)}
    predictions = {"use_case": USE_CASE, "table": PREDICTIONS}
    Shipper(home, metrics=metrics).ship()

    assert measured(metrics, "trainserve_shipper_rows_total", **predictions) == 3
    assert measured(metrics, "trainserve_shipper_commits_total", **predictions) == 1
    assert measured(metrics, "trainserve_log_waiting_rows", slot="slot-000") == 0
    for path, content in kept.items():
        path.write_bytes(content)
    Shipper(home, metrics=metrics).ship()

    assert measured(metrics, "trainserve_shipper_rows_total", **predictions) == 3
    assert measured(metrics, "trainserve_shipper_known_rows_total", **predictions) == 2
    assert measured(metrics, "trainserve_shipper_commits_total", **predictions) == 1


def test_what_cannot_be_shipped_is_counted(home: Home) -> None:
    metrics = ShipperMetrics(home)
    log_some(home, use_case="unknown")
    Path(home.lake).mkdir(parents=True)
    with pytest.raises(NotFound):
        Shipper(home, metrics=metrics).ship()

    assert measured(metrics, "trainserve_shipper_failures_total", slot="slot-000") == 1


def test_what_nobody_can_read_is_counted_once_however_often_its_batch_is_tried(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_input_schema(DocumentStore(home.lake), parcel_schema())
    metrics = ShipperMetrics(home)
    with Slot.lease(home.spools) as slot:
        slot.append([b"\xc1 none", encode_record(prediction(1)), b"nor this"])
    with monkeypatch.context() as failing:
        failing.setattr(Table, "append_once", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        with pytest.raises(OSError, match="Input/output"):
            Shipper(home, metrics=metrics).ship()
    Shipper(home, metrics=metrics).ship()

    assert measured(metrics, "trainserve_shipper_set_aside_records_total") == 2
    assert measured(metrics, "trainserve_log_set_aside_files") == 1
    assert measured(metrics, "trainserve_log_set_aside_bytes") == len(b"\xc1 none" + b"nor this")


def test_a_port_that_is_taken_is_named(home: Home) -> None:
    with bind("127.0.0.1", 0, "another") as taken, pytest.raises(SettingError, match=r"--metrics-port is '127\.0\.0\.1:\d+'"):
        ShipperMetrics(home).serve("127.0.0.1", taken.getsockname()[1])


def test_the_shipper_answers_prometheus_with_every_metric_that_the_alert_rules_ask_for(home: Home) -> None:
    publish_input_schema(DocumentStore(home.lake), parcel_schema())
    log_some(home, use_case="unknown")
    port = free_port()
    command = [str(Path(sys.executable).with_name("trainserve")), "shipper", "--metrics-port", str(port)]
    shipper = subprocess.Popen(command, env=home.environment(), stderr=subprocess.DEVNULL)
    found: dict[Sample, float] = {}

    def fails() -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                found.update(read(answer.read().decode()))
        except URLError:
            return False  # it has not begun to listen
        return ("trainserve_shipper_failures_total", frozenset({("slot", "slot-000")})) in found

    try:
        eventually(fails, within_s=60)
    finally:
        shipper.kill()
        shipper.wait()
    names = {name for name, _ in found}
    for rule in alert_rules("shipper"):
        assert rule.metrics, rule.alert
        assert rule.metrics <= names, rule.alert
