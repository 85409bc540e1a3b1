"""Rows that are gone on purpose, erased or retired: an audit counts them, and takes nobody's word for it but the log's key."""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from deltalake import write_deltalake

from lake.home import Home
from lake.log.erasures import ErasedRecord, append_erasures
from lake.log.log_key import LogKey
from lake.log.maintenance import Done, append_maintenance
from lake.log.merkle import leaf_of
from lake.log.records import encode_record
from lake.tables import ERASURES, MAINTENANCE, PREDICTIONS
from tests.audited import counts, findings, rewrite, row_of, table
from tests.scenario import prediction


def erased_record(home: Home, number: int) -> ErasedRecord:
    """The audit row of the `number`-th request's prediction, signed by nobody yet."""
    [(spool, seq)] = table(home, PREDICTIONS).scan().filter(row_of(number)).select("spool_id", "seq").collect().rows()
    return ErasedRecord(
        erasure_id="e" * 32,
        table=PREDICTIONS,
        spool_id=spool,
        seq=seq,
        leaf=leaf_of(encode_record(prediction(number))),
        request_id=f"00000000-0000-7000-8000-{number:012}",
        row=0,
        found_by="entity",
        erased_at_us=1,
        asked_by="ada",
        why="ticket 17",
    )


def test_rows_erased_on_purpose_are_counted_and_all_others_still_proven(logged: Home) -> None:
    record = erased_record(logged, 3).signed(LogKey.read_or_make(logged.keys))
    rewrite(logged, PREDICTIONS, lambda rows: rows.filter(~row_of(3)))
    assert [append_erasures(table(logged, ERASURES), [record]) for _ in range(2)] == [1, 0]

    seen = counts(logged)
    assert (seen.rows, seen.erased) == (13, 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"leaf": leaf_of(b"x")}, "was removed"),
        ({"why": "because"}, "is said to be erased, but no trusted key signed so"),
        ({"signature": b""}, "is said to be erased, but no trusted key signed so"),
        ({"key_id": "0" * 16}, "is said to be erased, but the key 0000000000000000 that signed so is none of the 1 trusted"),
    ],
)
def test_a_removal_is_passed_off_as_an_erasure_by_nobody_without_a_key_of_the_log(
    logged: Home, changes: dict[str, Any], words: str
) -> None:
    record = erased_record(logged, 3).signed(LogKey.read_or_make(logged.keys))
    rewrite(logged, PREDICTIONS, lambda rows: rows.filter(~row_of(3)))
    append_erasures(table(logged, ERASURES), [msgspec.structs.replace(record, **changes)])

    [finding] = findings(logged)
    assert finding.endswith(words)
    append_erasures(table(logged, ERASURES), [record])
    assert findings(logged) == [], "what proves nothing keeps nobody from proving it"


def test_an_audit_row_with_columns_of_its_own_making_proves_nothing(logged: Home) -> None:
    record = erased_record(logged, 3)
    rewrite(logged, PREDICTIONS, lambda rows: rows.filter(~row_of(3)))
    write_deltalake(table(logged, ERASURES).uri, pl.DataFrame({"spool_id": record.spool_id, "seq": 6, "leaf": [record.leaf]}))

    [finding] = findings(logged)
    assert "is said to be erased, but the key  that signed so is none" in finding


def retire(home: Home, before: datetime, key: LogKey) -> None:
    """What maintenance says that it deleted for its age, signed by this key."""
    done = Done(table=PREDICTIONS, retired_rows=1, retired_before_utc=before)
    append_maintenance(table(home, MAINTENANCE), before, [done], key)


def test_rows_retired_by_age_are_counted(logged: Home) -> None:
    rewrite(logged, PREDICTIONS, lambda rows: rows.filter(~row_of(3)))
    retire(logged, datetime.now(timezone.utc) + timedelta(hours=1), LogKey.read_or_make(logged.keys))

    seen = counts(logged)
    assert (seen.rows, seen.retired) == (13, 1)


def test_a_removal_is_passed_off_as_a_retirement_by_nobody_without_a_key_of_the_log(logged: Home, tmp_path: Path) -> None:
    stranger, own = LogKey.read_or_make(tmp_path / "stranger"), LogKey.read_or_make(logged.keys)
    moment = datetime.now(timezone.utc) + timedelta(hours=1)
    rewrite(logged, PREDICTIONS, lambda rows: rows.filter(~row_of(3)))

    retire(logged, moment - timedelta(days=1), own)
    retire(logged, moment, stranger)
    [finding] = findings(logged)
    assert finding.endswith(
        f"was removed: it is said to be retired, but the key {stranger.id} that signed so is none of the 1 trusted"
    )

    later = pl.when(pl.col("key_id") == own.id).then(pl.lit(moment)).otherwise("retired_before_utc").alias("retired_before_utc")
    rewrite(logged, MAINTENANCE, lambda rows: rows.with_columns(later).filter(key_id=own.id))
    [finding] = findings(logged)
    assert finding.endswith("was removed: it is said to be retired, but no trusted key signed so")

    retire(logged, moment, own)
    assert findings(logged) == [], "what proves nothing keeps nobody from proving it"


def test_a_retirement_from_before_they_were_signed_is_told_as_such(logged: Home) -> None:
    rewrite(logged, PREDICTIONS, lambda rows: rows.filter(~row_of(3)))
    old = pl.DataFrame({"table": [PREDICTIONS], "retired_before_utc": [datetime.now(timezone.utc) + timedelta(hours=1)]})
    write_deltalake(table(logged, MAINTENANCE).uri, old)

    [finding] = findings(logged)
    assert finding.endswith(
        "said to be retired, but nobody signed so: maintenance did not sign yet when it was written, or it is forged"
    )
