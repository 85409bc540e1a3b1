"""Of which columns the log of a Delta table tells the range in each file: those that readers filter by, and no value of a person.

A range names the values at its ends, in clear, and stays when the row that had them is gone.
"""

from collections.abc import Collection

NO_RANGES = {"delta.dataSkippingNumIndexedCols": "0"}
# What readers of the log filter by.
_RANGED = ("event_time_utc", "received_at_utc", "arm", "package_digest", "outcome", "spool_id", "seq")


def ranges(columns: Collection[str]) -> dict[str, str | None]:
    """The properties that a table of rows with these columns is made with."""
    ranged = [column for column in _RANGED if column in columns]
    return {"delta.dataSkippingStatsColumns": ",".join(ranged)} if ranged else {}
