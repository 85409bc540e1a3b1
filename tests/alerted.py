"""Checks that speak, the sensor of alerts that reads them, and what its receivers were told."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import msgspec

from tests.parcel_training import Platform
from tests.receivers import Hook, MailServer
from tests.scenario import USE_CASE
from trainserve_assets.alerts.book import AlertBook, read_book

CHECK = "answers_are_calibrated"
ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


def write_settings(platform: Platform, *receivers: Mapping[str, Any], **settings: Any) -> None:
    platform.home.alerts.parent.mkdir(parents=True, exist_ok=True)
    platform.home.alerts.write_bytes(msgspec.yaml.encode({"receivers": receivers, **settings}))


def duty(hook: Hook, **changes: Any) -> dict[str, Any]:
    return {"kind": "webhook", "name": "duty", "url": hook.url, **changes}


def say(
    platform: Platform, check: str = CHECK, *, passed: bool = False, severity: dg.AssetCheckSeverity = ERROR, **words: Any
) -> None:
    """Let a check say something, as a run or a sensor of it would."""
    evaluation = dg.AssetCheckEvaluation(
        asset_key=platform.key("windows"), check_name=check, passed=passed, severity=severity, **{"metadata": {}, **words}
    )
    platform.instance.report_runless_asset_event(evaluation)


def each(*arms: tuple[str, bool, float | None]) -> dict[str, Any]:
    """The table of a check that judged several arms."""
    rows = [
        {"about": arm, "passed": passed, "reason": f"{arm} is {'well' if passed else 'off'}", "observed": observed, "limit": 1.0}
        for arm, passed, observed in arms
    ]
    return {"each": dg.MetadataValue.table([dg.TableRecord(row) for row in rows])}


def tick(platform: Platform) -> AlertBook:
    """One evaluation of the sensor; the book after it."""
    definitions = platform.definitions
    [sensor] = [one for one in definitions.sensors or [] if one.name == f"{USE_CASE}_alerts"]
    assert isinstance(sensor, dg.SensorDefinition)
    context = dg.build_sensor_context(
        platform.instance, resources={"lake": platform.lake}, repository_def=definitions.get_repository_def()
    )
    said = sensor(context)
    assert isinstance(said, dg.SkipReason)
    return read_book(platform.lake.store, USE_CASE)


def kinds(hook: Hook) -> list[str]:
    return [one.body["kind"] for one in hook.posted]


def mail(server: MailServer, **changes: Any) -> dict[str, Any]:
    people = {"sender": "monitor@example.org", "to": ["ada@example.org", "bob@example.org"]}
    return {"kind": "mail", "name": "team", "host": "127.0.0.1", "port": server.port, "security": "none", **people, **changes}
