"""The sensor of alerts: what asset checks find is told to the receivers that `alerts.yaml` names."""

import dagster as dg

from lake.heartbeat import write_heartbeat
from lake.times import now_utc
from trainserve_assets.alerts.receivers import AlertSettings
from trainserve_assets.alerts.round import deliver, take
from trainserve_assets.resources import LakeResource
from trainserve_assets.use_case import UseCase

ALERTS = "alerts"


def alerts_definitions(use_case: UseCase) -> dg.Definitions:
    """The sensor that tells people what the checks of a use case found."""
    gates = frozenset(gate.name for gate in use_case.release_standard)

    @dg.sensor(
        name=f"{use_case.name}_{ALERTS}",
        description="Opens an alert for each cause that a check of this use case finds, and tells receivers until they have it.",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def alerts_sensor(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SkipReason:
        settings, store = AlertSettings.read(lake.home.alerts), lake.store
        book, evaluations = take(context.instance, store, use_case.name, claims(context, use_case), settings, now_utc)
        book, delivered, failed = deliver(store, book, settings, gates, now_utc)
        write_heartbeat(store, book.heartbeat(now_utc()))
        for words in failed:
            context.log.warning(words)
        return dg.SkipReason(
            f"{evaluations} evaluations taken, {len(book.open)} alerts open, {len(delivered)} notices delivered, "
            f"{len(book.waiting)} waiting" + (f"; {'; '.join(dict.fromkeys(failed))}" if failed else "")
        )

    return dg.Definitions(sensors=[alerts_sensor])


def claims(context: dg.SensorEvaluationContext, use_case: UseCase) -> dict[dg.AssetCheckKey, str]:
    """Every check of the use case, with what it claims. Raises DagsterInvariantViolationError outside a code location."""
    definitions = context.repository_def
    if definitions is None:
        raise dg.DagsterInvariantViolationError("The sensor of alerts runs in a code location: it asks for every check there.")
    graph = definitions.asset_graph
    mine = sorted(key for key in graph.asset_check_keys if key.asset_key.path[0] == use_case.name)
    return {key: graph.get_check_spec(key).description or "" for key in mine}
