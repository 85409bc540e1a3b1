"""The evaluation: the evidence about one candidate, a document named by its digest, and the rows that keep it."""

from datetime import datetime
from typing import Literal

import polars as pl

from lake.delta import Table
from lake.documents import Document, canonical, decoded, sha256
from lake.errors import NotFound, VerificationError
from lake.fixed_schemas import EVALUATION_SCHEMA
from lake.input_schema import Task
from lake.release.decision import RiskTier
from lake.tables import EVALUATION, conform


class Estimate(Document, frozen=True, kw_only=True):
    """One metric on one slice of the holdout, over `n` rows; with a 95 % interval where one was made."""

    metric: str
    value: float
    n: int
    slice: str = "all"
    low: float | None = None
    high: float | None = None


class Difference(Document, frozen=True, kw_only=True):
    """A metric against another model on the same rows, candidate minus other, with its 95 % interval over whole days.

    `family_low` and `family_high` bound the same difference with 95 % over all looks at this holdout together
    (Bonferroni): the more packages were judged on it, the wider. None where too few days were seen.
    """

    metric: str
    other: Literal["base rate", "baseline", "champion"]
    other_name: str
    value: float
    low: float
    high: float
    n: int
    days: int
    slice: str = "all"
    family_low: float | None = None
    family_high: float | None = None


class Card(Document, frozen=True, kw_only=True):
    """What the use case's owner says of the model: what for, its limits, how much hangs on it, when it is looked at again."""

    title: str = ""
    intended_use: str = ""
    known_limits: tuple[str, ...] = ()
    owner: str = ""
    risk_tier: RiskTier = "low"
    next_review: str | None = None


class FeatureEvidence(Document, frozen=True, kw_only=True):
    """One feature: how much the model leans on it, as a share of all (mean absolute SHAP value, or permutation), and alone.

    `alone` is what the feature tells by itself on the holdout: the AUC (classes) or R2 (values) of its own mean labels.
    """

    name: str
    importance: float | None = None
    champion_importance: float | None = None
    alone: float | None = None


Topic = Literal["leakage", "behaviour", "engine", "budget"]


class Finding(Document, frozen=True, kw_only=True):
    """A claim about the package that was tried over `n` rows, and what was found."""

    topic: Topic
    claim: str
    passed: bool
    found: str
    n: int


class Skew(Document, frozen=True, kw_only=True):
    """One field, for the same examples: as serving logged it and as the dataset has it; `different` of `compared` differ."""

    field: str
    compared: int
    different: int


class Evaluation(Document, frozen=True, kw_only=True):
    """What an approver decides on. `looks` counts the packages that were judged on this holdout, this one included.

    `champion_digest` is the package of the champion that was live; there are no differences from it over too few days.

    The slices of `estimates` are "all", `<field>=<value>`, `<period>=<start>` as in "month=2013-06", "feature=<name>" and
    "topic=<topic>", so that a gate can ask for any of them.
    """

    use_case: str
    candidate: str
    task: Task
    package_digest: str
    model_version: str
    engine: str
    dataset_version: int
    dataset_digest: str
    split: dict[str, str]
    trainer: str
    release_standard_digest: str
    looks: int
    estimates: tuple[Estimate, ...]
    differences: tuple[Difference, ...] = ()
    card: Card = Card()
    features: tuple[FeatureEvidence, ...] = ()
    findings: tuple[Finding, ...] = ()
    skew: tuple[Skew, ...] = ()
    champion_digest: str | None = None
    format_version: int = 1

    @property
    def evaluation_id(self) -> str:
        """The digest of the document: what a decision names."""
        return sha256(canonical(self))

    def find(self, metric: str, slice_name: str = "all") -> Estimate | None:
        """The estimate of a metric on a slice, or None."""
        return next((one for one in self.estimates if one.metric == metric and one.slice == slice_name), None)


def append_evaluation(lake: str, evaluation: Evaluation, at_utc: datetime) -> None:
    """Keep the document as its package's newest. Safe to run twice: what is the newest already is not written again.

    A document that was the newest before, and is again, as after the champion's roll back, gets another row.
    """
    known = evaluations(lake, evaluation.use_case).filter(package_digest=evaluation.package_digest)
    if known.height and known.item(-1, "evaluation_id") == evaluation.evaluation_id:
        return
    row = {
        "evaluation_id": evaluation.evaluation_id,
        "package_digest": evaluation.package_digest,
        "candidate": evaluation.candidate,
        "model_version": evaluation.model_version,
        "evaluated_at_utc": at_utc,
        "document": canonical(evaluation).decode(),
    }
    frame = conform(pl.DataFrame([row], schema=EVALUATION_SCHEMA), EVALUATION_SCHEMA, EVALUATION)
    Table(lake, evaluation.use_case, EVALUATION).append_new(frame, ["evaluation_id", "evaluated_at_utc"])


def read_evaluation(lake: str, use_case: str, evaluation_id: str) -> Evaluation:
    """The document of this digest, checked against it. Raises NotFound, VerificationError."""
    table = Table(lake, use_case, EVALUATION)
    rows = table.scan().filter(evaluation_id=evaluation_id).select("document").collect() if table.exists() else None
    if rows is None or rows.is_empty():
        raise NotFound("evaluation", evaluation_id, f"Materialize {use_case}/evaluation, and copy the id from its metadata.")
    document = rows.item(0, 0)
    if sha256(document.encode()) != evaluation_id:
        raise VerificationError(f"evaluation {evaluation_id[:12]}", "a row with another digest", evaluation_id)
    return decoded(document.encode(), f"evaluation {evaluation_id[:12]}", Evaluation)


def evaluations(lake: str, use_case: str) -> pl.DataFrame:
    """All evaluations of a use case, oldest first, without their documents."""
    table = Table(lake, use_case, EVALUATION)
    if not table.exists():
        return EVALUATION_SCHEMA.to_frame().drop("document")
    return table.scan().drop("document").sort("evaluated_at_utc").collect()
