"""The heartbeat of monitoring: a sign of life that Dagster's daemon leaves in the lake, for those who watch it from outside.

A dead daemon looks healthy from inside: nothing fails, since nothing runs. Whoever serves tells Prometheus how old it is.
"""

from lake.documents import Document, DocumentReader, DocumentStore, canonical, decoded


class Heartbeat(Document, frozen=True, kw_only=True):
    """When the sensor of alerts of a use case last ran to its end, and how it left the alerts."""

    use_case: str
    at_utc: str
    open_warnings: int = 0
    open_errors: int = 0
    waiting: int = 0
    waits_since_utc: str | None = None
    format_version: int = 1


def write_heartbeat(store: DocumentStore, heartbeat: Heartbeat) -> None:
    """Replace the last one. Safe to run twice."""
    store.put(_path(heartbeat.use_case), canonical(heartbeat))


def find_heartbeat(store: DocumentReader, use_case: str) -> Heartbeat | None:
    """The last one, or None. Raises Unavailable, VerificationError."""
    data = store.find(_path(use_case))
    return None if data is None else decoded(data, f"the heartbeat of {use_case!r}", Heartbeat)


def _path(use_case: str) -> str:
    return f"{use_case}/heartbeat.json"
