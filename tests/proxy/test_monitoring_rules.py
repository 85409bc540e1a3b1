"""The rules for Prometheus on monitoring itself: they ask for what running servers tell, and a sign of life ages."""

import re
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import polars as pl
from prometheus_client.parser import text_string_to_metric_families

from lake.delta import Table
from lake.documents import DocumentStore
from lake.fixed_schemas import WINDOWS_SCHEMA
from lake.heartbeat import Heartbeat, write_heartbeat
from lake.home import Home
from lake.log.freshness import Freshness
from lake.tables import WINDOWS
from lake.times import now_utc, rfc3339
from tests.alert_rules import alert_rules
from tests.parcel_log import LOG_FROM, answers, append_log, labels_of, parcels_sent
from tests.ports import free_port
from tests.proxy.conftest import Loop
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, eventually

FUNCTIONS = {"time", "max", "min", "sum", "by", "on", "and", "or", "unless", "absent", "increase", "vector", "use_case"}
Key = tuple[str, frozenset[tuple[str, str]]]


def samples(text: str) -> dict[Key, float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def write_lake(home: Home) -> datetime:
    """A log with labels, windows that rest on it, and a sign of life; returns when the newest row arrived."""
    sent = parcels_sent(LOG_FROM, 2, per_day=50)
    append_log(home.lake, answers(sent), labels_of(sent))
    arrived = sent["sent_at"].max()
    assert isinstance(arrived, datetime)
    window = {"span_start_utc": arrived, "span_end_utc": arrived, "labels_as_of_utc": arrived, "arm": "a", "metric": "rows"}
    row = pl.DataFrame(
        [{**dict.fromkeys(WINDOWS_SCHEMA.names()), **window, "slice": "all", "value": 1.0, "n": 1}], schema=WINDOWS_SCHEMA
    )
    Table(home.lake, USE_CASE, WINDOWS).append_new(row, ["span_start_utc", "metric"])
    write_heartbeat(DocumentStore(home.lake), Heartbeat(use_case=USE_CASE, at_utc=rfc3339(now_utc()), open_errors=1, waiting=2))
    return arrived


def test_the_rules_ask_only_for_what_running_servers_tell(loop: Loop, home: Home, tmp_path: Path) -> None:
    write_lake(home)
    port = free_port()
    command = [str(Path(sys.executable).with_name("trainserve")), "shipper", "--metrics-port", str(port)]
    with (tmp_path / "shipper.log").open("wb") as log:
        shipper = subprocess.Popen(command, env=home.environment(), stderr=log)
    told: dict[Key, float] = {}

    def tells() -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                told.update(samples(answer.read().decode()))
        except URLError:
            return False  # it has not begun to listen
        return bool(told)

    try:
        eventually(tells, within_s=60)
    finally:
        shipper.kill()
        shipper.wait()
    loop.client.post(PREDICT, content=records_body(parcel()))
    told.update(samples(loop.client.get("/metrics").text))

    labels: dict[str, set[str]] = {}
    for name, of in told:
        labels.setdefault(name, set()).update({label for label, _ in of})
    asked = {rule.alert: rule.metrics for rule in alert_rules("monitoring")}
    assert [(alert, names - labels.keys()) for alert, names in asked.items() if names - labels.keys()] == []
    assert [alert for alert, names in asked.items() if not names] == ["TrainserveWatchdog"]
    for name, matched in re.findall(r"(trainserve_\w+)\{(\w+)=", " ".join(rule.expr for rule in alert_rules("monitoring"))):
        assert matched in labels[name], name
    assert all("use_case" in labels[name] for names in asked.values() for name in names)


def test_the_rules_are_whole() -> None:
    for rule in alert_rules("monitoring"):
        words = set(re.findall(r"(?<![\"\w])[a-z_]+(?=\W|$)", re.sub(r'"[^"]*"', "", rule.expr)))
        unknown = {word for word in words if not word.startswith("trainserve_")} - FUNCTIONS - {"outcome", "table"}
        assert unknown == set(), rule.alert
        assert rule.expr.count("(") == rule.expr.count(")"), rule.alert
        assert rule.labels["severity"] in ("none", "warning", "critical")
        assert rule.annotations["summary"]
        assert rule.annotations["description"]


def told_of(freshness: Freshness) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in freshness.collect()
        for sample in family.samples
    }


def test_it_is_told_how_fresh_each_table_is_and_how_alerts_stand(home: Home) -> None:
    arrived = write_lake(home)

    told = told_of(Freshness(home))

    newest = "trainserve_table_newest_timestamp_seconds"
    assert told[newest, USE_CASE, "predictions"] == arrived.timestamp() + 1
    assert told[newest, USE_CASE, "windows"] == arrived.timestamp()
    assert told[newest, "labels", USE_CASE] > arrived.timestamp()
    assert told["trainserve_alerts_open", "error", USE_CASE] == 1
    assert told["trainserve_alerts_waiting", USE_CASE] == 2
    assert told["trainserve_monitoring_heartbeat_timestamp_seconds", USE_CASE] > (now_utc() - timedelta(minutes=1)).timestamp()


def test_a_daemon_that_never_lived_and_a_lake_that_is_away_tell_nothing(home: Home) -> None:
    assert told_of(Freshness(home)) == {}
