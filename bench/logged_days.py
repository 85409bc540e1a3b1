"""Days of flights as a log has them: so many answers a day, spread evenly over it, nine of ten with a label an hour later."""

from datetime import date, datetime, timedelta, timezone

import polars as pl

from bench.released import USE_CASE
from lake.delta import Table
from lake.documents import DocumentStore
from lake.home import Home
from lake.package import open_package
from lake.tables import LABELS, PREDICTIONS, TIME, conform, labels_schema, predictions_schema
from trainserve_assets.catalog import use_case
from trainserve_assets.evidence.holdout import score
from trainserve_assets.examples import read_source

DISTINCT_ROWS = 20_000
FIRST_DAY = date(2013, 7, 1)
_ARRIVED_AFTER, _KNOWN_AFTER = timedelta(seconds=1), timedelta(hours=1)
_SPOOL = "bench"


class Days:
    """What is logged, day after day; each flight is asked about again and again, at other times."""

    def __init__(self, home: Home, package_digest: str, logged: int = 0) -> None:
        self._home, self.package_digest, self.logged = home, package_digest, logged
        self._schema = use_case(USE_CASE).input_schema
        flights = read_source(use_case(USE_CASE)).filter(pl.col("label").is_not_null()).collect()
        self._flights = flights.gather_every(flights.height // DISTINCT_ROWS).head(DISTINCT_ROWS)
        package = open_package(DocumentStore(home.lake), USE_CASE, package_digest)
        scores = score(package.load().engine, package.manifest.features, self._flights)
        self._flights = self._flights.with_columns(scores=pl.Series(scores.tolist(), dtype=pl.List(pl.Float64)))

    def log(self, number: int, rows: int) -> None:
        """Append the day of this number, from 0 on, and the labels of what was answered in it."""
        midnight = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=timezone.utc) + timedelta(days=number)
        row = pl.int_range(pl.len(), dtype=pl.Int64)
        asked = pl.concat([self._flights] * (rows // self._flights.height + 1)).head(rows)
        time = pl.lit(midnight).cast(TIME) + pl.duration(microseconds=row * (86_400_000_000 // rows))
        answers = asked.with_columns(
            scheduled_departure_utc=time,
            event_time_utc=time,
            received_at_utc=time + _ARRIVED_AFTER,
            seq=row + self.logged + 1,
        ).with_columns(
            request_id=pl.format("{}-0000-7000-8000-000000000000", pl.col("seq").cast(pl.String).str.zfill(8)),
            row=pl.lit(0, pl.Int64),
            arm=pl.lit("champion"),
            purpose=pl.lit("answer"),
            role=pl.lit("champion"),
            release_seq=pl.lit(1, pl.Int64),
            package_digest=pl.lit(self.package_digest),
            parameters_version=pl.lit(0, pl.Int64),
            entity_key_hash=pl.format("{}-{}-{}", "carrier", "flight", row % DISTINCT_ROWS),
            features=pl.struct(self._schema.names),
            answer=pl.col("scores"),
            outcome=pl.lit("answered"),
            status=pl.lit(200, pl.Int64),
            latency_us=900 + row % 97,
            spool_id=pl.lit(_SPOOL),
            event_date=pl.lit(midnight.date()),
        )
        known = pl.col("event_time_utc") + _KNOWN_AFTER
        labels = answers.filter(row % 10 > 0).with_columns(observed_at_utc=known, received_at_utc=known)
        self._append(PREDICTIONS, answers, predictions_schema(self._schema), ["event_date"])
        self._append(LABELS, labels, labels_schema(self._schema), None)
        self.logged += rows

    def _append(self, table: str, rows: pl.DataFrame, schema: pl.Schema, partition_by: list[str] | None) -> None:
        missing = [pl.lit(None, dtype).alias(name) for name, dtype in schema.items() if name not in rows.columns]
        full = rows.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in schema.items())
        Table(self._home.lake, USE_CASE, table).append_once(conform(full, schema, table), _SPOOL, partition_by)
