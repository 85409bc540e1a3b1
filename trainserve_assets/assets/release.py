"""The asset `release`: a person's decision, verified and recorded. It has no automation, and its config no defaults."""

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Literal

import dagster as dg
import msgspec
from pydantic import Field

from lake.ledger import Entry
from lake.releases import Live, fold
from lake.tables import EVALUATION, RELEASE
from trainserve_assets.approval import Launch, Request, record
from trainserve_assets.resources import LakeResource
from trainserve_assets.use_case import UseCase


class ReleaseConfig(dg.Config):
    """A decision. No field has a default: whoever launches this has said all of it."""

    evaluation_id: str = Field(description="The evaluation that you decide on; copy it from the evaluation's metadata")
    decision: Literal["approve", "reject", "revoke", "roll back"] = Field(
        description="approve: make it live. reject: record that it will not be. revoke: take it off every arm. "
        "roll back: make an earlier release of this arm live again"
    )
    role: Literal["champion", "challenger", "shadow"] = Field(
        description="champion: its answer counts. challenger: answers a share. shadow: answers nobody, is logged"
    )
    arm: str = Field(description="The line of requests that it serves, as champion or challenger; a predictor serves one arm")
    approver: str = Field(description="Who decides; not who trained it")
    reason: str = Field(description="Why, for whoever reads the ledger later")


def release_definitions(use_case: UseCase) -> dg.Definitions:
    """The release of a use case."""
    key = dg.AssetKey([use_case.name, RELEASE])

    @dg.asset(
        key=key,
        deps=[dg.AssetKey([use_case.name, EVALUATION])],
        group_name="release",
        owners=[use_case.owner],
        output_required=False,
        description="One signed event per decision of a person, in the ledger. Launch it by hand, alone, with its config.",
    )
    def release(
        context: dg.AssetExecutionContext, config: ReleaseConfig, lake: LakeResource
    ) -> Iterator[dg.AssetObservation | dg.MaterializeResult[None]]:
        request = msgspec.convert(config.model_dump(), Request)
        launch = Launch(tags=context.run.tags, alone=len(context.run.step_keys_to_execute or ()) == 1)
        entry = record(lake, use_case, request, launch, datetime.now(timezone.utc))
        live = fold(lake.ledger(use_case.name).entries)
        if entry is None:
            yield dg.AssetObservation(
                key, description="Nothing was recorded: just this is live already.", metadata=_live_words(live)
            )
        elif request.decision == "reject":
            yield dg.AssetObservation(key, description="Rejected.", metadata={**_entry_words(entry), **_live_words(live)})
        else:
            yield dg.MaterializeResult(metadata={**_entry_words(entry), **_live_words(live)})

    return dg.Definitions(assets=[release])


def _entry_words(entry: Entry) -> dict[str, dg.MetadataValue]:
    decision = entry.decision
    return {
        "seq": dg.MetadataValue.int(entry.event.seq),
        "decision": dg.MetadataValue.text(f"{decision.decision} by {decision.approver} ({decision.identity}): {decision.reason}"),
        "model_version": dg.MetadataValue.text(decision.model_version),
        "package_digest": dg.MetadataValue.text(decision.package_digest),
        "event_digest": dg.MetadataValue.text(entry.digest),
    }


def _live_words(live: Live) -> dict[str, dg.MetadataValue]:
    records = [
        dg.TableRecord(
            {
                "arm": release.arm,
                "role": release.role,
                "model": release.model_version,
                "since": release.at_utc,
                "approved by": release.approver,
                "event": release.seq,
                "package": release.package_digest[:12],
            }
        )
        for release in live.releases.values()
    ]
    if not records:
        return {"live": dg.MetadataValue.text("Nothing is live.")}
    return {"live": dg.MetadataValue.table(records)}
