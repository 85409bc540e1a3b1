"""A use case as its `defs.yaml` says it: everything that is particular to one prediction problem."""

from datetime import date, datetime, timezone
from typing import Any, Literal

import msgspec
import polars as pl

from checks.experiment_plan import ExperimentPlan
from checks.release_standard import Gate
from lake.bucket import check_address
from lake.documents import StrictDocument
from lake.errors import SettingError
from lake.input_schema import InputSchema
from lake.release.decision import RiskTier
from lake.tables import TABLES

Trainer = Literal["catboost", "hist_gradient_boosting", "logistic_regression", "linear_regression"]
Period = Literal["week", "month", "quarter"]
EngineChoice = Literal["fastest", "reference"]


def check_day(setting: str, day: str) -> None:
    """Refuse what is not a day of the calendar. Raises SettingError."""
    try:
        date.fromisoformat(day)
    except ValueError as error:
        raise SettingError(setting, day, "a day as 2013-01-01") from error


def check_place(setting: str, address: str) -> None:
    """Refuse what is neither a folder nor a bucket. Raises SettingError."""
    if "://" in address:
        check_address(address, setting)


class Split(StrictDocument, frozen=True, kw_only=True):
    """The split by time, in whole days (UTC dates of the event time, each end exclusive).

    [`train_from`, `holdout_from`) trains, [`holdout_from`, `holdout_until`) is the holdout, what is later is kept but
    used by neither.
    """

    train_from: str
    holdout_from: str
    holdout_until: str
    version: int = 1

    def __post_init__(self) -> None:
        for day in (self.train_from, self.holdout_from, self.holdout_until):
            check_day("split", day)
        if not self.train_from < self.holdout_from < self.holdout_until:
            found = f"{self.train_from}, {self.holdout_from}, {self.holdout_until}"
            raise SettingError("split", found, "train_from before holdout_from before holdout_until, as 2013-01-01")


class Candidate(StrictDocument, frozen=True, kw_only=True):
    """One way to train a model. `revision` is the Z of its version; the baseline is what others are compared with."""

    name: str
    trainer: Trainer
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    seed: int = 0
    baseline: bool = False
    revision: int = 0


# The plan of every experiment whose arm has none of its own.
ANY_ARM = "default"


class Monitoring(StrictDocument, frozen=True, kw_only=True):
    """Limits of the monitoring checks.

    `false_alarms_in_a_year` bounds how often calibration or skill of one arm raise an alarm in a year without cause. Weeks go by
    the clock of `time_zone`, as America/New_York: when clocks change, people come an hour earlier or later by UTC. The service's
    levels are the share of requests that may fail, and how long the slowest hundredth of the answers may take. Of the answers so
    many may come from a fallback, be other than the model's scores, or be about a category it never saw; and of a field so many
    values may be logged otherwise than the source has them. People are told when a release has fewer days left than this, and
    when what stops or changes answers has been in force for longer.
    """

    fewest_rows: int = 200
    time_zone: str = "UTC"
    greatest_failed_share: float = 0.02
    greatest_latency_p99_us: float = 250_000.0
    greatest_fallback_share: float = 0.05
    greatest_other_share: float = 0.05
    greatest_unknown_share: float = 0.05
    greatest_skewed_share: float = 0.01
    release_days_left: float = 14.0
    longest_change_days: float = 30.0
    false_alarms_in_a_year: float = 0.2
    drift_false_alarm_rate: float = 0.01

    def __post_init__(self) -> None:
        try:
            pl.Series([datetime(2000, 1, 1, tzinfo=timezone.utc)]).dt.convert_time_zone(self.time_zone)
        except pl.exceptions.ComputeError as error:
            raise SettingError("monitoring.time_zone", self.time_zone, "a name as Europe/Berlin, or UTC") from error


class Invariance(StrictDocument, frozen=True, kw_only=True):
    """A field whose value must not matter: any other of its values moves no score by more than `tolerance`."""

    field: str
    tolerance: float = 0.0


class Budget(StrictDocument, frozen=True, kw_only=True):
    """What a package may cost where it is served: the median latency of one row in its engine, and its size."""

    latency_us: int = 50_000
    package_bytes: int = 50_000_000


class Cost(StrictDocument, frozen=True, kw_only=True):
    """What a wrong answer of a binary use case costs, in one unit of the owner's choice; a right one costs nothing."""

    false_positive: float
    false_negative: float

    def __post_init__(self) -> None:
        if self.false_positive <= 0 or self.false_negative <= 0:
            raise SettingError("cost", (self.false_positive, self.false_negative), "two numbers above 0")


