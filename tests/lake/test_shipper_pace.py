"""When the shipper ships: soon enough for the freshness, sooner where a commit is full, later where a slot fails."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lake.delta import Table
from lake.documents import DocumentStore
from lake.errors import SettingError
from lake.home import Home, now_us
from lake.input_schema import publish_input_schema
from lake.log.backlog import waiting
from lake.log.records import encode_record
from lake.log.shipper import Pace, Shipper
from lake.log.shipper_metrics import ShipperMetrics
from lake.log.slot import Slot
from lake.tables import PREDICTIONS
from tests.scenario import USE_CASE, parcel_schema, prediction
from tests.served import eventually

ROTATED_EVERY_S = 1.0


@contextmanager
def running(home: Home, pace: Pace) -> Iterator[ShipperMetrics]:
    """A shipper at work in a thread; gives what it counts."""
    publish_input_schema(DocumentStore(home.lake), parcel_schema())
    metrics = ShipperMetrics(home)
    stopped = threading.Event()
    thread = threading.Thread(target=Shipper(home, pace, metrics).run, args=(stopped,))
    thread.start()
    try:
        yield metrics
    finally:
        stopped.set()
        thread.join()


def append(slot: Slot, rows: int, **changes: str) -> None:
    """Log so many predictions that arrive now."""
    slot.append([encode_record(prediction(number, received_at_us=now_us(), **changes)) for number in range(rows)])


def shipped(metrics: ShipperMetrics, what: str = "rows") -> float:
    """Rows or commits of predictions that a shipper counted."""
    labels = {"use_case": USE_CASE, "table": PREDICTIONS}
    return metrics.registry.get_sample_value(f"trainserve_shipper_{what}_total", labels) or 0.0


def test_under_load_the_tables_are_no_further_behind_than_the_freshness(home: Home) -> None:
    """The worker closes a segment every second, as a proxy does; the default allows 5 s."""
    began = rotated = time.monotonic()
    lags, logged, rotations = [], 0, 0
    with Slot.lease(home.spools) as slot, running(home, Pace()) as metrics:
        while time.monotonic() < began + 11:
            append(slot, 20)
            logged += 20
            if time.monotonic() > rotated + ROTATED_EVERY_S:
                slot.rotate()
                rotated = time.monotonic()
                rotations += 1
            lags.append(waiting(home)[0].lag_s)
        slot.rotate()
    found = Table(home.lake, USE_CASE, PREDICTIONS).scan().collect()

    assert max(lags) < 5
    assert found.height == logged
    assert shipped(metrics, "commits") < rotations, "each segment had a commit of its own"


def test_a_full_commit_does_not_wait_for_the_freshness(home: Home) -> None:
    with Slot.lease(home.spools) as slot, running(home, Pace(freshness_s=3600, rows_by_commit=100)) as metrics:
        append(slot, 1)
        slot.rotate()
        eventually(lambda: metrics.registry.get_sample_value("trainserve_shipper_last_round_timestamp_seconds"))
        before = shipped(metrics)
        append(slot, 100)
        slot.rotate()

        eventually(lambda: shipped(metrics) == 101)
        assert before <= 1


def test_a_slot_that_fails_is_tried_more_and_more_rarely_and_holds_up_no_other(home: Home) -> None:
    with Slot.lease(home.spools) as failing, Slot.lease(home.spools) as slot, running(home, Pace(freshness_s=0)) as metrics:
        append(failing, 1, use_case="unknown")
        failing.rotate()
        for number in range(1, 21):
            append(slot, 1)
            slot.rotate()
            eventually(lambda: shipped(metrics) == number)  # noqa: B023 - it is called before the next turn
        tries = metrics.registry.get_sample_value("trainserve_shipper_failures_total", {"slot": "slot-000"})
        publish_input_schema(DocumentStore(home.lake), parcel_schema(use_case="unknown"))

        assert tries is not None
        assert 1 <= tries < 10
        eventually(lambda: waiting(home)[0].rows == 0)


def test_a_shipper_that_is_stopped_while_the_lake_is_away_leaves_the_log_for_the_next(home: Home) -> None:
    publish_input_schema(DocumentStore(home.lake), parcel_schema())
    with Slot.lease(home.spools) as slot:
        append(slot, 3)
        slot.rotate()
    lake = Path(home.lake)
    lake.rename(away := lake.with_name("away"))
    stopped = threading.Event()
    stopped.set()
    Shipper(home).run(stopped)
    assert waiting(home)[0].rows == 3

    away.rename(lake)
    Shipper(home).run(stopped)
    assert Table(home.lake, USE_CASE, PREDICTIONS).scan().collect().height == 3


@pytest.mark.parametrize("wrong", [{"freshness_s": -1}, {"rows_by_commit": 0}, {"bytes_by_commit": 0}])
def test_a_pace_that_cannot_be_kept_is_refused(wrong: dict[str, Any]) -> None:
    [setting] = wrong

    with pytest.raises(SettingError, match=f"{setting} is .*, expected .*at least"):
        Pace(**wrong)
