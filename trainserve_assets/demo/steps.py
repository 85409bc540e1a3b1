"""The steps of the demonstration, in their order."""

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lake.documents import DocumentStore
from lake.errors import NotFound
from lake.evaluation import Evaluation, evaluations, read_evaluation
from lake.log.backlog import backlog
from lake.release.ledger import Ledger
from lake.release.live import Live, fold
from lake.release.trust import Trust
from lake.tables import DATASET, EVALUATION, EXPERIMENT, FEEDBACK, RELEASE, WINDOWS
from trainserve_assets.catalog import use_case
from trainserve_assets.demo import USE_CASE
from trainserve_assets.demo.record import ClientRecord
from trainserve_assets.demo.replay import Replay, read_examples
from trainserve_assets.demo.runs import Runs
from trainserve_assets.demo.summary import Quality, summarize, summary_tables, write_summary
from trainserve_assets.examples import read_source
from trainserve_assets.platform.processes import Processes, wait_for
from trainserve_assets.platform.topology import Topology
from trainserve_assets.report import evaluation_summary, meets_standard

REPLAY_UNTIL = "2013-08-01"
ARMS = ("champion", "challenger")
_SHIPPED_WITHIN_S = 60.0


class Demonstration:
    """Plays the loop once, on what is there: what an earlier run finished is not done again."""

    def __init__(self, topology: Topology, processes: Processes, console: Console) -> None:
        home = self._home = topology.home
        self._topology = topology
        self._processes = processes
        self._console = console
        self._use_case = use_case(USE_CASE)
        self._runs = Runs(home, topology.dagster_environment)

    def play(self) -> bool:
        """Play all steps; returns whether nothing was lost or doubled. Raises what stops a step, saying why."""
        self._train_and_release()
        with self._step("3/6  predictors for champion and challenger, the proxy, the shipper: starting"):
            self._processes.start(*self._topology.serving())
        with ClientRecord(self._home.root / "demo" / f"{USE_CASE}.jsonl") as record:
            self._replay(record)
            with self._step("     the shipper empties the spools into the Delta tables"):
                wait_for(lambda: backlog(self._home).bytes == 0, "the shipper", _SHIPPED_WITHIN_S)
            with self._step("5/6  feedback, windows with the monitoring checks, experiment"):
                self._runs.materialize(self._runs.keys(USE_CASE, FEEDBACK, WINDOWS, EXPERIMENT))
                self._runs.check(USE_CASE, "predictors")
            summary = summarize(self._home, self._use_case.input_schema, record, self._holdout(), self._runs.verdicts(USE_CASE))
        self._runs.close()
        path = self._home.root / "summary.json"
        write_summary(path, summary)
        self._say(f"6/6  what came of it, also in {path}")
        self._console.print(summary_tables(summary))
        return summary.lost == 0 and summary.duplicated == 0

    def _train_and_release(self) -> None:
        live = self._live()
        if all(live.on(arm) for arm in ARMS):
            self._say("1/6  dataset, candidates and evaluation: there from an earlier run")
            self._say("2/6  released: " + ", ".join(f"{arm} {one.model_version}" for arm, one in live.releases.items()))
            return
        with self._step("1/6  dataset, candidates and evaluation: materializing through Dagster"):
            self._runs.materialize(self._runs.keys(USE_CASE, DATASET, "candidate_", EVALUATION))
        documents = self._newest_evaluations()
        self._say("2/6  the evaluation, as an approver reads it")
        self._console.print(evaluation_summary(self._use_case, documents))
        passing = [one for one in documents if meets_standard(self._use_case.release_standard, one)]
        for arm, evaluation in zip(ARMS, passing, strict=False):
            with self._step(f"     {evaluation.candidate} released as {arm}, by materializing the release asset"):
                self._release(arm, evaluation)

    def _newest_evaluations(self) -> list[Evaluation]:
        """The newest evaluation of each candidate, in the order of `defs.yaml`."""
        newest = evaluations(self._home.lake, USE_CASE).group_by("candidate", maintain_order=True).last()
        ids = dict(zip(newest["candidate"], newest["evaluation_id"], strict=True))
        names = [candidate.name for candidate in self._use_case.candidates if candidate.name in ids]
        return [read_evaluation(self._home.lake, USE_CASE, ids[name]) for name in names]

    def _release(self, arm: str, evaluation: Evaluation) -> None:
        config = {
            "evaluation_id": evaluation.evaluation_id,
            "decision": "approve",
            "role": arm,
            "arm": arm,
            "approver": "demo-approver",
            "reason": "the demonstration releases the first two candidates that pass the release standard",
        }
        self._runs.materialize(self._runs.keys(USE_CASE, RELEASE), {"ops": {f"{USE_CASE}__{RELEASE}": {"config": config}}})

    def _replay(self, record: ClientRecord) -> None:
        examples = read_examples(self._use_case, read_source(self._use_case), self._use_case.history_until, REPLAY_UNTIL)
        answered = sum(example.key in record.answers for example in examples)
        if answered == len(examples) and len(record.labelled) == sum(example.label is not None for example in examples):
            self._say(f"4/6  {answered:,} flights of July: answered and labelled in an earlier run")
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with (
            self._step(f"4/6  {len(examples) - answered:,} flights of July, in event order, each label as it became known"),
            Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal) as progress,
        ):
            task = progress.add_task("     through the proxy", total=len(examples), completed=answered)
            replay = Replay(self._use_case, self._topology.proxy_url, record, lambda count: progress.advance(task, count))
            asyncio.run(replay.run(examples))

    def _live(self) -> Live:
        store = DocumentStore(self._home.lake)
        if not store.names(f"{USE_CASE}/releases"):
            return Live({})
        ledger = Ledger(store, USE_CASE, Trust.read(self._home), self._home.heads)
        ledger.poll()
        return fold(ledger.entries)

    def _holdout(self) -> Quality:
        champion = self._live().champion
        if champion is None:
            raise NotFound("champion", USE_CASE, f"Release one by materializing {USE_CASE}/{RELEASE}.")
        evaluation = read_evaluation(self._home.lake, USE_CASE, champion.evaluation_id)
        found = {name: evaluation.find(name) for name in ("auc", "log_loss")}
        auc, log_loss = found["auc"], found["log_loss"]
        if auc is None or log_loss is None:
            raise NotFound("holdout metric", "auc, log_loss", "The demonstration shows a binary use case.")
        return Quality(auc=auc.value, log_loss=log_loss.value, n=auc.n)

    @contextmanager
    def _step(self, words: str) -> Generator[None]:
        """Show that a step is under way, and how long it took."""
        started = time.monotonic()
        with self._console.status(words):
            yield
        self._say(f"{words} [dim]{time.monotonic() - started:.1f} s[/]")

    def _say(self, words: str) -> None:
        self._console.print(words, highlight=False, soft_wrap=True)
