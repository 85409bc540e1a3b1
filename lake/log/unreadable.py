"""The data files of a table that cannot be read, each by its name: what the reader of a whole table is not told."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
from polars.exceptions import PanicException, PolarsError

from lake.bucket import in_one_line, table_options
from lake.delta import Table
from lake.errors import VerificationError

# What a scan raises of a file that is cut short, is no Parquet, or is not there. The second is no Exception.
UNREADABLE = (PolarsError, PanicException, OSError)


class PinnedTable:
    """A table at one version."""

    def __init__(self, lake: str, table: Table) -> None:
        self.table = table
        self.handle = table.open()
        self.rows = table.scan(self.handle.version())
        self._options = table_options(lake)

    def unreadable(self) -> Iterator[str]:
        """Each of its files that cannot be read, and why: read one by one, each whole."""
        for address, why in self._unreadable():
            yield (
                f"{self.table.use_case}/{self.table.name}: version {self.handle.version()} has the data file "
                f"{Path(address).name}, which cannot be read: {why}. Put back {address} from a copy"
            )

    def problems(self) -> Iterator[VerificationError]:
        """The same, to be raised."""
        for address, why in self._unreadable():
            yield VerificationError(
                f"{self.table.use_case}/{self.table.name}, version {self.handle.version()},",
                f"the data file {Path(address).name}, which cannot be read ({why})",
                f"the bytes that were written. Put back {address} from a copy",
            )

    def _unreadable(self) -> Iterator[tuple[str, str]]:
        for address in self.handle.file_uris():
            try:
                pl.scan_parquet(address, storage_options=self._options).collect()
            except UNREADABLE as error:
                yield address, in_one_line(error)


@contextmanager
def naming_files(lake: str, *tables: Table) -> Iterator[None]:
    """Around what reads these tables: a data file that cannot be read is a VerificationError which names it.

    What else a reader complains of stays as it is. Only then, and only of these tables, every file is read.
    """
    try:
        yield
    except UNREADABLE as error:
        pinned = (PinnedTable(lake, table) for table in tables if table.exists())
        for problem in (problem for one in pinned for problem in one.problems()):
            raise problem from error
        raise
