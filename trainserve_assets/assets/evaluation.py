"""The asset `evaluation`: the evidence about every candidate, each gate as a check, and the block an approver pastes."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone

import dagster as dg

from checks.release_standard import Gate, decide
from checks.verdict import Remedy
from lake.evaluation import Evaluation, append_evaluation
from lake.release.policy import Policy
from lake.release.trust import Trust
from lake.tables import DATASET, EVALUATION, LABELS, PREDICTIONS
from trainserve_assets.assets.candidate import candidate_key
from trainserve_assets.evidence import Judged, judge
from trainserve_assets.metrics import Sample
from trainserve_assets.readable import readable
from trainserve_assets.report import Exhibit, Row, meets_standard, reason_of, write_files
from trainserve_assets.report.dagit import candidate_metadata, reports_address, run_metadata
from trainserve_assets.resources import LakeResource
from trainserve_assets.use_case import UseCase

MEETS_STANDARD = "a_candidate_meets_the_release_standard"


def evaluation_definitions(use_case: UseCase) -> dg.Definitions:
    """The evaluation of a use case's candidates."""
    key = dg.AssetKey([use_case.name, EVALUATION])
    gates = use_case.release_standard
    address = reports_address()

    @dg.asset(
        key=key,
        metadata={} if address is None else {"reports": dg.MetadataValue.url(f"{address}/")},
        deps=[
            dg.AssetKey([use_case.name, DATASET]),
            *(candidate_key(use_case.name, candidate.name) for candidate in use_case.candidates),
        ],
        group_name="training",
        owners=[use_case.owner],
        kinds={"deltalake", "python"},
        check_specs=[*(_gate_spec(key, gate) for gate in gates), _standard_spec(key)],
        description="One row per evaluation of one candidate on the holdout, keyed by the digest of its document; times are UTC. "
        "To release a candidate, copy its block from the metadata into the Launchpad of the release asset.",
    )
    def evaluation(lake: LakeResource) -> Iterator[dg.MaterializeResult[None]]:
        now = datetime.now(timezone.utc)
        with lake.naming_files(use_case.name, DATASET, PREDICTIONS, LABELS):
            judged = judge(lake, use_case)
        policy = Trust.read(lake.home).policy_at(now).policy
        found = _exhibits(use_case, judged, policy)
        metadata = {**run_metadata(found, lake.home.lake, address)}
        for one, latency_us in zip(found, (each.latency_us for each in judged), strict=True):
            card = write_files(lake.store, one)
            append_evaluation(lake.home.lake, one.evaluation, now)
            metadata |= candidate_metadata(one, card, lake.home.lake, address)
            metadata[f"latency_us_{one.evaluation.candidate}"] = dg.MetadataValue.float(readable(latency_us))
        evaluations = [one.evaluation for one in found]
        yield dg.MaterializeResult(
            metadata=metadata,
            check_results=[*_gate_results(use_case, evaluations), _standard_result(gates, evaluations)],
        )

    return dg.Definitions(assets=[evaluation])


def _exhibits(use_case: UseCase, judged: Sequence[Judged], policy: Policy) -> list[Exhibit]:
    """What the page of each candidate is made from: its curves beside the others', and the other candidates' documents."""
    return [
        Exhibit(
            use_case=use_case,
            evaluation=one.evaluation,
            manifest=one.package.manifest,
            samples={one.candidate.name: one.sample, **_others(one)},
            rivals=tuple(other.evaluation for other in judged if other is not one),
            policy=policy,
        )
        for one in judged
    ]


def _others(judged: Judged) -> Mapping[str, Sample]:
    """Baseline and champion as they scored the same rows, where that is not this very candidate."""
    own = {
        "baseline": judged.candidate.baseline,
        "champion": judged.evaluation.champion_digest == judged.evaluation.package_digest,
    }
    return {name: judged.others[name] for name, itself in own.items() if name in judged.others and not itself}


def _gate_spec(key: dg.AssetKey, gate: Gate) -> dg.AssetCheckSpec:
    against = "" if gate.against == "limit" else f" against the {gate.against}"
    bound = "with its whole 95 % interval " if gate.bound == "interval" else ""
    kind = "blocks a release" if gate.blocking else "advises"
    words = (
        f"{gate.metric}{against} on {gate.slice}: {bound}{gate.must_be} {gate.limit:g}. It {kind}; a warning here stops nothing."
    )
    return dg.AssetCheckSpec(gate.name, asset=key, description=words)


def _gate_results(use_case: UseCase, evaluations: Sequence[Evaluation]) -> Iterator[dg.AssetCheckResult]:
    """Each gate over all candidates: a warning when one but the baseline fails. It asks for nothing while one may be released."""
    remedy: Remedy = "nothing" if _passing(use_case.release_standard, evaluations) else "retrain"
    baselines = {candidate.name for candidate in use_case.candidates if candidate.baseline}
    for gate in use_case.release_standard:
        verdicts = {one.candidate: decide(gate, one) for one in evaluations}
        failed = [name for name, verdict in verdicts.items() if not verdict.passed]
        rows = [
            {"candidate": name, "passes": "yes" if verdict.passed else "no", "why": reason_of(gate, verdict)}
            for name, verdict in verdicts.items()
        ]
        passed = not set(failed) - baselines
        yield dg.AssetCheckResult(
            check_name=gate.name,
            passed=passed,
            severity=dg.AssetCheckSeverity.WARN,
            description="; ".join(
                f"{row['candidate']} {'passes' if row['passes'] == 'yes' else 'FAILS'}: {row['why']}" for row in rows
            ),
            metadata={
                "candidates": _table(rows),
                "limit": gate.limit,
                "rows": max(verdict.rows for verdict in verdicts.values()),
                **({} if passed else {"remedy": remedy}),
            },
        )


def _standard_spec(key: dg.AssetKey) -> dg.AssetCheckSpec:
    words = "At least one candidate passes every blocking gate. The release asset decides each gate anew from the document."
    return dg.AssetCheckSpec(MEETS_STANDARD, asset=key, description=words)


def _standard_result(gates: Sequence[Gate], evaluations: Sequence[Evaluation]) -> dg.AssetCheckResult:
    passing = _passing(gates, evaluations)
    return dg.AssetCheckResult(
        check_name=MEETS_STANDARD,
        passed=bool(passing),
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{', '.join(passing) or 'none'} of {len(evaluations)} candidates may be released",
        metadata={} if passing else {"remedy": "retrain"},
    )


def _passing(gates: Sequence[Gate], evaluations: Sequence[Evaluation]) -> list[str]:
    return [one.candidate for one in evaluations if meets_standard(gates, one)]


def _table(rows: Sequence[Row]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in rows])
