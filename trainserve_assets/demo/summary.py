"""The end of the demonstration: what the client knows, held against what the tables have."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from rich.console import Group
from rich.markup import escape
from rich.table import Table as RichTable

from lake.delta import Table
from lake.documents import write_file
from lake.home import Home
from lake.input_schema import InputSchema
from lake.tables import EXPERIMENT
from trainserve_assets.demo.record import ClientRecord
from trainserve_assets.logged import read_log


class Quality(msgspec.Struct, frozen=True):
    """How well the champion did, over so many labelled rows."""

    auc: float
    log_loss: float
    n: int


class CheckResult(msgspec.Struct, frozen=True):
    """The verdict of one asset check."""

    name: str
    passed: bool
    severity: str
    reason: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What `summary.json` holds. `lost` and `duplicated` compare the client's own record with the table."""

    sent: int
    answered: int
    logged: int
    labelled: int
    lost: int
    duplicated: int
    holdout: Quality
    live: Quality | None
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    experiment: str | None
    checks: list[CheckResult]


def summarize(home: Home, schema: InputSchema, record: ClientRecord, holdout: Quality, checks: Sequence[CheckResult]) -> Summary:
    """Count, by the record and by the tables."""
    answered = read_log(home.lake, schema).filter(outcome="answered").collect()
    latencies = record.latencies_ms or [float("nan")]
    return Summary(
        sent=record.sent,
        answered=len(record.answers),
        logged=answered.height,
        labelled=answered["label"].count(),
        lost=len(record.request_ids - set(answered["request_id"])),
        duplicated=answered.height - answered.unique(["request_id", "row", "arm"]).height,
        holdout=holdout,
        live=_live_quality(answered),
        requests_per_second=record.timed_answers / record.seconds if record.seconds else 0.0,
        p50_ms=float(np.percentile(latencies, 50)),
        p99_ms=float(np.percentile(latencies, 99)),
        experiment=_experiment(home, schema.use_case),
        checks=list(checks),
    )


def write_summary(path: Path, summary: Summary) -> None:
    """Keep it as JSON."""
    write_file(path, msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")


def summary_tables(summary: Summary) -> Group:
    """The same for a person."""
    counts = RichTable("requests", "", title="The loop, counted", title_justify="left", show_header=False)
    for name in ("sent", "answered", "logged", "labelled", "lost", "duplicated"):
        counts.add_row(name, f"{getattr(summary, name):,}")
    counts.add_row("requests a second", f"{summary.requests_per_second:,.0f}")
    counts.add_row("p50, p99", f"{summary.p50_ms:.2f} ms, {summary.p99_ms:.2f} ms")
    quality = RichTable("champion", "AUC", "log-loss", "rows", title="How well it predicts", title_justify="left")
    for name, found in (("holdout", summary.holdout), ("live", summary.live)):
        if found is not None:
            quality.add_row(name, f"{found.auc:.3f}", f"{found.log_loss:.3f}", f"{found.n:,}")
    if summary.experiment is not None:
        quality.caption = f"champion against challenger: {escape(summary.experiment)}"
        quality.caption_justify = "left"
    checks = RichTable("verdict", "asset check, and what was seen", title="What the checks say", title_justify="left")
    for check in summary.checks:
        verdict = "[green]passed[/]" if check.passed else f"[yellow]{check.severity.lower()}[/]"
        checks.add_row(verdict, f"[bold]{check.name}[/]\n{escape(check.reason)}", end_section=True)
    return Group(checks, quality, counts)


def _experiment(home: Home, use_case: str) -> str | None:
    """The newest verdict about a challenger, with its reason."""
    table = Table(home.lake, use_case, EXPERIMENT)
    if not table.exists():
        return None
    newest = table.scan().sort("decided_at_utc").last().collect()
    return None if newest.is_empty() else f"{newest['verdict'].item()}: {newest['reason'].item()}"


def _live_quality(answered: pl.DataFrame) -> Quality | None:
    """The champion's answers against the labels that have arrived; None before both classes have."""
    from sklearn.metrics import log_loss, roc_auc_score

    judged = answered.filter(pl.col("role") == "champion", pl.col("label").is_not_null())
    if judged["label"].n_unique() < 2:  # noqa: PLR2004 - an AUC needs both classes
        return None
    truth, score = judged["label"].to_numpy(), judged["answer"].list.first().to_numpy()
    return Quality(auc=float(roc_auc_score(truth, score)), log_loss=float(log_loss(truth, score)), n=judged.height)
