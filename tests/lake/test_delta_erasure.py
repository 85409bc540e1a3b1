"""Rows go by their numbers and files at once, beside writers: no row but those, and no file that somebody may still commit."""

from pathlib import Path

import polars as pl
import pytest

from lake.delta import Table
from lake.delta_erasure import delete_records, readable, remove_unused, versions
from lake.delta_maintenance import checkpoint
from lake.documents import DocumentStore
from lake.errors import Conflict
from lake.home import Home
from tests.scenario import USE_CASE


def numbered(first: int, last: int, spool: str = "a") -> pl.DataFrame:
    """Rows of one slot with these numbers."""
    return pl.DataFrame({"seq": range(first, last + 1)}).with_columns(spool_id=pl.lit(spool), name=pl.format("n{}", "seq"))


def table(home: Home) -> Table:
    return Table(home.lake, USE_CASE, "log")


def left(home: Home, spool: str = "a") -> list[int]:
    return table(home).scan().filter(spool_id=spool).sort("seq").collect()["seq"].to_list()


def data_files(home: Home) -> set[Path]:
    return set(Path(table(home).uri).glob("*.parquet"))


def test_rows_go_by_slot_and_number(home: Home) -> None:
    table(home).append_once(numbered(1, 5), "a")
    table(home).append_once(numbered(1, 5, "b"), "b")

    assert delete_records(table(home), {"a": [2, 4, 9], "b": [1], "c": [1]}) == 3
    assert (left(home), left(home, "b")) == ([1, 3, 5], [2, 3, 4, 5])
    assert delete_records(table(home), {"a": [2, 4]}) == 0
    assert delete_records(table(home), {}) == 0


def test_more_rows_go_than_one_commit_can_take(home: Home) -> None:
    table(home).append_once(numbered(1, 20_000), "a")

    assert delete_records(table(home), {"a": range(2, 10_001, 2)}) == 5_000
    assert len(left(home)) == 15_000


def test_a_slot_with_a_name_of_somebodys_making_names_no_other_row(home: Home) -> None:
    trap = "x' OR '1' = '1"
    table(home).append_once(numbered(1, 2), "a")
    table(home).append_once(numbered(1, 2, trap), "b")

    assert delete_records(table(home), {trap: [1]}) == 1
    assert (left(home), left(home, trap)) == ([1, 2], [2])


def test_where_others_rewrite_the_same_rows_it_is_tried_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    table(home).append_once(numbered(1, 3), "a")
    delete, refusals = Table.delete, [Conflict("table", "that nobody rewrites it", "a compaction")] * 2

    def refused_twice(self: Table, predicate: str) -> int:
        if refusals:
            raise refusals.pop()
        return delete(self, predicate)

    monkeypatch.setattr(Table, "delete", refused_twice)
    assert delete_records(table(home), {"a": [1]}) == 1
    refusals += [Conflict("table", "that nobody rewrites it", "a compaction")] * 5
    with pytest.raises(Conflict):
        delete_records(table(home), {"a": [2]})


def test_files_of_deleted_rows_go_at_once_and_those_that_a_writer_is_about_to_commit_stay(home: Home) -> None:
    """Pins delta-rs: only what some version named goes, also where that stands in a checkpoint alone."""
    table(home).append_once(numbered(1, 3), "a")
    [held] = data_files(home)
    about_to_be = held.with_name("part-of-a-commit-to-come.parquet")
    about_to_be.write_bytes(held.read_bytes())
    delete_records(table(home), {"a": [2]})
    checkpoint(table(home))

    for _ in range(2):
        remove_unused(table(home))
        assert not held.exists()
        assert about_to_be.exists()
        assert left(home) == [1, 3]


def test_versions_that_are_to_stay_keep_their_files_and_others_are_told_to_be_gone(home: Home) -> None:
    for number in range(4):
        table(home).replace(numbered(number, number), f"digest {number}")
    found = versions(table(home))
    assert [number for number, _ in found] == [3, 2, 1, 0]
    assert all(len(names) == 1 for _, names in found)

    remove_unused(table(home), [1])

    assert readable(DocumentStore(home.lake), table(home), versions(table(home)))[-2:] == [3, 1]
    assert table(home).scan(1).collect()["seq"].to_list() == [1]
    assert left(home) == [3]


def test_the_log_of_a_table_that_is_replaced_names_no_value(home: Home) -> None:
    table(home).replace(numbered(7, 7), "one")
    checkpoint(table(home))

    for path in (Path(table(home).uri) / "_delta_log").iterdir():
        assert b"n7" not in path.read_bytes()
        assert path.suffix != ".parquet" or "n7" not in repr(pl.read_parquet(path).rows())
