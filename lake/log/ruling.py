"""How the parameters of a request made its answer, worked out again: who signed them, which rules fire, what these do.

Of a request whose documents are at hand. What those leave open is `Undecided`, and neither held nor refuted.
"""

from collections.abc import Sequence
from datetime import datetime, timezone

import msgspec

from lake.documents import DocumentReader
from lake.errors import NotFound, VerificationError
from lake.input_schema import InputSchema
from lake.log.records import PredictionRecord
from lake.package import exact
from lake.parameters import Parameters, find_parameters
from lake.parameters.changes import changes_of_meaning
from lake.parameters.effects import Ruled, answered_in_place, ruled
from lake.parameters.reserved import NOT_ASKED, RESERVED
from lake.parameters.retrial import Retrial
from lake.parameters.rules import Rule, described
from lake.parameters.signed import Judge
from lake.parameters.stored import versions
from lake.release.decision import RiskTier
from lake.release.ledger import Ledger
from lake.release.live import fold, tier_of
from lake.release.trust import Trust
from lake.times import utc

_SHOWN_ROWS = 10


class Undecided(Exception):
    """What the documents at hand cannot decide; says why."""


class Step(msgspec.Struct, frozen=True):
    """A version that holds, who signed it, and whether it changes what an answer means."""

    document: Parameters
    signers: tuple[str, ...]
    changes_meaning: bool

    def __str__(self) -> str:
        if self.signers:
            return f"signed by {' and '.join(self.signers)}"
        if self.changes_meaning:
            return "signed by nobody, as the policy asked for no signature then"
        return "signed by nobody, as it changes what no answer means"


class Ruling:
    """The versions of the parameters up to one, each judged with the keys of one reader as at its own moment."""

    def __init__(self, papers: DocumentReader, use_case: str, version: int, trust: Trust) -> None:
        self._use_case = use_case
        self._version = version
        self._trust = trust
        self._ledger = Ledger(papers, use_case, trust)
        self._papers = papers

    def parameters(self) -> Parameters:
        """The version itself. Raises Undecided for version 0, NotFound, VerificationError."""
        if self._version == 0:
            raise Undecided("Version 0 is the environment that the proxy was started in, and is kept nowhere.")
        found = find_parameters(self._papers, self._use_case, self._version)
        if found is None:
            raise NotFound("version of the parameters in the evidence", str(self._version))
        return found

    def steps(self) -> list[Step]:
        """The versions that hold, up to this one. Raises as `parameters`, and VerificationError where this one does not hold.

        What the environment of a proxy vouched for is not known here: the addresses of predictors are not judged.
        """
        newest = self.parameters()
        if missing := set(range(1, self._version)) - set(versions(self._papers, self._use_case)):
            raise Undecided(f"Who signed version {self._version} cannot be told: version {min(missing)} is not at hand.")
        self._ledger.poll()
        before, found = Parameters(use_case=self._use_case), []
        for number in range(1, self._version + 1):
            after = newest if number == self._version else find_parameters(self._papers, self._use_case, number)
            if after is None:
                continue
            vouched = {name: arm.upstreams for name, arm in after.arms.items()}
            at = datetime.now(timezone.utc) if after.changed_at_utc is None else utc(after.changed_at_utc)
            try:
                signers = Judge(self._trust, self._tier(at), at, vouched).check(before, after)
            except VerificationError:
                if number == self._version:
                    raise
                continue  # readers passed it over
            found.append(Step(after, signers, bool(changes_of_meaning(before, after, vouched))))
            before = after
        return found

    def _tier(self, at: datetime) -> RiskTier:
        """How much hung on what was live then."""
        entries = [entry for entry in self._ledger.entries if utc(entry.event.at_utc) <= at]
        return tier_of(fold(entries), entries)


def since(steps: Sequence[Step], rule: Rule) -> Step:
    """The version from which on a rule has been in force as it is."""
    found = steps[-1]
    for step in reversed(steps):
        if rule not in step.document.rules:
            break
        found = step
    return found


def answered_again(records: Sequence[PredictionRecord], steps: Sequence[Step], schema: InputSchema) -> str:
    """Each answer worked out again from the fields, the scores and the rules. Raises VerificationError, Undecided."""
    document = steps[-1].document
    again = _Again(document, schema)
    words = [again.row(record) for record in records]
    fired = dict.fromkeys(record.rule for record in records if record.rule in again.rules)
    known = [(name, since(steps, again.rules[name])) for name in fired if name is not None]
    origins = [f"Rule {name!r} is in force since version {step.document.version}, {step}." for name, step in known]
    more = [f"{len(words) - _SHOWN_ROWS} more rows likewise."] if len(words) > _SHOWN_ROWS else []
    return " ".join([*words[:_SHOWN_ROWS], *more, *origins])


class _Again:
    def __init__(self, document: Parameters, schema: InputSchema) -> None:
        self.rules = {rule.name: rule for rule in document.rules}
        self._document = document
        self._schema = schema
        self._retrial = Retrial(document.rules, schema)

    def row(self, record: PredictionRecord) -> str:
        """How one row came to its answer."""
        what = f"the answer to row {record.row}"
        if record.rule in NOT_ASKED:
            fixed = self._document.inactive_answer
            self._check(record, None if fixed is None else list(fixed.scores), what)
            return f"Row {record.row} was answered {record.answer}, which stands for it while it is {record.rule}."
        rule = None if record.rule is None else self.rules.get(record.rule)
        if rule is None and record.rule not in RESERVED:
            raise VerificationError(what, f"rule {record.rule!r}", f"one of {sorted(self.rules)}")
        fires = self._fires(record, rule, what)
        if rule is None:
            self._check(record, record.scores, what)
            return (
                f"Row {record.row}: no rule fires, and {record.answer} are the scores of the model.{self._decided(record, None)}"
            )
        settled = None if record.scores is not None else answered_in_place(rule)
        self._check(record, settled if record.scores is None else self._ruled(rule, record.scores).scores, what)
        given = "no model was asked" if record.scores is None else f"the model gave {record.scores}"
        effects = ", ".join(map(described, rule.then)) or "nothing"
        return (
            f"Row {record.row}: {given}; rule {rule.name!r} {fires}: {effects}. So {record.answer}.{self._decided(record, rule)}"
        )

    def _fires(self, record: PredictionRecord, rule: Rule | None, what: str) -> str:
        """Raises VerificationError where another rule fires than the one that was logged."""
        if self._retrial.hidden or record.features is None:
            return f"was logged, and cannot be tried again, as the log keeps {self._retrial.hidden} hashed, or not at all"
        found = self._retrial.first(record.features, record.received_at_us)
        if found != rule:
            names = [None if one is None else one.name for one in (found, rule)]
            raise VerificationError(what, f"that rule {names[0]!r} fires for its fields", f"{names[1]!r}, as logged")
        return "fires for its fields"

    def _check(self, record: PredictionRecord, again: Sequence[float] | None, what: str) -> None:
        if again is None or exact(again) != exact(record.answer or ()):
            raise VerificationError(what, str(record.answer), f"{again}, as worked out again")

    def _ruled(self, rule: Rule | None, scores: Sequence[float] | None) -> Ruled:
        return ruled(rule, scores or (), self._schema.task, self._document.threshold)

    def _decided(self, record: PredictionRecord, rule: Rule | None) -> str:
        """The decision, which is no part of the row. What rules answer in the model's place meets the threshold of all rows."""
        by = None if record.scores is None else rule
        decision = self._ruled(by, record.answer if record.scores is None else record.scores).decision
        return "" if decision is None else f" The decision was {'yes' if decision else 'no'}."
