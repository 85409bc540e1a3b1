"""The asset `release`: a person's decision, verified and recorded. It has no automation, and its config no defaults."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Literal

import dagster as dg
import msgspec
from pydantic import Field

from lake.errors import TrainServeError
from lake.release.ledger import Entry
from lake.release.live import Live, fold
from lake.tables import EVALUATION, RELEASE
from trainserve_assets.approval.draft import Request
from trainserve_assets.approval.record import Launch, record
from trainserve_assets.readable import readable
from trainserve_assets.resources import LakeResource
from trainserve_assets.use_case import UseCase


class WaiverConfig(dg.Config):
    """A blocking gate that this release may fail."""

    gate: str = Field(description="The gate's name")
    reason: str = Field(description="Why it may fail this once")
    expires_at_utc: str = Field(description="Until when, as 2027-01-31T00:00:00Z; the release lasts no longer")


class ReleaseConfig(dg.Config):
    """A decision. What says what is decided has no default: whoever launches this has said all of it."""

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
    greatest_share: float | None = Field(
        default=None, description="The greatest part of all requests that the operator may give it, above 0 to 1; nothing: 1"
    )
    expires_at_utc: str | None = Field(
        default=None, description="When it expires, as 2027-01-31T00:00:00Z; nothing: as late as the risk tier allows"
    )
    waivers: list[WaiverConfig] = Field(default=[], description="Blocking gates that may fail this once, by name")
    signatures: list[str] = Field(
        default=[], description="Lines that `trainserve sign` printed, one for each approver or one that holds all"
    )


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
        with _told(context):
            entry = record(lake, use_case, request, launch, datetime.now(timezone.utc))
        live = fold(lake.ledger(use_case.name).entries)
        if entry is None:
            yield dg.AssetObservation(
                key, description="Nothing was recorded: just this is live already.", metadata=_live_words(live)
            )
            return
        metadata = {**_entry_words(entry, live), **_live_words(live)}
        if request.decision == "reject":
            yield dg.AssetObservation(key, description="Rejected.", metadata=metadata)
        else:
            yield dg.MaterializeResult(metadata=metadata)

    return dg.Definitions(assets=[release])


@contextmanager
def _told(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Say why nothing is recorded in a line of its own: on the run's page the error itself stands behind two traces."""
    try:
        yield
    except TrainServeError as error:
        context.log.error(str(error))  # noqa: TRY400 - the trace is what hides it
        raise


def _entry_words(entry: Entry, live: Live) -> dict[str, dg.MetadataValue]:
    decision = entry.decision
    words: dict[str, dg.MetadataValue] = {
        "seq": dg.MetadataValue.int(entry.event.seq),
        "decision": dg.MetadataValue.text(f"{decision.decision}: {decision.reason}"),
        "approved_by" if decision.decision == "approve" else "decided_by": dg.MetadataValue.text(_identity_words(entry)),
        "launched_by": dg.MetadataValue.text(entry.event.launcher),
        "package_digest": dg.MetadataValue.text(decision.package_digest),
        "event_digest": dg.MetadataValue.text(entry.digest),
    }
    made = live.on(decision.arm)
    if made is not None and made.seq == entry.event.seq:
        words["model_version"] = dg.MetadataValue.text(made.model_version)
        words["greatest_share"] = dg.MetadataValue.float(readable(made.greatest_share))
        words["until"] = dg.MetadataValue.text(made.expires_at_utc or "for ever")
    for waiver in decision.waivers:
        text = f"may fail until {waiver.expires_at_utc}: {waiver.reason}"
        words[f"waived_{waiver.gate}"] = dg.MetadataValue.text(text)
    return words


def _identity_words(entry: Entry) -> str:
    if entry.event.identity == "signed":
        return f"{' and '.join(entry.signers)} (proven by signature)"
    return f"{entry.decision.approver} (claimed, not proven by a signature)"


def _live_words(live: Live) -> dict[str, dg.MetadataValue]:
    records = [
        dg.TableRecord(
            {
                "arm": release.arm,
                "role": release.role,
                "model": release.model_version,
                "since": release.at_utc,
                "approved by": f"{release.approver} ({release.identity})",
                "until": release.expires_at_utc or "",
                "event": release.seq,
                "package": release.package_digest[:12],
            }
        )
        for release in live.releases.values()
    ]
    if not records:
        return {"live": dg.MetadataValue.text("Nothing is live.")}
    return {"live": dg.MetadataValue.table(records)}
