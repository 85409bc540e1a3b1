"""When the assets that watch the log are materialized by themselves. Nothing else here ever is."""

from typing import Any

import dagster as dg


def when_the_log_grew(cron: str) -> dg.AutomationCondition[Any]:
    """At most once for each tick of the schedule (UTC), and only if something that the asset reads was updated since."""
    tick: dg.AutomationCondition[Any] = dg.AutomationCondition.cron_tick_passed(cron)
    grew: dg.AutomationCondition[Any] = dg.AutomationCondition.any_deps_updated()
    busy: dg.AutomationCondition[Any] = dg.AutomationCondition.in_progress() | dg.AutomationCondition.any_deps_in_progress()
    return (tick.since_last_handled() & grew.since_last_handled() & ~busy).with_label(f"the log grew, looked at by {cron}")


def at_each_tick(cron: str) -> dg.AutomationCondition[Any]:
    """Once for each tick of the schedule (UTC), whether anything was updated or not: silence is news too."""
    tick: dg.AutomationCondition[Any] = dg.AutomationCondition.cron_tick_passed(cron)
    busy: dg.AutomationCondition[Any] = dg.AutomationCondition.in_progress()
    return (tick & ~busy).with_label(f"looked at by {cron}")
