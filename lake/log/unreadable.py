"""The data files of a table that cannot be read, each by its name: what the reader of a whole table is not told."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
from polars.exceptions import PanicException, PolarsError

from lake.bucket import in_one_line, table_options
from lake.delta import Table

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
        for address in self.handle.file_uris():
            try:
                pl.scan_parquet(address, storage_options=self._options).collect()
            except UNREADABLE as error:
                name = Path(address).name
                yield (
                    f"{self.table.use_case}/{self.table.name}: version {self.handle.version()} has the data file {name}, "
                    f"which cannot be read: {in_one_line(error)}. Put back {address} from a copy"
                )
