"""After a power cut a table opens, with every commit that was whole, and what was torn may be written again."""

from pathlib import Path

import polars as pl
import pytest

from lake.delta import Table
from lake.delta_maintenance import checkpoint, compact
from lake.delta_recovery import recover_table, recover_tables
from lake.home import Home

SOURCE = "0" * 32


def rows(first: int, last: int) -> pl.DataFrame:
    return pl.DataFrame({"seq": range(first, last + 1), "value": [float(seq) for seq in range(first, last + 1)]})


@pytest.fixture
def table(home: Home) -> Table:
    """A table of three commits of ten rows each."""
    made = Table(home.lake, "parcels", "predictions")
    for first in (1, 11, 21):
        made.append_once(rows(first, first + 9), SOURCE)
    return made


def root(table: Table) -> Path:
    return Path(table.uri)


def entry(table: Table, version: int) -> Path:
    return root(table) / "_delta_log" / f"{version:020}.json"


def newest_file(table: Table) -> Path:
    """The data file of the newest commit."""
    return max(root(table).glob("*.parquet"), key=lambda file: file.stat().st_mtime_ns)


def held(table: Table) -> list[int]:
    return sorted(table.scan().select("seq").collect()["seq"])


def test_a_whole_table_stays_as_it_is(table: Table) -> None:
    before = {path: path.read_bytes() for path in root(table).rglob("*") if path.is_file()}

    assert recover_table(root(table), patience_s=0) == []
    assert {path: path.read_bytes() for path in root(table).rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("damage", ["missing", "empty", "short", "zeros"])
def test_a_commit_whose_rows_are_torn_is_taken_back_and_may_be_made_again(table: Table, damage: str) -> None:
    file = newest_file(table)
    whole = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes({"empty": b"", "short": whole[:-1], "zeros": bytes(len(whole))}[damage])

    assert recover_table(root(table), patience_s=0) == [entry(table, 3).with_suffix(".torn")]
    assert held(table) == list(range(1, 21))
    assert table.append_once(rows(11, 30), SOURCE) == 10, "its rows are no longer known"
    assert held(table) == list(range(1, 31))


@pytest.mark.parametrize("left", [b"", bytes(300), b'{"add":{"path":"part'])
def test_an_entry_that_is_torn_is_taken_back(table: Table, left: bytes) -> None:
    entry(table, 3).write_bytes(left)

    assert recover_table(root(table), patience_s=0) == [entry(table, 3).with_suffix(".torn")]
    assert held(table) == list(range(1, 21))


def test_what_was_committed_upon_a_torn_commit_goes_with_it(table: Table) -> None:
    entry(table, 2).write_bytes(b"")

    taken = recover_table(root(table), patience_s=0)

    assert taken == [entry(table, 3).with_suffix(".torn"), entry(table, 2).with_suffix(".torn")]
    assert held(table) == list(range(1, 11))
    assert table.append_once(rows(1, 30), SOURCE) == 20


def test_files_that_a_later_commit_removed_need_not_be_there(table: Table) -> None:
    before = set(root(table).glob("*.parquet"))
    assert compact(table, 2) == 3
    for file in before:
        file.unlink()

    assert recover_table(root(table), patience_s=0) == []
    assert held(table) == list(range(1, 31))


def test_a_checkpoint_that_is_torn_goes_and_its_versions_stay(table: Table) -> None:
    checkpoint(table)
    [written] = root(table).glob("_delta_log/*.checkpoint.parquet")
    assert recover_table(root(table), patience_s=0) == []
    assert written.exists()
    written.write_bytes(b"")

    assert recover_table(root(table), patience_s=0) == []
    assert not written.exists()
    assert held(table) == list(range(1, 31))
    (root(table) / "_delta_log" / "_last_checkpoint").write_bytes(b"")
    recover_table(root(table), patience_s=0)
    assert held(table) == list(range(1, 31))


def test_tables_are_looked_at_once_after_each_start_of_the_machine(home: Home, table: Table) -> None:
    recover_tables(home.root, Path(home.lake))
    newest_file(table).unlink()
    recover_tables(home.root, Path(home.lake))
    assert entry(table, 3).exists()

    (home.root / "boot").write_bytes(b"another start")
    recover_tables(home.root, Path(home.lake))

    assert not entry(table, 3).exists()
    assert held(table) == list(range(1, 21))
