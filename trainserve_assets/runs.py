"""What a Dagster run says about who launched it, and how."""

from collections.abc import Mapping

# Who launched the run, as an identity proxy in front of the page vouches for it; nobody is named without one.
USER_TAG = "trainserve/user"
UNATTENDED = "dagster"

# The tags of runs that no person launched, each with what launched them.
_AUTOMATIONS = {
    "dagster/schedule_name": "a schedule",
    "dagster/sensor_name": "a sensor",
    "dagster/backfill": "a backfill",
    "dagster/parent_backfill_id": "a backfill",
    "dagster/root_backfill_id": "a backfill",
    "dagster/auto_materialize": "automation",
    "dagster/from_automation_condition": "automation",
    "dagster/retry_number": "an automatic retry",
}


def launcher(tags: Mapping[str, str]) -> str:
    """Who launched a run with these tags: a name, or "dagster" when nobody is named."""
    return tags.get(USER_TAG, UNATTENDED)


def automation(tags: Mapping[str, str]) -> str | None:
    """What launched a run with these tags in a person's stead, or None."""
    return next((words for tag, words in _AUTOMATIONS.items() if tag in tags), None)
