"""Whether the log arrives in its tables: what waits in the spools of a machine, and what nobody could read."""

from collections.abc import Sequence

from checks.verdict import Verdict
from lake.log.backlog import SetAside, Waiting

LIMIT_S = 60.0


def log_arrives_in_time(slots: Sequence[Waiting], limit_s: float = LIMIT_S) -> Verdict:
    """No record waits for longer than this many seconds; `observed` is the age of the oldest."""
    if not slots:
        return Verdict(
            passed=False, reason="There is no spool on this machine: ask on that of the proxy, with `trainserve status`."
        )
    rows = sum(slot.rows for slot in slots)
    worst = max(slots, key=lambda slot: slot.lag_s)
    if worst.lag_s > limit_s:
        reason = (
            f"The oldest of the {worst.rows:,} records in {worst.slot} has waited for {worst.lag_s:,.0f} s: start the shipper, "
            "or see in its log why it cannot ship."
        )
    else:
        reason = f"{rows:,} records wait in the spools, the oldest for {worst.lag_s:,.1f} s."
    late = worst.lag_s > limit_s
    return Verdict(
        passed=not late,
        reason=reason,
        observed=worst.lag_s,
        limit=limit_s,
        rows=rows,
        remedy="fix the source" if late else None,
    )


def log_is_readable(aside: SetAside) -> Verdict:
    """Nothing of the log had to be set aside; `observed` is the number of bytes that were."""
    reason = (
        f"{aside.files} segments held {aside.bytes:,} bytes that nobody can read: look at the disk, and into set_aside/."
        if aside.files
        else "Every record could be read."
    )
    return Verdict(
        passed=not aside.files,
        reason=reason,
        observed=float(aside.bytes),
        limit=0.0,
        rows=aside.files,
        remedy="fix the source" if aside.files else None,
    )
