"""Parcels to train on: their history as a use case's source, the use case, and its assets on a Dagster instance."""

import shutil
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import msgspec
import polars as pl

from checks.release_standard import Gate
from lake.evaluation import evaluations, read_evaluation
from lake.home import Home
from lake.release.decision import Decision
from lake.release.trust import Trust
from lake.times import now_utc, rfc3339
from tests.approvers import Person, sign
from tests.parcel_log import FEATURES, parcels_sent
from tests.scenario import USE_CASE, parcel_schema
from trainserve_assets.approval.draft import Request, draft, subject_of
from trainserve_assets.approval.pasted import pasteable
from trainserve_assets.component import use_case_definitions
from trainserve_assets.predictors import Predictors
from trainserve_assets.resources import LakeResource
from trainserve_assets.use_case import Candidate, Split, UseCase

HISTORY_FROM = date(2013, 4, 1)
HISTORY_DAYS = 70
TRAINING = ("dataset", "candidate_trees", "candidate_boosting", "candidate_line", "evaluation")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def parcel_history() -> pl.LazyFrame:
    """Ten weeks of labelled parcels from 1 April 2013; every hundredth never arrived, so it has no label."""
    sent = parcels_sent(HISTORY_FROM, HISTORY_DAYS, per_day=100).drop("probability").lazy()
    lost = pl.int_range(pl.len()) % 100 == 99
    return sent.with_columns(
        label=pl.when(~lost).then("label"), labelled_at_utc=pl.when(~lost).then(pl.col("sent_at") + timedelta(days=2))
    )


def parcel_hours() -> pl.LazyFrame:
    """The same parcels with a number for a label: hours on the way, which grow with the weight and are shared by the day."""
    return _relabelled(pl.col("weight_kg") / 4 + 6 * pl.col("label") + pl.col("sent_at").dt.weekday() / 7)


def parcel_outcomes() -> pl.LazyFrame:
    """The same parcels with a name for a label: on time, late, or, of the heavy ones that are late, lost."""
    late = pl.when(pl.col("weight_kg") > 15).then(pl.lit("lost")).otherwise(pl.lit("late"))
    return _relabelled(pl.when(pl.col("label") > 0).then(late).otherwise(pl.lit("on time")))


def _relabelled(label: pl.Expr) -> pl.LazyFrame:
    return parcel_history().with_columns(label=pl.when(pl.col("label").is_not_null()).then(label))


def regression_use_case(**changes: Any) -> UseCase:
    """Hours on the way, by trees and by a linear baseline."""
    candidates = (
        Candidate(name="trees", trainer="catboost", parameters={"iterations": 40, "depth": 4}, seed=3),
        Candidate(name="line", trainer="linear_regression", baseline=True),
    )
    schema = parcel_schema(task="regression", label="hours on the way")
    gate = Gate(name="better_than_the_baseline", metric="rmse", against="baseline", must_be="at most", limit=0)
    source = "tests.parcel_training:parcel_hours"
    return parcel_use_case(
        **{"input_schema": schema, "source": source, "candidates": candidates, "release_standard": (gate,), **changes}
    )


def multiclass_use_case(**changes: Any) -> UseCase:
    """What becomes of a parcel, by trees, boosting and a linear baseline."""
    schema = parcel_schema(task="multiclass", label="what became of it", classes=("late", "lost", "on time"))
    return parcel_use_case(**{"input_schema": schema, "source": "tests.parcel_training:parcel_outcomes", **changes})


def parcel_use_case(**changes: Any) -> UseCase:
    """Parcels, with seven weeks to train on and two to judge on; the last week's rows are left to feedback."""
    use_case = UseCase(
        name=USE_CASE,
        title="Parcels that arrive late",
        description="Whether a parcel arrives late.",
        owner="team:parcels",
        source="tests.parcel_training:parcel_history",
        history_until="2013-06-03",
        input_schema=parcel_schema(),
        features=FEATURES,
        split=Split(train_from="2013-04-01", holdout_from="2013-05-20", holdout_until="2013-06-03"),
        candidates=(
            Candidate(name="trees", trainer="catboost", parameters={"iterations": 40, "depth": 4}, seed=3),
            Candidate(
                name="boosting", trainer="hist_gradient_boosting", parameters={"max_iter": 20, "max_leaf_nodes": 4}, seed=3
            ),
            Candidate(name="line", trainer="logistic_regression", baseline=True),
        ),
        release_standard=(
            Gate(
                name="better_than_the_base_rate",
                metric="log_loss",
                against="base rate",
                must_be="at most",
                limit=0.0,
                bound="interval",
            ),
            Gate(name="no_worse_than_the_champion", metric="log_loss", against="champion", must_be="at most", limit=0.05),
        ),
        slices=("depot",),
    )
    return msgspec.structs.replace(use_case, **changes)


def write_defs(defs: Path, use_case: UseCase) -> None:
    """Write the `defs.yaml` of a use case below this folder."""
    attributes = msgspec.to_builtins(use_case)
    path = defs / use_case.name / "defs.yaml"
    path.parent.mkdir(parents=True)
    path.write_bytes(msgspec.yaml.encode({"type": "trainserve_assets.component.TrainServeModel", "attributes": attributes}))


