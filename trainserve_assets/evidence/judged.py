"""Judging: each candidate on the newest holdout, everything about it in one evaluation document."""

from collections.abc import Mapping, Sequence
from typing import get_args

import msgspec

from checks.release_standard import standard_digest
from lake.delta import Table
from lake.documents import Document, decoded
from lake.engines import Engine
from lake.engines.sklearn import wait_passively
from lake.errors import SettingError
from lake.evaluation import Card, Estimate, Evaluation, FeatureEvidence, Finding, Skew, Topic
from lake.package import Package, open_package
from lake.release.live import fold
from lake.tables import DATASET, EVALUATION, PREDICTIONS
from trainserve_assets.evidence.behaviour import behaviour_findings
from trainserve_assets.evidence.compared import Other, differences
from trainserve_assets.evidence.engine import MOST_ROWS, ask_alone, budget_findings, engine_findings
from trainserve_assets.evidence.holdout import Holdout, read_holdout, score
from trainserve_assets.evidence.importances import importances
from trainserve_assets.evidence.leakage import alone, leakage_findings, random_split_gap
from trainserve_assets.evidence.model_version import unreleased_version
from trainserve_assets.evidence.skew import skew
from trainserve_assets.evidence.slices import ALL, Measured, Slices, estimates, measured, rows_by_slice
from trainserve_assets.examples import rows_of
from trainserve_assets.metrics import Sample, Spread
from trainserve_assets.resources import LakeResource
from trainserve_assets.training import Note, read_note, split_words
from trainserve_assets.use_case import Candidate, UseCase


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate with its document, and what that has no place for.

    `sample` is the scored holdout, `others` the same rows as "base rate", "baseline" and, if there is one, "champion"
    scored them. `latency_us` is the median of one row in its engine, here and now.
    """

    candidate: Candidate
    evaluation: Evaluation
    package: Package
    sample: Sample
    others: Mapping[str, Sample]
    latency_us: float


class _Scored(msgspec.Struct, frozen=True, kw_only=True):
    """A package on the holdout."""

    package: Package
    engine: Engine
    sample: Sample
    measured: Measured
    importances: Mapping[str, float]


class _Shared(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same for all candidates of one evaluation."""

    holdout: Holdout
    others: Sequence[Other]
    champion: _Scored | None
    alone: Mapping[str, float]
    skew: tuple[Skew, ...]
    looks: int


class _Look(Document, frozen=True, kw_only=True):
    """Of an evaluation document: which package looked at which holdout."""

    package_digest: str
    split: dict[str, str]


def judge(lake: LakeResource, use_case: UseCase) -> list[Judged]:
    """An evaluation of each candidate on the newest holdout, against base rate, baseline and live champion.

    Equal packages, data, log, champion and looks give equal documents. Raises NotFound when a candidate was not trained
    yet, SettingError when one was trained on another split.
    """
    wait_passively()
    dataset = lake.table(use_case.name, DATASET)
    holdout = read_holdout(dataset, use_case)
    notes = [read_note(lake.store, use_case.name, candidate.name) for candidate in use_case.candidates]
    packages = [open_package(lake.store, use_case.name, note.package_digest) for note in notes]
    for package in packages:
        if package.manifest.split != split_words(use_case.split):
            what = f"split of candidate {package.manifest.candidate!r}"
            raise SettingError(what, package.manifest.split, f"{split_words(use_case.split)}: materialize the candidate again")
    slices = rows_by_slice(use_case, holdout)
    base = _base_rate(use_case, holdout, slices)
    scored = [_scored(holdout, slices, package, base.measured) for package in packages]
    champion = _champion(lake, holdout, slices, scored, base.measured)
    shared = _Shared(
        holdout=holdout,
        others=[base, *_others(use_case, scored, champion)],
        champion=champion,
        alone=alone(use_case, holdout),
        skew=skew(use_case, dataset.scan(holdout.dataset_version), lake.table(use_case.name, PREDICTIONS)),
        looks=_looks(lake.table(use_case.name, EVALUATION), use_case, packages),
    )
    return [_judged(use_case, *each, shared) for each in zip(use_case.candidates, notes, scored, strict=True)]