class Retention(StrictDocument, frozen=True, kw_only=True):
    """How many days things are kept; without a number for good.

    `predictions` and `labels` count from a row's arrival, `dataset_versions` from when a version of the dataset was replaced;
    a version that a decision of the ledger cites is kept for good. What is on `legal_hold`, everything or the tables that
    are named, loses neither rows nor files, however old.
    """

    predictions: int | None = None
    labels: int | None = None
    dataset_versions: int = 90
    legal_hold: bool | tuple[str, ...] = False

    def __post_init__(self) -> None:
        for name in ("predictions", "labels", "dataset_versions"):
            days = getattr(self, name)
            if days is not None and days < 1:
                raise SettingError(f"retention.{name}", days, "a number of days from 1 on")
        unknown = [name for name in self.legal_hold if name not in TABLES] if isinstance(self.legal_hold, tuple) else []
        if unknown:
            raise SettingError("retention.legal_hold", unknown, f"true, false, or tables: {', '.join(TABLES)}")

    def holds(self, table: str) -> bool:
        """Whether a legal hold is on this table."""
        return self.legal_hold if isinstance(self.legal_hold, bool) else table in self.legal_hold


class UseCase(StrictDocument, frozen=True, kw_only=True):
    """One prediction problem.

    `source` is `module:function`, a function without arguments that returns a lazy frame of all history: the fields of
    the input schema, `label` (null while unknown) and `labelled_at_utc`. Rows from `history_until` (UTC date) on are
    not the dataset's: they come back as feedback. `features` are the fields that models use.

    Evidence is given by `slices` (fields) and by `period`. `forbidden` names fields or columns of the source that are
    known only after the prediction: no model may use them. `next_review` is a day, as 2014-01-01.

    `label_drops` is where labels are looked for that come as files or tables: a folder or `s3://bucket/path`; empty for
    `label_drops/` beside the use case's tables in the lake.

    `experiments` has the plan of each challenger's or shadow's experiment, by the name of its arm; `default` is that of others.

    `engine` says what answers: the `fastest` that was proven to give the trained model's bits, or that model's own library,
    the `reference`.
    """

    name: str
    title: str
    description: str
    owner: str
    source: str
    history_until: str
    input_schema: InputSchema
    features: tuple[str, ...]
    split: Split
    candidates: tuple[Candidate, ...]
    release_standard: tuple[Gate, ...]
    slices: tuple[str, ...] = ()
    period: Period = "month"
    forbidden: tuple[str, ...] = ()
    invariances: tuple[Invariance, ...] = ()
    label_drops: str = ""
    engine: EngineChoice = "fastest"
    budget: Budget = Budget()
    cost: Cost | None = None
    intended_use: str = ""
    known_limits: tuple[str, ...] = ()
    risk_tier: RiskTier = "low"
    next_review: str | None = None
    monitoring: Monitoring = Monitoring()
    experiments: dict[str, ExperimentPlan] = msgspec.field(default_factory=dict)
    retention: Retention = Retention()

    def __post_init__(self) -> None:
        check_day(f"history_until of {self.name!r}", self.history_until)
        if self.input_schema.event_time is None:
            raise SettingError(f"input_schema.event_time of {self.name!r}", None, "a timestamp field: examples are split by time")
        if self.input_schema.use_case != self.name:
            raise SettingError("input_schema.use_case", self.input_schema.use_case, f"the use case's name, {self.name!r}")
        if self.next_review is not None:
            check_day(f"next_review of {self.name!r}", self.next_review)
        for name in (*self.features, *self.slices, *(one.field for one in self.invariances)):
            if self.input_schema.field(name).type == "timestamp":
                raise SettingError(f"features, slices or invariances of {self.name!r}", name, "a field that is not a timestamp")
        check_place("label_drops", self.label_drops)
        if self.cost is not None and self.input_schema.task != "binary":
            raise SettingError(f"cost of {self.name!r}", self.cost, f"none: a {self.input_schema.task} use case has no threshold")
        names = [candidate.name for candidate in self.candidates]
        gates = [gate.name for gate in self.release_standard]
        for name in (*names, *gates):
            if not name.isidentifier() or names.count(name) > 1 or gates.count(name) > 1:
                raise SettingError(f"a name of a candidate or gate of {self.name!r}", name, "letters, digits and _, each once")
        if sum(candidate.baseline for candidate in self.candidates) != 1:
            raise SettingError(f"candidates of {self.name!r}", names, "exactly one with baseline: true")

    def experiment_plan(self, arm: str) -> ExperimentPlan:
        """What is laid down for the experiment of this arm."""
        return self.experiments.get(arm) or self.experiments.get(ANY_ARM) or ExperimentPlan()

    @property
    def used(self) -> tuple[str, ...]:
        """The fields that models and their evidence use: the dataset has their values, sensitive or not."""
        return tuple(dict.fromkeys([*self.features, *self.slices, *(one.field for one in self.invariances)]))

    @property
    def lacking(self) -> tuple[str, ...]:
        """The fields that are used and whose values the log does not keep: what comes back from there lacks them."""
        return tuple(name for name in self.used if self.input_schema.field(name).sensitive)