class Platform:
    """The assets of one use case on a Dagster instance, with a home of their own."""

    def __init__(self, home: Home, instance: dg.DagsterInstance, use_case: UseCase | None = None) -> None:
        self.home = home
        self.instance = instance
        self.use_case = use_case or parcel_use_case()
        self.lake = LakeResource(root=str(home.root), address=home.lake)

    def copied_to(self, home: Home) -> "Platform":
        """The same platform on a copy of its lake and keys, in this home; the Dagster instance is the same one."""
        shutil.copytree(Path(self.home.lake), Path(home.lake))
        shutil.copytree(self.home.keys, home.keys)
        return Platform(home, self.instance, self.use_case)

    @property
    def definitions(self) -> dg.Definitions:
        """The use case's definitions, in one process."""
        resources = {"lake": self.lake, "predictors": Predictors()}
        made = use_case_definitions(self.use_case)
        return dg.Definitions.merge(made, dg.Definitions(resources=resources, executor=dg.in_process_executor))

    def key(self, name: str) -> dg.AssetKey:
        """The key of one of the use case's assets."""
        return dg.AssetKey([self.use_case.name, name])

    def run(
        self, names: Sequence[str], run_config: Mapping[str, Any] | None = None, tags: Mapping[str, str] | None = None
    ) -> dg.ExecuteInProcessResult:
        """Materialize these assets with their checks, as a person would from the page; a failure is in the result."""
        job = self.definitions.resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            instance=self.instance,
            asset_selection=[self.key(name) for name in names],
            run_config={**QUIET, **(run_config or {})},
            tags=dict(tags or {}),
            raise_on_error=False,
        )

    def train(self) -> "Platform":
        """Materialize everything from the dataset to the evaluation."""
        result = self.run(TRAINING)
        assert result.success, failures(result)
        return self

    def evaluation_id(self, candidate: str) -> str:
        """The newest evaluation of a candidate."""
        return str(evaluations(self.home.lake, self.use_case.name).filter(candidate=candidate).item(-1, "evaluation_id"))

    def release(self, *signers: Person, **changes: Any) -> dg.ExecuteInProcessResult:
        """Launch the release asset: an approval of `trees` as champion unless changed, signed by these people."""
        return self.run(["release"], self.release_config(*signers, **changes))

    def release_config(self, *signers: Person, **changes: Any) -> dict[str, Any]:
        """The run config of the release asset; with signers the line that they sign stands in it."""
        fields = self._asked(*signers, **changes)
        if signers:
            fields["signatures"] = [self.line(*signers, **changes)]
        return self.config_of(fields)

    def config_of(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """These fields as the run config of the release asset."""
        return {"ops": {f"{self.use_case.name}__release": {"config": dict(fields)}}}

    def line(self, *signers: Person, **changes: Any) -> str:
        """What `trainserve sign` prints for these people, one after the other."""
        return pasteable(sign(self.decision(*signers, **changes), *signers))

    def decision(self, *signers: Person, **changes: Any) -> Decision:
        """What is signed: the decision that the release asset is to record, to be recorded within the hour."""
        request = msgspec.convert(self._asked(*signers, **changes), Request)
        now = now_utc()
        evaluation = read_evaluation(self.home.lake, self.use_case.name, request.evaluation_id)
        policy = Trust.read(self.home).policy_at(now)
        sign_by = rfc3339(now + timedelta(hours=1))
        return draft(self.use_case, request, subject_of(evaluation), policy, now, sign_by_utc=sign_by)

    def refusal(self, config: Mapping[str, Any]) -> str:
        """Launch the release asset with this config, which must fail and write nothing; gives the error's words."""
        before = self.ledger_files()
        result = self.run(["release"], config)
        assert not result.success
        assert self.ledger_files() == before
        assert not result.get_asset_materialization_events()
        assert not result.get_asset_observation_events()
        return failures(result)

    def ledger_files(self) -> dict[str, bytes]:
        """Every file of the ledger, as it is."""
        return {path.name: path.read_bytes() for path in (Path(self.home.lake) / self.use_case.name / "releases").glob("*")}

    def _asked(self, *signers: Person, **changes: Any) -> dict[str, Any]:
        approver = signers[0].name if signers else "ada"
        fields = {"decision": "approve", "role": "champion", "arm": "champion", "approver": approver, "reason": "better"}
        candidate = changes.pop("candidate", "trees")
        return {"evaluation_id": changes.get("evaluation_id") or self.evaluation_id(candidate), **fields, **changes}


def failures(result: dg.ExecuteInProcessResult) -> str:
    """The errors that a run's failed steps raised, without Dagster's own around them."""
    words = []
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            raised = error if error is None or error.cause is None else error.cause
            words.append(f"{event.step_key}: {'no reason' if raised is None else raised.message.strip()}")
    return "; ".join(words)
