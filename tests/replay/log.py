"""What clients ask and what comes of it: flights as requests, answers and labels as rows of the log, shipped as they arrive."""

from datetime import date, datetime, timedelta, timezone

import polars as pl

from lake.decoder import Decoder
from lake.delta import Table
from lake.engines import Engine
from lake.filing import filing_date
from lake.tables import LABELS, PREDICTIONS, conform, labels_schema, predictions_schema
from tests.replay.champion import CHAMPION, Champion
from trainserve_assets.evidence.holdout import score
from trainserve_assets.examples import read_source

# An answer is logged when it is given; a request takes so long to arrive.
ARRIVES_AFTER = timedelta(seconds=1)
SPOOL, CLIENT = "replay", "replay"
_ARRIVAL = "received_at_utc"


def midnight(day: date) -> datetime:
    """When a day begins, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=timezone.utc)


def requests(champion: Champion, first: date, until: date) -> pl.DataFrame:
    """The flights of these days (the last is not one), in the order of departure, with label, and when they are asked about."""
    schema = champion.use_case.input_schema
    time = pl.col(str(schema.event_time))
    flights = read_source(champion.use_case).filter(time >= midnight(first), time < midnight(until))
    return flights.with_columns(received_at_utc=time + ARRIVES_AFTER).sort(time, *schema.entity_key).collect()


class Log:
    """The log of one champion, as far as it was shipped: `seq` goes on from one row to the next."""

    def __init__(self, champion: Champion, predictions: int = 0, labels: int = 0) -> None:
        self.champion = champion
        self.shipped = {PREDICTIONS: predictions, LABELS: labels}

    def answers(self, asked: pl.DataFrame, engine: Engine | None = None) -> pl.DataFrame:
        """Rows of `predictions`: each request answered, by the champion or by what stands in its place; and its label."""
        schema = self.champion.use_case.input_schema
        manifest, redactor = self.champion.package.manifest, self.champion.redactor
        scores = score(engine or self.champion.engine, manifest.features, asked)
        records = Decoder(schema, asked.height).convert(asked.select(schema.names).iter_rows(named=True))
        moments = asked.select(pl.col(_ARRIVAL).dt.epoch("ms"), pl.int_range(pl.len()).over(_ARRIVAL).alias("number"))
        return asked.with_columns(
            request_id=pl.Series([_request_id(*moment) for moment in moments.iter_rows()]),
            row=pl.lit(0, pl.Int64),
            arm=pl.lit(CHAMPION),
            event_time_utc=pl.col(str(schema.event_time)),
            purpose=pl.lit("answer"),
            role=pl.lit(CHAMPION),
            release_seq=pl.lit(1, pl.Int64),
            package_digest=pl.lit(self.champion.package.digest),
            engine=pl.lit(manifest.engine),
            parameters_version=pl.lit(1, pl.Int64),
            rule=pl.lit(CHAMPION),
            client_id=pl.lit(CLIENT),
            entity_key_hash=pl.Series([redactor.entity_hash(record) for record in records], dtype=pl.String),
            features=pl.struct(schema.names),
            scores=pl.Series(scores.tolist(), dtype=pl.List(pl.Float64)),
            answer=pl.Series(scores.tolist(), dtype=pl.List(pl.Float64)),
            outcome=pl.lit("answered"),
            status=pl.lit(200, pl.Int64),
            attempts=pl.lit(1, pl.Int64),
            latency_us=900 + pl.int_range(pl.len()) % 97,
            spool_id=pl.lit(SPOOL),
        ).with_columns(event_date=filing_date(schema))

    def ship(self, answers: pl.DataFrame, before: datetime) -> pl.DataFrame:
        """Append what was answered before this moment; returns the rest."""
        due = answers.filter(pl.col(_ARRIVAL) < before)
        self._append(PREDICTIONS, due, predictions_schema(self.champion.use_case.input_schema))
        return answers.filter(pl.col(_ARRIVAL) >= before)

    def ship_labels(self, answers: pl.DataFrame, since: datetime, before: datetime) -> None:
        """Append the labels that became known between these moments, of whichever of the answers."""
        known = pl.col("labelled_at_utc")
        due = answers.filter(pl.col("label").is_not_null(), known >= since, known < before).sort(known, "request_id")
        named = due.select("request_id", "row", "label", "client_id", "spool_id", observed_at_utc=known, received_at_utc=known)
        self._append(LABELS, named, labels_schema(self.champion.use_case.input_schema))

    def _append(self, table: str, rows: pl.DataFrame, schema: pl.Schema) -> None:
        if rows.is_empty():
            return
        numbered = rows.with_columns(seq=pl.int_range(pl.len(), dtype=pl.Int64) + self.shipped[table] + 1)
        missing = [pl.lit(None, dtype).alias(name) for name, dtype in schema.items() if name not in numbered.columns]
        full = numbered.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in schema.items())
        partition = ["event_date"] if table == PREDICTIONS else None
        Table(self.champion.home.lake, self.champion.use_case.name, table).append_once(
            conform(full, schema, table), SPOOL, partition
        )
        self.shipped[table] += rows.height


def _request_id(arrived_ms: int, number: int) -> str:
    """As those of the proxy, a UUIDv7: it begins with its time."""
    text = f"{arrived_ms:012x}7{number >> 40 & 0xFFF:03x}8{number:015x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
