"""An audit of the log names each row that was edited, removed or invented, and each commit that does not hold."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest
import time_machine

from lake.commands.verify import verify
from lake.documents import DocumentStore
from lake.errors import SettingError
from lake.home import Home
from lake.input_schema import publish_input_schema
from lake.log.audit import Counts
from lake.log.group_commit import GroupCommit
from lake.log.log_key import LogKey
from lake.log.merkle import leaf_of
from lake.log.records import encode_record
from lake.log.segment import segments
from lake.log.shipper import Shipper
from lake.log.slot import Slot
from lake.tables import COMMITS, LABELS, PREDICTIONS
from tests.audited import counts, findings, log, rewrite, row_of, table
from tests.scenario import USE_CASE, label, parcel_schema, prediction


def test_what_was_logged_holds(logged: Home) -> None:
    seen = counts(logged)

    assert (seen.rows, seen.commits, seen.slots) == (14, 8, 2)
    assert (seen.waiting, seen.set_aside, seen.erased, seen.retired, seen.left_by_crash) == (0, 0, 0, 0, 0)


def test_an_edited_row_is_named(logged: Home) -> None:
    edited = pl.when(row_of(4)).then(pl.lit([0.75])).otherwise(pl.col("answer"))
    rewrite(logged, PREDICTIONS, lambda rows: rows.with_columns(answer=edited))

    [finding] = findings(logged)
    assert finding.startswith(
        f"{USE_CASE}/predictions: the row of request 00000000-0000-7000-8000-000000000004, row 0 (record 7 "
    )
    assert finding.endswith("was edited: it is not what commit 3 seals")


@pytest.mark.parametrize("column", ["received_at_utc", "features", "status", "package_digest", "rule", "parameters_version"])
def test_an_edit_of_any_column_is_found(logged: Home, column: str) -> None:
    change = {
        "received_at_utc": pl.col(column) + pl.duration(microseconds=1),
        "features": pl.col(column).struct.with_fields(pl.lit(None, pl.String).alias("carrier")),
        "status": pl.lit(500, pl.Int64),
        "package_digest": pl.lit("b" * 64),
        "rule": pl.lit("share"),
        "parameters_version": pl.lit(9, pl.Int64),
    }[column]
    changed = pl.when(row_of(2)).then(change).otherwise(pl.col(column)).alias(column)
    rewrite(logged, PREDICTIONS, lambda rows: rows.with_columns(changed))

    assert [finding.rpartition(" was ")[2] for finding in findings(logged)] == ["edited: it is not what commit 2 seals"]


def test_an_edited_label_is_named(logged: Home) -> None:
    rewrite(logged, LABELS, lambda rows: rows.with_columns(label=pl.when(row_of(3)).then(0.0).otherwise("label")))

    [finding] = findings(logged)
    assert f"{USE_CASE}/labels: the row of request 00000000-0000-7000-8000-000000000003, row 0" in finding


def test_a_removed_row_is_named(logged: Home) -> None:
    rewrite(logged, PREDICTIONS, lambda rows: rows.filter(~row_of(3)))

    [finding] = findings(logged)
    assert finding.startswith(f"{USE_CASE}/predictions: record 6 of slot ")
    assert ", which commit 3 sealed at 20" in finding
    assert finding.endswith("was removed")


def test_a_row_that_delta_itself_deleted_is_named(logged: Home) -> None:
    table(logged, LABELS).open().delete("label = 1.0 AND seq = 2")

    assert [finding.rpartition(", ")[2] for finding in findings(logged)] == ["was removed"]


def test_an_invented_row_is_named_wherever_it_is_put(logged: Home) -> None:
    [slot] = table(logged, PREDICTIONS).scan().filter(row_of(1)).collect()["spool_id"]

    def invented(rows: pl.DataFrame) -> pl.DataFrame:
        model = rows.filter(row_of(1))
        places = [(0, slot), (3, slot), (2, slot), (10**6, slot), (7, "f" * 32), (7, None), (None, slot)]
        news = [
            model.with_columns(
                request_id=pl.lit(f"new {seq} {spool}"), seq=pl.lit(seq, pl.Int64), spool_id=pl.lit(spool, pl.String)
            )
            for seq, spool in places
        ]
        return pl.concat([rows, *news])

    rewrite(logged, PREDICTIONS, invented)

    said = "\n".join(findings(logged))
    for seq in (0, 3, 10**6):
        assert f"request new {seq} {slot}, row 0 (record {seq} of slot {slot[:8]}) was invented: no commit seals" in said
    assert f"request new 2 {slot}, row 0 (record 2 of slot {slot[:8]}) was edited: it is not what commit 1 seals" in said
    assert f"1 rows of slot {'f' * 32} were invented: it has no commits" in said
    assert "1 rows of slot None were invented" in said
    assert len(said.splitlines()) == 7
    assert f"1 rows of slot {slot} were invented: they have no number" in said


@pytest.mark.parametrize("name", [PREDICTIONS, COMMITS])
@pytest.mark.parametrize("damage", [lambda _: b"", lambda data: data[: len(data) // 2], lambda data: data[:-4] + b"else"])
def test_a_file_that_cannot_be_read_is_named(logged: Home, name: str, damage: Callable[[bytes], bytes]) -> None:
    [file, *_] = (Path(address) for address in table(logged, name).open().file_uris())
    file.write_bytes(damage(file.read_bytes()))

    *named, end = findings(logged)
    assert [finding for finding in named if "which cannot be read" in finding] == named[-1:]
    assert f"{name}: version" in named[-1]
    assert named[-1].endswith(f"Put back {file} from a copy")
    assert end == "what stands behind that was not looked at: verify again once every file can be read"


def test_a_file_that_is_gone_is_named(logged: Home) -> None:
    [file, *_] = (Path(address) for address in table(logged, LABELS).open().file_uris())
    file.unlink()

    assert any(finding.endswith(f"Put back {file} from a copy") for finding in findings(logged))


def test_a_row_that_is_there_twice_is_named(logged: Home) -> None:
    rewrite(logged, PREDICTIONS, lambda rows: pl.concat([rows, rows.filter(row_of(12))]))

    [finding] = findings(logged)
    assert "000000000012, row 0 (record 3 " in finding
    assert finding.endswith("was invented: the record is there twice")


def commits_changed(home: Home, number: int, **columns: pl.Expr) -> str:
    """Edit the commit of this number in the first slot; returns the slot."""
    [slot] = table(home, PREDICTIONS).scan().filter(row_of(1)).collect()["spool_id"]
    this = (pl.col("number") == number) & (pl.col("spool_id") == slot)
    rewrite(
        home,
        COMMITS,
        lambda rows: rows.with_columns(
            pl.when(this).then(new).otherwise(pl.col(name)).alias(name) for name, new in columns.items()
        ),
    )
    return str(slot)


@pytest.mark.parametrize(
    ("column", "new", "words"),
    [
        ("root", pl.lit(b"\0" * 32), "found a signature over something else"),
        ("committed_at_utc", pl.col("committed_at_utc") + pl.duration(days=1), "found a signature over something else"),
        ("first_seq", pl.col("first_seq") + 1, "found a signature over something else"),
        ("signature", pl.lit(b"\0" * 64), "found a signature over something else"),
        ("key_id", pl.lit("0" * 16), "found the key 0000000000000000, expected one of the 1 trusted"),
        ("leaves", pl.lit(leaf_of(b"x")), "found leaves of another root"),
        ("leaves", pl.lit(b""), "found 0 leaves, expected 1"),
        ("leaves", pl.lit(None, pl.Binary), "found values that no commit has"),
    ],
)
def test_a_broken_commit_is_named_and_no_other(logged: Home, column: str, new: pl.Expr, words: str) -> None:
    slot = commits_changed(logged, 2, **{column: new})

    [finding] = findings(logged)
    assert f"commit 2 of slot {slot[:8]}" in finding.replace(slot, slot[:8])
    assert words in finding


def test_a_missing_commit_is_named_and_what_it_sealed_is_called_invented_by_nobody(logged: Home) -> None:
    [slot] = table(logged, PREDICTIONS).scan().filter(row_of(1)).collect()["spool_id"]
    rewrite(logged, COMMITS, lambda rows: rows.filter((pl.col("number") != 2) | (pl.col("spool_id") != slot)))

    assert findings(logged) == [f"commit 2 of slot {slot[:8]} is missing: what it sealed cannot be checked"]


def test_a_missing_beginning_is_named(logged: Home) -> None:
    rewrite(logged, COMMITS, lambda rows: rows.filter(pl.col("number") > 2))

    found = findings(logged)
    assert len(found) == 2
    assert all(finding.startswith("commit 1 to 2 of slot ") for finding in found)


def test_a_commit_that_is_there_twice_is_named(logged: Home) -> None:
    rewrite(logged, COMMITS, lambda rows: pl.concat([rows, rows.filter(pl.col("number") == 3).head(1)]))

    [finding] = findings(logged)
    assert finding.endswith("is there 2 times")


def test_a_row_and_its_commit_removed_together_are_missed(logged: Home) -> None:
    """The next commit still links to the one that is gone."""
    rewrite(logged, PREDICTIONS, lambda rows: rows.filter(~row_of(2)))
    rewrite(logged, COMMITS, lambda rows: rows.filter(pl.col("number") != 2))

    assert "commit 2 of slot" in findings(logged)[0]


def test_an_end_that_was_cut_off_is_missed_by_who_has_shipped_it(logged: Home) -> None:
    """The tables may then be as they were before: only who knows how far they went can tell."""
    rewrite(logged, COMMITS, lambda rows: rows.filter(pl.col("number") < 4))
    rewrite(logged, LABELS, lambda rows: rows.filter(~row_of(4), ~row_of(15)))
    rewrite(logged, PREDICTIONS, lambda rows: rows.filter(~row_of(15)))

    found = findings(logged)
    assert len(found) == 2
    assert all("ends with commit 3, but commit 4 of it is known here: it was cut" in finding for finding in found)


def test_an_end_that_was_cut_off_is_missed_by_who_has_seen_it(logged: Home, tmp_path: Path) -> None:
    """Another machine, which holds no spool: an audit there keeps how far it has seen each slot."""
    other = Home.at(tmp_path / "other", lake=logged.lake)
    (other.keys / "trusted_log").parent.mkdir(parents=True)
    (other.keys / "trusted_log").symlink_to(logged.keys / "trusted_log")
    assert counts(other).rows == 14
    rewrite(logged, COMMITS, lambda rows: rows.clear())
    for name in (PREDICTIONS, LABELS):
        rewrite(logged, name, lambda rows: rows.clear())

    assert [finding.partition(" has ")[2] for finding in findings(other)] == [
        "no commits in the lake, but some of it are known here: it was cut"
    ] * 2


def test_who_trusts_no_key_of_the_log_is_told_which_to_copy(logged: Home, tmp_path: Path) -> None:
    other = Home.at(tmp_path / "other", lake=logged.lake)
    [key] = [path.stem for path in (logged.keys / "trusted_log").iterdir()]

    found = findings(other)
    assert len(found) == 8
    assert all(f"copy keys/trusted_log/{key}.pub from the machine that logged it" in finding for finding in found)


def test_records_that_wait_for_the_shipper_are_no_finding(logged: Home) -> None:
    log(logged, [[prediction(5)], [prediction(6)]], ship=False)

    assert counts(logged).rows == 14


def test_a_commit_in_the_lake_whose_rows_are_on_their_way_is_no_finding(logged: Home) -> None:
    log(logged, [[prediction(5)], [prediction(6)]])
    newest = table(logged, PREDICTIONS).version()
    (Path(table(logged, PREDICTIONS).uri) / "_delta_log" / f"{newest:020}.json").unlink()

    assert counts(logged).waiting == 2
    with time_machine.travel(datetime.now(timezone.utc) + timedelta(minutes=11)):
        assert [finding.partition("Z, ")[2] for finding in findings(logged)] == [
            "is not there: removed, or its shipper stands"
        ] * 2


def test_what_a_crash_left_without_its_commit_is_known_and_sealed_in_the_next_life(home: Home) -> None:
    log(home, [[prediction(1)]], ship=False)
    [closed, newest] = segments(home.spools / "slot-000")
    with Slot.lease(home.spools) as slot:
        slot.append([encode_record(prediction(2)), encode_record(label(2))])
    Shipper(home).ship()

    assert counts(home) == Counts(slots=1, commits=1, rows=1, left_by_crash=2)
    log(home, [[prediction(3)]])
    assert counts(home) == Counts(slots=1, commits=2, rows=4)
    assert closed != newest


def test_a_record_that_nobody_can_read_is_set_aside_and_counted(home: Home) -> None:
    async def worked() -> None:
        worker = GroupCommit(Slot.lease(home.spools), LogKey.read_or_make(home.keys))
        await worker.append([b"no record", encode_record(prediction(1))])
        await worker.close()

    publish_input_schema(DocumentStore(home.lake), parcel_schema())
    asyncio.run(worked())
    Shipper(home).ship()

    assert counts(home) == Counts(slots=1, commits=1, rows=1, set_aside=1)


def test_a_day_or_a_use_case_can_be_audited_alone(logged: Home) -> None:
    today = datetime.now(timezone.utc).date()
    assert counts(logged, since=today - timedelta(days=1)).rows == 14
    assert counts(logged, until=today - timedelta(days=2)).rows == 0
    assert counts(logged, use_cases=(USE_CASE,)).rows == 14
    rewrite(logged, PREDICTIONS, lambda rows: rows.filter(~row_of(2)))

    assert len(findings(logged, since=today - timedelta(days=1), use_cases=(USE_CASE,))) == 1
    assert findings(logged, until=today - timedelta(days=2)) == []
    assert findings(logged, use_cases=("another",)) == []


def test_days_that_begin_amid_a_chain_are_audited(logged: Home) -> None:
    """The commit before the first one of these days is not looked at: no link to it is missed."""
    yesterday = datetime.now(timezone.utc).date() - timedelta(days=1)
    old = pl.col("number") < 3
    rewrite(
        logged, COMMITS, lambda rows: rows.with_columns(commit_date=pl.when(old).then(yesterday).otherwise(pl.col("commit_date")))
    )

    assert counts(logged, since=yesterday + timedelta(days=1)).commits == 4
    assert counts(logged, until=yesterday).commits == 4


def test_the_command_prints_each_finding_and_what_it_has_seen(
    logged: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in logged.environment().items():
        monkeypatch.setenv(name, value)
    assert verify(log=True) == 0
    assert capsys.readouterr().out == "14 rows are as they were logged: 8 commits of 2 slots\n"
    rewrite(logged, PREDICTIONS, lambda rows: rows.filter(~row_of(2)))

    assert verify(USE_CASE, log=True) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"does not hold: {USE_CASE}/predictions: record 4 of slot ")
    assert said[1:] == ["13 rows are as they were logged: 8 commits of 2 slots", "1 findings"]
    with pytest.raises(SettingError, match="--from or --until"):
        verify(until=datetime.now(timezone.utc).date())
