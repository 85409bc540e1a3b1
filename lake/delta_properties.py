"""The properties of Delta that tables are made with: how short their logs stay, and of which columns they tell the range.

Opening a table lists its log, and reads its checkpoint and each entry behind that: so what is kept there for long is paid
for at every look, by readers and writers.
"""

from collections.abc import Collection
from datetime import timedelta

UNUSED = timedelta(hours=2)
# An entry serves nobody once a checkpoint follows it and whoever began before it has ended. Where Delta writes a checkpoint
# it removes such entries too, so the log stays short while nobody does any maintenance.
SHORT_LOG = {"delta.checkpointInterval": "10", "delta.logRetentionDuration": "interval 30 minutes"}
WHOLE_LOG = {"delta.enableExpiredLogCleanup": "false"}

# A range names the values at its ends, in clear, and stays when the row that had them is gone.
NO_RANGES = {"delta.dataSkippingNumIndexedCols": "0"}
# What readers of the log filter by: no value of a person is among it.
_RANGED = ("request_id", "event_time_utc", "received_at_utc", "arm", "package_digest", "outcome", "spool_id", "seq")


def keep_unused(kept: timedelta) -> dict[str, str]:
    """For how long a file that the newest version lacks is kept, and named in each checkpoint: so long may a reader take."""
    return {"delta.deletedFileRetentionDuration": f"interval {round(kept.total_seconds())} seconds"}


def log_properties(columns: Collection[str]) -> dict[str, str]:
    """What a table of the log is made with whose rows have these columns: it grows by a commit every few seconds."""
    ranged = [column for column in _RANGED if column in columns]
    ranges = {"delta.dataSkippingStatsColumns": ",".join(ranged)} if ranged else {}
    return SHORT_LOG | keep_unused(UNUSED) | ranges
