"""What goes wrong: faults put into the requests before they are answered and logged, and how long until a check says so."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import polars as pl

from checks.traffic import SPAN
from lake.engines import Engine
from tests.replay.alerts import DAILY, TRAFFIC, Alert, Finding, look
from tests.replay.champion import Champion
from tests.replay.days import A_DAY, SHIPPED_AFTER, Morning, reopened, update
from tests.replay.log import Log, midnight, requests
from trainserve_assets.claims.seen import Seen

Asked = pl.DataFrame
Look = tuple[datetime, list[Finding]]
_BEGINS = time(10, tzinfo=ZoneInfo("America/New_York"))
_MOST_SPANS, _MOST_DAYS = 12, 5
_STUCK_EVERY, _STUCK_FOR = timedelta(seconds=10), timedelta(hours=2)
_RECEIVED, EVENT = pl.col("received_at_utc"), "scheduled_departure_utc"


class Fault(NamedTuple):
    """What is done to the requests from a moment on; with `is_traffic` it is looked for every five minutes, else every day."""

    name: str
    done: Callable[[Asked, datetime], Asked]
    is_traffic: bool = False
    engine: Engine | None = None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Which checks found one fault first, and after how many minutes of event time; None where none did."""

    fault: str
    began: datetime
    minutes: float | None
    checks: tuple[str, ...]
    is_traffic: bool


def outage(asked: Asked, began: datetime) -> Asked:
    """Nothing arrives any more."""
    return asked.filter(began > _RECEIVED)


def doubling(asked: Asked, began: datetime) -> Asked:
    """Each request is sent twice."""
    return pl.concat([asked, asked.filter(began <= _RECEIVED)]).sort("received_at_utc", maintain_order=True)


def retried(asked: Asked, began: datetime) -> Asked:
    """One request is sent again every ten seconds, as it was."""
    return _with(asked, _again(asked, began))


def asked_again(asked: Asked, began: datetime) -> Asked:
    """The same is asked every ten seconds, as if it were for that moment."""
    return _with(asked, _again(asked, began).with_columns(_RECEIVED.alias(EVENT)))


def _again(asked: Asked, began: datetime) -> Asked:
    first = asked.filter(began <= _RECEIVED).head(1).with_columns(label=pl.lit(None, pl.Float64))
    received = first["received_at_utc"].item()
    times = pl.datetime_range(received, received + _STUCK_FOR, _STUCK_EVERY, time_zone="UTC", eager=True)
    moments = pl.DataFrame({"received_at_utc": times[1:].cast(asked.schema["received_at_utc"])})
    return first.drop("received_at_utc").join(moments, how="cross").select(asked.columns)


def _with(asked: Asked, more: Asked) -> Asked:
    return pl.concat([asked, more]).sort("received_at_utc", maintain_order=True)


def column(name: str, change: pl.Expr) -> Callable[[Asked, datetime], Asked]:
    """One field of the requests has other values."""

    def done(asked: Asked, began: datetime) -> Asked:
        return asked.with_columns(pl.when(began <= _RECEIVED).then(change).otherwise(name).alias(name))

    return done


def unchanged(asked: Asked, began: datetime) -> Asked:
    """The requests are as they are: it is the answers that are wrong."""
    del began
    return asked


# A source that is broken says the same as the log.
AS_BUILT = "inputs_are_served_as_built"
TEMPERATURE, DISTANCE = pl.col("temperature_f"), pl.col("distance_miles")
COLUMN_FAULTS = (
    Fault("temperature is null", column("temperature_f", pl.lit(None))),
    Fault("temperature comes in °C", column("temperature_f", (TEMPERATURE - 32) / 1.8)),
    Fault("distance comes in km", column("distance_miles", DISTANCE * 1.609)),
    Fault("departure comes in hours", column("departure_minute", pl.col("departure_minute") // 60)),
)
TRAFFIC_FAULTS = (
    Fault("outage", outage, is_traffic=True),
    Fault("doubling", doubling, is_traffic=True),
    Fault("stuck client: one request again and again", retried, is_traffic=True),
    Fault("stuck client: the same of each moment", asked_again, is_traffic=True),
)


def swapped(name: str, engine: Engine) -> Fault:
    """Another model answers under the champion's digest."""
    return Fault(name, unchanged, engine=engine)


class Search:
    """Looks for faults in copies of a champion's home; `usual` are the alerts that there are without them."""

    def __init__(self, champion: Champion, usual: Iterable[Alert]) -> None:
        self._champion = champion
        self._usual = [*usual]

    def run(self, mornings: Iterable[Morning], faults: Iterable[Fault]) -> Iterator[Found]:
        """Each fault on each of these days."""
        for morning in mornings:
            for fault in faults:
                with tempfile.TemporaryDirectory(prefix="replay-") as folder:
                    yield self._found(fault, morning, *reopened(self._champion, morning, Path(folder) / "home"))

    def _found(self, fault: Fault, morning: Morning, champion: Champion, log: Log) -> Found:
        if fault.is_traffic:
            began = datetime.combine(morning.day, _BEGINS).astimezone(timezone.utc)
            looks = _by_the_minute(champion, log, fault, began)
        else:
            began = midnight(morning.day)
            looks = _by_the_day(champion, log, fault, morning.day)
        minutes, checks = self._first(began, looks)
        return Found(fault=fault.name, is_traffic=fault.is_traffic, began=began, minutes=minutes, checks=checks)

    def _first(self, began: datetime, looks: Iterable[Look]) -> tuple[float | None, tuple[str, ...]]:
        for end, findings in looks:
            usual = {alert.check for alert in self._usual if alert.first <= end <= alert.last}
            if checks := {one.check for one in findings} - usual:
                return (end - began).total_seconds() / 60, tuple(sorted(checks))
        return None, ()


def _by_the_minute(champion: Champion, log: Log, fault: Fault, began: datetime) -> Iterator[Look]:
    """What is found at the end of each span of five minutes."""
    day = began.date()
    waiting = log.answers(fault.done(requests(champion, day, day + A_DAY), began))
    for span in range(1, _MOST_SPANS + 1):
        end = began + span * SPAN
        waiting = log.ship(waiting, end + SHIPPED_AFTER)
        update(champion)
        yield end, look(Seen(champion.lake, champion.use_case, end + SHIPPED_AFTER), TRAFFIC)


def _by_the_day(champion: Champion, log: Log, fault: Fault, first: date) -> Iterator[Look]:
    """What is found at the end of each day, from the first of the fault on."""
    began = midnight(first)
    asked = requests(champion, first, first + _MOST_DAYS * A_DAY)
    waiting = log.answers(fault.done(asked, began), fault.engine)
    labelled = pl.concat([log.answers(requests(champion, first - _MOST_DAYS * A_DAY, first)), waiting])
    for day in range(1, _MOST_DAYS + 1):
        end = began + day * A_DAY
        waiting = log.ship(waiting, end + SHIPPED_AFTER)
        log.ship_labels(labelled, end - A_DAY, end)
        update(champion)
        yield end, look(Seen(champion.lake, champion.use_case, end + SHIPPED_AFTER), [name for name in DAILY if name != AS_BUILT])
