"""W3C Trace Context: the trace that a request belongs to, taken over from who sent it and handed on unchanged.

The platform makes no spans of its own, so it is no parent in a trace: it passes on what it was given, and writes down which
trace that was. The Recommendation knows no header of answers, so none is sent.
"""

import re
from collections.abc import Mapping

import msgspec

PARENT_HEADER = "traceparent"
STATE_HEADER = "tracestate"

# version, trace, parent, flags; zeros are no id, version ff is none, and only a later version may say more behind them
_PARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


class Trace(msgspec.Struct, frozen=True):
    """Where a request stands in a trace, in its sender's words."""

    trace_id: str
    headers: dict[str, str]


def trace_of(headers: Mapping[str, str]) -> Trace | None:
    """The trace that these headers name; None where they name none, or not as the Recommendation says: more than one is none."""
    trace_id = trace_id_of(headers)
    if trace_id is None:
        return None
    parent, state = headers[PARENT_HEADER], headers.get(STATE_HEADER)
    return Trace(trace_id, {PARENT_HEADER: parent, STATE_HEADER: state} if state else {PARENT_HEADER: parent})


def trace_id_of(headers: Mapping[str, str]) -> str | None:
    """The trace that the header of the parent names; None where it names none."""
    found = _PARENT.fullmatch(headers.get(PARENT_HEADER, ""))
    if found is None or (found[1] == "00" and found[3] is not None):
        return None
    return found[2]
