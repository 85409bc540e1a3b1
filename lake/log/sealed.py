"""What the commits of the lake seal: the chain of one slot, walked from its beginning in stretches of bounded size.

Nothing is believed of a commit but what the log's key signed. What a broken or missing commit sealed is not known, and is
told apart from what no commit ever sealed.
"""

from collections.abc import Iterator

import msgspec
import polars as pl

from lake.errors import VerificationError
from lake.log.commit_rows import commit_records
from lake.log.commits import Commit, CommitRecord, check_leaves, check_link, check_signature
from lake.log.log_key import LogKeys

# So many records are held at once, as near as the sizes of the commits before them tell.
_STRETCH_RECORDS = 100_000
_FIRST_COMMITS = 1_000
_MOST_COMMITS = 50_000


class SealedRecord(msgspec.Struct, frozen=True, gc=False):
    """A record that was logged: its leaf, the table it belongs to, and the commit that sealed it."""

    leaf: bytes
    use_case: str
    table: str
    commit: int
    committed_at_us: int


class Stretch(msgspec.Struct):
    """The records of a slot from `begin` up to `end`, which is left out; `records` has those that a commit seals.

    `unknown` are the numbers that a broken or missing commit may have sealed; `problems` say what is wrong with commits.
    """

    begin: int
    end: int
    records: dict[int, SealedRecord]
    unknown: list[range]
    problems: list[str]


class SealedSlot:
    """The commits of one slot, as rows of `commits`: all there are, or, if not `whole`, some that follow each other.

    Once walked, `commits` counts those that hold, and `newest` is the last of them.
    """

    def __init__(self, rows: pl.LazyFrame, spool_id: str, keys: LogKeys, *, whole: bool) -> None:
        self.spool_id = spool_id
        self.commits = 0
        self.newest: Commit | None = None
        self._rows = rows.filter(pl.col("spool_id") == spool_id)
        self._keys = keys
        self._whole = whole
        self._number = 0  # of the last commit that was looked at
        self._linked = True  # the next one can be compared with `newest`
        self._end: int | None = 0 if whole else None  # behind the newest commit that holds

    def walk(self) -> Iterator[Stretch]:
        """The stretches, in order; the commits that hold are counted on the way."""
        window = _FIRST_COMMITS
        while (first := self._following()) is not None:
            rows = self._rows.filter(pl.col("number").is_between(first, first + window - 1)).sort("number", "seq").collect()
            stretch = self._stretch(rows)
            yield stretch
            window = min(_MOST_COMMITS, max(1, rows.height * _STRETCH_RECORDS // max(1, len(stretch.records))))
        if not self._linked:
            yield Stretch(self._end or 0, 2**63 - 1, {}, [range(self._end or 0, 2**63 - 1)], [])

    def _following(self) -> int | None:
        """The number of the next commit that there is a row of."""
        number = self._rows.filter(pl.col("number") > self._number).select(pl.col("number").min()).collect().item()
        return None if number is None else int(number)

    def _stretch(self, rows: pl.DataFrame) -> Stretch:
        stretch = Stretch(0, 0, {}, [], [])
        begin = self._end
        for (number,), row in rows.group_by("number", maintain_order=True):
            self._look_for_gap(number, stretch)
            self._number = number
            if row.height > 1:
                stretch.problems.append(f"commit {number} of slot {self.spool_id[:8]} is there {row.height} times")
            taken = self._checked_one(row, stretch)
            if taken is not None:
                begin = taken[0].commit.first_seq if begin is None else begin
                self._take(*taken, stretch)
        stretch.begin = begin or 0
        stretch.end = self._end or 0
        return stretch

    def _look_for_gap(self, number: int, stretch: Stretch) -> None:
        begins = self._number == 0 and not self._whole
        if number > self._number + 1 and not begins:
            missing = f"{self._number + 1}" if number == self._number + 2 else f"{self._number + 1} to {number - 1}"
            stretch.problems.append(f"commit {missing} of slot {self.spool_id[:8]} is missing: what it sealed cannot be checked")
            self._linked = False
        if begins and number > 1:
            self._linked = False  # the one before it is not looked at

    def _checked_one(self, rows: pl.DataFrame, stretch: Stretch) -> tuple[CommitRecord, list[bytes]] | None:
        """The one commit that holds among rows of one number, with its leaves."""
        problems = []
        for row in rows.iter_slices(1):
            try:
                [record] = commit_records(row)
                return record, self._checked(record)
            except VerificationError as error:
                problems.append(str(error))
        stretch.problems += problems
        self._linked = False
        return None

    def _checked(self, record: CommitRecord) -> list[bytes]:
        commit = record.commit
        if commit.spool_id != self.spool_id:
            raise VerificationError(commit.what, f"slot {commit.spool_id}", f"slot {self.spool_id}")
        check_signature(commit, self._keys)
        leaves = check_leaves(record)
        if self._linked:
            check_link(commit, self.newest)
        return leaves

    def _take(self, record: CommitRecord, leaves: list[bytes], stretch: Stretch) -> None:
        commit = record.commit
        if not self._linked and self._end is not None:
            stretch.unknown.append(range(self._end, commit.first_seq))
        for seq, (leaf, (use_case, table)) in enumerate(zip(leaves, commit.places(), strict=True), start=commit.first_seq):
            stretch.records[seq] = SealedRecord(leaf, use_case, table, commit.number, commit.committed_at_us)
        self.newest, self._linked, self._end = commit, True, commit.last_seq + 2
        self.commits += 1