def _judged(use_case: UseCase, candidate: Candidate, note: Note, scored: _Scored, shared: _Shared) -> Judged:
    package, manifest, holdout = scored.package, scored.package.manifest, shared.holdout
    alone = ask_alone(scored.engine, rows_of(holdout.spread(MOST_ROWS), manifest.features))
    findings = (
        *leakage_findings(use_case, manifest.features, holdout, shared.alone),
        *behaviour_findings(use_case, manifest, scored.engine, holdout),
        *engine_findings(package, scored.engine, alone, rows_of(holdout.frame, manifest.features)),
        *budget_findings(package, alone, use_case.budget),
    )
    features = _features(scored, shared)
    evaluation = Evaluation(
        use_case=use_case.name,
        candidate=candidate.name,
        task=manifest.task,
        package_digest=package.digest,
        model_version=unreleased_version(use_case, candidate, package),
        engine=manifest.engine,
        dataset_version=holdout.dataset_version,
        dataset_digest=holdout.dataset_digest,
        split=split_words(use_case.split),
        trainer=note.trainer,
        release_standard_digest=standard_digest(use_case.release_standard),
        looks=shared.looks,
        champion_digest=None if shared.champion is None else shared.champion.package.digest,
        estimates=(
            *estimates({**scored.measured, ALL: {**scored.measured[ALL], **_gap(use_case, candidate, holdout)}}),
            *_counts(findings, features, shared),
        ),
        differences=tuple(one for other in shared.others for one in differences(scored.measured, other, shared.looks)),
        card=_card(use_case),
        features=features,
        findings=findings,
        skew=shared.skew,
    )
    return Judged(
        candidate=candidate,
        evaluation=evaluation,
        package=package,
        sample=scored.sample,
        others={other.kind: other.sample for other in shared.others},
        latency_us=alone.latency_us,
    )


def _scored(holdout: Holdout, slices: Slices, package: Package, base: Measured) -> _Scored:
    engine = package.as_named()  # whether it gives the sealed scores is a finding
    sample = holdout.sample(score(engine, package.manifest.features, holdout.frame))
    return _Scored(
        package=package,
        engine=engine,
        sample=sample,
        measured=measured(package.manifest.task, sample, slices, base),
        importances=importances(package, engine, holdout),
    )


def _base_rate(use_case: UseCase, holdout: Holdout, slices: Slices) -> Other:
    sample = holdout.base_sample()
    figures = measured(use_case.input_schema.task, sample, slices)
    return Other(kind="base rate", name="the mean of the training labels", sample=sample, measured=figures)


def _champion(lake: LakeResource, holdout: Holdout, slices: Slices, scored: Sequence[_Scored], base: Measured) -> _Scored | None:
    """The live champion on the same rows; it may be one of the candidates."""
    use_case = scored[0].package.manifest.use_case
    live = fold(lake.ledger(use_case).entries).champion
    if live is None:
        return None
    same = next((one for one in scored if one.package.digest == live.package_digest), None)
    return same or _scored(holdout, slices, open_package(lake.store, use_case, live.package_digest), base)


def _others(use_case: UseCase, scored: Sequence[_Scored], champion: _Scored | None) -> list[Other]:
    others = [
        Other(kind="baseline", name=candidate.name, sample=one.sample, measured=one.measured)
        for candidate, one in zip(use_case.candidates, scored, strict=True)
        if candidate.baseline
    ]
    if champion is not None:
        name = champion.package.digest
        others.append(Other(kind="champion", name=name, sample=champion.sample, measured=champion.measured))
    return others


def _gap(use_case: UseCase, candidate: Candidate, holdout: Holdout) -> dict[str, Spread]:
    gap = random_split_gap(use_case, candidate, holdout)
    return {} if gap is None else {"random_split_gap": gap}


def _features(scored: _Scored, shared: _Shared) -> tuple[FeatureEvidence, ...]:
    """The features of a model, the one first that it leans on most."""
    before = {} if shared.champion is None else shared.champion.importances
    return tuple(
        FeatureEvidence(name=name, importance=importance, champion_importance=before.get(name), alone=shared.alone.get(name))
        for name, importance in sorted(scored.importances.items(), key=lambda one: (-one[1], one[0]))
    )


def _counts(findings: Sequence[Finding], features: Sequence[FeatureEvidence], shared: _Shared) -> list[Estimate]:
    """Findings, features and skew as estimates, so that a gate can ask for them."""
    rows = shared.holdout.frame.height
    counted = []
    for topic in get_args(Topic):
        tried = [finding.passed for finding in findings if finding.topic == topic]
        failed = float(tried.count(False))
        counted.append(Estimate(metric="failed_findings", value=failed, n=len(tried), slice=f"topic={topic}"))
    counted += [
        Estimate(metric="alone", value=one.alone, n=rows, slice=f"feature={one.name}")
        for one in features
        if one.alone is not None
    ]
    if shared.skew:
        skewed = float(sum(one.different > 0 for one in shared.skew))
        counted.append(Estimate(metric="skewed_fields", value=skewed, n=shared.skew[0].compared))
    return counted


def _card(use_case: UseCase) -> Card:
    return Card(
        title=use_case.title,
        intended_use=use_case.intended_use,
        known_limits=use_case.known_limits,
        owner=use_case.owner,
        risk_tier=use_case.risk_tier,
        next_review=use_case.next_review,
    )


def _looks(table: Table, use_case: UseCase, packages: Sequence[Package]) -> int:
    """How many packages have been judged on this holdout, these included: the more, the less the best one's lead says."""
    seen = {package.digest for package in packages}
    if table.exists():
        for document in table.scan().select("document").collect().to_series():
            look = decoded(document.encode(), "an evaluation", _Look)
            if look.split.get("holdout_from") == use_case.split.holdout_from:
                seen.add(look.package_digest)
    return len(seen)
