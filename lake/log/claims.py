"""The claims that evidence makes about an answer, each checked, with what was found in a sentence.

Only keys that the reader trusts decide: the log's, the platform's and the approvers'. A claim that the evidence leaves open,
as where the log keeps no more of a field than its hash, is neither held nor refuted.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any

import msgspec

from lake.documents import decoded, sha256
from lake.errors import TrainServeError, VerificationError
from lake.evaluation import Evaluation
from lake.input_schema import find_input_schema
from lake.log.evidence import Evidence, Papers, evaluation_path
from lake.log.exchange import STAND_ALONE
from lake.log.log_key import LogKeys
from lake.log.receipts import check_proof
from lake.log.records import PredictionRecord
from lake.log.ruling import Ruling, Undecided, answered_again
from lake.package import exact, open_package
from lake.release.ledger import Entry, Ledger
from lake.release.live import Release, fold
from lake.release.trust import Trust
from lake.times import rfc3339

_SHOWN_STEPS = 5


class Claim(msgspec.Struct, frozen=True):
    """One claim: what it is about, whether it holds (None where that cannot be told), and what was found."""

    about: str
    holds: bool | None
    found: str


class Judge:
    """Checks evidence with the keys of one reader."""

    def __init__(self, evidence: Evidence, keys: LogKeys, trust: Trust) -> None:
        self._evidence = evidence
        self._use_case = evidence.use_case
        self._papers = Papers(evidence)
        self._keys = keys
        self._trust = trust

    def claims(self) -> list[Claim]:
        """Every claim, checked; those about the answer only when it is known what was logged."""
        logged = _checked("The log", self._sealed)
        if not logged.holds:
            return [logged]
        records = self._evidence.records()
        about: dict[str, Callable[[Sequence[PredictionRecord]], str]] = {
            "The routing": self._routed,
            "The parameters": self._decided,
            "The release": self._released,
            "The evaluation": self._judged,
            "The package": self._packaged,
            "The scores": self._computed,
            "The answer": self._answered,
        }
        return [logged, *(_checked(name, check, records) for name, check in about.items())]

    def _sealed(self) -> str:
        words = []
        for proof in self._evidence.proofs:
            check_proof(proof, self._keys)
            commit = proof.commit
            when = datetime.fromtimestamp(commit.committed_at_us / 1_000_000, timezone.utc)
            rows = f"{len(proof.records)} rows are" if len(proof.records) > 1 else "The row is"
            words.append(
                f"{rows} to the byte what {commit.what} sealed at {rfc3339(when)}, signed by the log's key {commit.key_id}."
            )
        for record in self._evidence.records():
            found = f"{record.request_id} of {record.use_case!r}"
            if (record.request_id, record.use_case) != (self._evidence.request_id, self._use_case):
                raise VerificationError("a row", f"one of {found}", f"one of {self._evidence.request_id} of {self._use_case!r}")
        if not words:
            raise VerificationError("the evidence", "no row", "the rows of the request, with their proofs")
        return " ".join(words)

    def _routed(self, records: Sequence[PredictionRecord]) -> str:
        [record] = _alike(records, "parameters_version", "arm")
        if record.rule == STAND_ALONE:
            return f"Not routed: the predictor of arm {record.arm!r} was asked itself, and kept the log."
        rules = ", ".join(repr(rule) for rule in dict.fromkeys(record.rule for record in records))
        by = f"Routed by version {record.parameters_version} of the parameters, rule {rules}, to arm {record.arm!r}"
        if record.arm is None:
            raise Undecided(f"Under version {record.parameters_version} of the parameters; it was routed to no arm.")
        if record.parameters_version == 0:
            raise Undecided(f"{by}: version 0 is the environment that the proxy was started in, and is kept nowhere.")
        parameters = self._ruling(record).parameters()
        if record.arm not in parameters.arms:
            raise VerificationError("the routing", f"arm {record.arm!r}", f"one of {sorted(parameters.arms)}")
        return f"{by}."

    def _decided(self, records: Sequence[PredictionRecord]) -> str:
        """Who changed the parameters that routed it, and who signed that they change what answers mean."""
        [record] = _alike(records, "parameters_version")
        if record.rule == STAND_ALONE:
            raise Undecided("None: no proxy routed it.")
        *before, step = self._ruling(record).steps()
        of = step.document
        signed = [f"Version {one.document.version} before it was {one}." for one in before if one.signers][-_SHOWN_STEPS:]
        return " ".join([f"Version {of.version}, by {of.changed_by} at {of.changed_at_utc}, {of.why!r}: {step}.", *signed])

    def _ruling(self, record: PredictionRecord) -> Ruling:
        return Ruling(self._papers, self._use_case, record.parameters_version, self._trust)

    def _released(self, records: Sequence[PredictionRecord]) -> str:
        entry, release = self._release(records)
        decision = entry.decision
        by = " and ".join(entry.signers) + ", who signed it" if entry.signers else f"{decision.approver}, which is claimed"
        what = f"{release.model_version or 'the package'} live as {release.role} on arm {release.arm!r}"
        return (
            f"Event {release.seq} of the ledger made {what} at {entry.event.at_utc}: a decision to {decision.decision} "
            f"by {by}, launched by {entry.event.launcher}. Reason: {decision.reason}"
        )

    def _judged(self, records: Sequence[PredictionRecord]) -> str:
        decision = self._release(records)[0].decision
        what = f"evaluation {decision.evaluation_id[:12]}"
        document = self._papers.find(evaluation_path(self._use_case, decision.evaluation_id))
        if document is None:
            raise Undecided(f"It was decided on {what}, whose document the lake does not have.")
        if sha256(document) != decision.evaluation_id:
            raise VerificationError(what, f"a document with digest {sha256(document)[:12]}", "the one that was decided on")
        evaluation = decoded(document, what, Evaluation)
        if evaluation.package_digest != decision.package_digest:
            raise VerificationError(what, f"one of package {evaluation.package_digest[:12]}", decision.package_digest[:12])
        whole = [f"{one.metric} {one.value:.4g} (n={one.n:,})" for one in evaluation.estimates if one.slice == "all"]
        return f"Decided on {what}, trained by {evaluation.trainer}: {', '.join(whole)}."

    def _packaged(self, records: Sequence[PredictionRecord]) -> str:
        package = open_package(self._papers, self._use_case, self._digest(records))
        manifest = package.manifest
        size = sum(map(len, package.files.values()))
        return (
            f"Package {package.digest} ({size:,} bytes) is whole: {manifest.candidate}, run by {manifest.engine}, trained on "
            f"version {manifest.dataset_version} of the dataset, source revision {manifest.source_revision[:12]}."
        )

    def _computed(self, records: Sequence[PredictionRecord]) -> str:
        package = open_package(self._papers, self._use_case, self._digest(records))
        schema = find_input_schema(self._papers, self._use_case)
        features = package.manifest.features
        hidden = [field.name for field in schema.fields if field.sensitive and field.name in features] if schema else []
        if hidden:
            raise Undecided(f"They cannot be computed again: the log keeps {hidden} hashed, or not at all.")
        scored = [record for record in records if record.scores is not None and record.features is not None]
        if not scored:
            raise Undecided(f"None were given: the request was {records[0].outcome}, with status {records[0].status}.")
        found = package.load().engine.scores([tuple(record.features.get(name) for name in features) for record in scored])
        for record, scores in zip(scored, found, strict=True):
            if exact(scores) != exact(record.scores or ()):
                raise VerificationError(f"the scores of row {record.row}", str(record.scores), f"{scores}, as computed again")
        return f"Computed again from the row and the package, {len(scored)} of {len(records)} rows gave the same bits."

    def _answered(self, records: Sequence[PredictionRecord]) -> str:
        if any(record.answer is None for record in records):
            raise Undecided(f"None was given: the request was {records[0].outcome}, with status {records[0].status}.")
        stand_alone = records[0].rule == STAND_ALONE
        if not stand_alone and records[0].parameters_version and (schema := find_input_schema(self._papers, self._use_case)):
            return answered_again(records, self._ruling(records[0]).steps(), schema)
        other = [position for position, record in enumerate(records) if record.answer != record.scores]
        if other:
            rules = ", ".join(repr(rule) for rule in dict.fromkeys(records[row].rule for row in other))
            raise Undecided(f"The answers to rows {other} are not the model's scores: rule {rules} gave them.")
        return f"What was answered are the scores of the model: {', '.join(str(record.answer) for record in records[:10])}."

    def _release(self, records: Sequence[PredictionRecord]) -> tuple[Entry, Release]:
        """The event that released what answered, verified with all before it, and the release that it made."""
        [record] = _alike(records, "release_seq", "arm", "role", "package_digest")
        if record.release_seq is None or record.arm is None:
            raise Undecided(f"No model answered: the request was {record.outcome}, with status {record.status}.")
        ledger = Ledger(self._papers, self._use_case, self._trust)
        ledger.poll()
        entries = ledger.entries[: record.release_seq]
        release = fold(entries).on(record.arm)
        found = None if release is None else (release.seq, release.role, release.package_digest)
        logged = (record.release_seq, record.role, record.package_digest)
        if release is None or found != logged:
            raise VerificationError("the release", f"that the ledger had {found} on arm {record.arm!r}", f"{logged}, as logged")
        return entries[-1], release

    def _digest(self, records: Sequence[PredictionRecord]) -> str:
        [record] = _alike(records, "package_digest")
        if record.package_digest is None:
            raise Undecided(f"No model answered: the request was {record.outcome}, with status {record.status}.")
        return record.package_digest


def _alike(records: Sequence[PredictionRecord], *names: str) -> list[PredictionRecord]:
    """The first of the rows, once all are found to be of one request in these. Raises VerificationError."""
    for name in names:
        values: set[Any] = {getattr(record, name) for record in records}
        if len(values) > 1:
            raise VerificationError("the rows", f"{len(values)} values of {name}", "one, since they are of one request")
    return [records[0]]


def _checked(about: str, check: Callable[..., str], *on: object) -> Claim:
    try:
        return Claim(about, holds=True, found=check(*on))
    except Undecided as why:
        return Claim(about, holds=None, found=str(why))
    except TrainServeError as error:
        return Claim(about, holds=False, found=str(error))
