"""Retirements: up to which moment the rows of a table were deleted for their age, as rows of the table `maintenance` say.

Each is signed by the key of the log on the machine that retired: whoever can write to the lake, but holds no such key, can
pass no removal off as a retirement. A row from before retirements were signed has no signature, and proves nothing either.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import polars as pl

from lake.delta import Table
from lake.log.log_key import LogKeys
from lake.log.vouched import Vouched

# A record is deleted for its age by its arrival, which is before its commit by less than that.
_COMMITTED_WITHIN = timedelta(hours=1)


class Retirement(Vouched, frozen=True, kw_only=True, omit_defaults=True):
    """All rows of a table that had arrived before a moment were deleted for their age."""

    SIGNED_FOR = b"trainserve retirement\n"

    use_case: str
    table: str
    before_utc: datetime

    @property
    def reaches_utc(self) -> datetime:
        """Up to when commits may have sealed what was deleted."""
        return self.before_utc + _COMMITTED_WITHIN

    def problem(self, keys: LogKeys) -> str | None:
        """Why it proves no retirement, if so."""
        if not self.signature:
            return "nobody signed so: maintenance did not sign yet when it was written, or it is forged"
        return super().problem(keys)


def read_retirements(maintenance: Table, of: str) -> Iterator[Retirement]:
    """What a use case's `maintenance` says of one of its tables, the latest moment first; nothing where there is none."""
    if not maintenance.exists():
        return
    rows = maintenance.scan().filter(pl.col("table") == of, pl.col("retired_before_utc").is_not_null())
    signed = {"key_id": pl.String, "signature": pl.Binary}
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in signed.items() if name not in rows.collect_schema()]
    newest = rows.with_columns(absent).sort("retired_before_utc", descending=True)
    for moment, key_id, signature in newest.select("retired_before_utc", *signed).collect().iter_rows():
        yield Retirement(
            use_case=maintenance.use_case,
            table=of,
            before_utc=moment.astimezone(timezone.utc),
            key_id=key_id or "",
            signature=signature or b"",
        )
