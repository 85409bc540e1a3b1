"""Which of the answers that the log's commits sealed are still in the table of predictions."""

from datetime import datetime, timedelta

import msgspec
import polars as pl

from lake.delta import Table
from lake.log.erasures import read_erasures
from lake.log.retirement import read_retirements
from lake.tables import COMMITS, LOG, MAINTENANCE, PREDICTIONS

_NEAR = timedelta(hours=1)  # a record is committed less than so long after it arrived
_ADDRESS = ("spool_id", "seq")


class SealedAnswers(msgspec.Struct, frozen=True):
    """How many records of predictions were sealed, and how many of those have no row, though nobody erased or retired it."""

    records: int = 0
    gone: int = 0

    @property
    def missing_share(self) -> float:
        """The part that is gone; 0 where nothing was sealed."""
        return self.gone / self.records if self.records else 0.0


def sealed_answers(lake: str, use_case: str, from_utc: datetime, until_utc: datetime) -> SealedAnswers:
    """The records of predictions that were committed between these moments and shipped since.

    Whether a row is what its record was, `trainserve verify --log` says; here they are counted.
    """
    predictions, commits = Table(lake, use_case, PREDICTIONS), Table(lake, LOG, COMMITS)
    if not (predictions.exists() and commits.exists()):
        return SealedAnswers()
    retirements = read_retirements(Table(lake, use_case, MAINTENANCE), PREDICTIONS)
    begin = max([from_utc, *(one.reaches_utc for one in retirements)])
    handle = predictions.open()
    sealed = _runs(commits.scan(), use_case, begin, until_utc)
    spools = sealed["spool_id"].unique()
    highest = pl.Series("highest", [handle.transaction_version(spool) for spool in spools], pl.Int64)  # that was shipped
    shipped = sealed.join(pl.DataFrame([spools, highest]), on="spool_id").filter(pl.col("until_seq") <= pl.col("highest") + 1)
    arrived = pl.col("received_at_utc").is_between(begin - _NEAR, until_utc + _NEAR)
    there = predictions.scan(handle.version()).filter(arrived).select(_ADDRESS)
    erased = [(one.spool_id, one.seq) for one in read_erasures(lake, use_case, pl.col("table") == PREDICTIONS)]
    addresses = pl.concat([there, pl.LazyFrame(erased, schema={"spool_id": pl.String, "seq": pl.Int64}, orient="row")])
    found = (
        addresses.unique()
        .sort("seq")
        .join_asof(shipped.lazy().sort("first_seq"), left_on="seq", right_on="first_seq", by="spool_id", check_sortedness=False)
        .filter(pl.col("seq") < pl.col("until_seq"))
        .select(pl.len())
        .collect()
        .item()
    )
    records = int((shipped["until_seq"] - shipped["first_seq"]).sum())
    return SealedAnswers(records, records - found)


def _runs(commits: pl.LazyFrame, use_case: str, from_utc: datetime, until_utc: datetime) -> pl.DataFrame:
    """The runs of predictions of a use case in these commits: of each spool, from `first_seq` to before `until_seq`."""
    days = pl.col("commit_date").is_between(from_utc.date(), until_utc.date())
    spans = (
        commits.filter(days, pl.col("committed_at_utc").is_between(from_utc, until_utc))
        .select("spool_id", "number", "first_seq", "spans")
        .explode("spans")
        .unnest("spans")
    )
    end = pl.col("first_seq") + pl.col("count").cum_sum().over("spool_id", "number")
    return (
        spans.with_columns(until_seq=end, first_seq=end - pl.col("count"))
        .filter(pl.col("use_case") == use_case, pl.col("table") == PREDICTIONS)
        .select("spool_id", "first_seq", "until_seq")
        .collect()
    )
