"""The table `parameters`: one row for each stored version of each use case. It is a view of the files, which decide.

It stands beside the other tables of the log that belong to no one use case, apart from the files themselves.
"""

import msgspec
import polars as pl
import structlog

from lake.delta import Table
from lake.documents import DocumentStore
from lake.errors import VerificationError
from lake.fixed_schemas import PARAMETERS_SCHEMA
from lake.parameters.changes import differences
from lake.parameters.document import Parameters
from lake.parameters.stored import read_parameters, versions
from lake.tables import LOG, PARAMETERS, conform
from lake.times import utc

log = structlog.get_logger(__name__)


class ParametersTable:
    """Adds the versions that the table lacks."""

    def __init__(self, lake: str) -> None:
        self._store = DocumentStore(lake, make=False)
        self._table = Table(lake, LOG, PARAMETERS)
        self._known: dict[str, int] | None = None

    def update(self) -> int:
        """Add what was stored since, each version once, whoever else does so too; returns how many. Raises Unavailable."""
        if self._known is None:
            self._known = self._read_known()
        added = 0
        for use_case in self._store.folders():
            rows = [] if use_case == LOG else self._rows_of(use_case, self._known.get(use_case, 0))
            if rows:
                frame = conform(pl.DataFrame(rows, schema=PARAMETERS_SCHEMA), PARAMETERS_SCHEMA, PARAMETERS)
                added += self._table.append_once(frame, f"{PARAMETERS} of {use_case}")
                self._known[use_case] = int(frame.select(pl.col("version").max()).item())
        return added

    def _read_known(self) -> dict[str, int]:
        if not self._table.exists():
            return {}
        newest = self._table.scan().group_by("use_case").agg(pl.col("version").max()).collect()
        return dict(newest.iter_rows())

    def _rows_of(self, use_case: str, known: int) -> list[dict[str, object]]:
        numbers = [number for number in versions(self._store, use_case) if number > known]
        before = self._find(use_case, known) if numbers and known else None
        rows = []
        for number in numbers:
            found = self._find(use_case, number)
            rows.append(_row(use_case, number, before, found))
            before = found or before
        return rows

    def _find(self, use_case: str, number: int) -> Parameters | None:
        """A version, or None for one that cannot be read: nobody goes by it."""
        try:
            return read_parameters(self._store, use_case, number)
        except VerificationError as error:
            log.warning("a version of the parameters cannot be read", use_case=use_case, version=number, why=str(error))
            return None


def _row(use_case: str, number: int, before: Parameters | None, found: Parameters | None) -> dict[str, object]:
    if found is None:
        return {"use_case": use_case, "version": number, "document": None, "seq": number}
    try:
        changed_at = None if found.changed_at_utc is None else utc(found.changed_at_utc)
    except ValueError:
        changed_at = None
    return {
        "use_case": use_case,
        "version": number,
        "changed_by": found.changed_by,
        "changed_at_utc": changed_at,
        "why": found.why,
        "changes": [] if before is None else differences(before, found),
        "signed": found.proposal is not None,
        "document": msgspec.json.encode(found).decode(),
        "seq": number,
    }
