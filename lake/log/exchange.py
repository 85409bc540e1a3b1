"""One exchange with a client: what is known of it while it is answered, and the rows that it leaves in the log."""

import time
from collections.abc import Sequence

import msgspec
from uuid_utils import uuid7

from lake.decoder import Rows, event_times_us
from lake.home import now_us
from lake.log.privacy import Redactor
from lake.log.records import MAXIMUM_RAW_BYTES, Outcome, PredictionRecord, Purpose, encode_record
from lake.parameters.rules import Rule
from lake.release.live import Release

STAND_ALONE = "stand-alone"  # the rule of an answer that no proxy routed


class Exchange(msgspec.Struct, kw_only=True):
    """A request and what became of it. Fields are filled in as they become known."""

    use_case: str
    body: bytes
    client_id: str | None
    parameters_version: int
    request_id: str = msgspec.field(default_factory=lambda: str(uuid7()))
    received_at_us: int = msgspec.field(default_factory=now_us)
    started: float = msgspec.field(default_factory=time.perf_counter)
    redactor: Redactor | None = None
    trace_id: str | None = None
    trace_headers: dict[str, str] | None = None
    routing_key: str | None = None
    rows: Rows | None = None
    rule: str | None = None
    fired: list[Rule | None] | None = None
    threshold: float | None = None
    answers: list[list[float]] | None = None
    release: Release | None = None
    assigned: Release | None = None
    arm: str | None = None
    attempts: int = 0
    upstream_latency_us: int | None = None

    purpose: Purpose = "answer"
    engine: str | None = None
    outcome: Outcome = "failed"
    status: int = 500

    def records(self, rows: Rows | None, scores: Sequence[list[float]] | None) -> list[bytes]:
        """What the exchange leaves in the log, encoded: a record for each row of the request.

        A request that could not be decoded leaves one record, with the beginning of its body if no field is sensitive: in
        a body that is wrong nobody can tell which bytes are.
        """
        redactor = self.redactor
        if rows is None or redactor is None:
            raw = self.body[:MAXIMUM_RAW_BYTES] if redactor is not None and redactor.keeps_raw else None
            refused = self._record(0, self.received_at_us, self.rule)
            refused.raw = raw
            return [encode_record(refused)]
        times = event_times_us(redactor.schema, rows.records, self.received_at_us)
        entities = [redactor.entity(record) for record in rows.records]
        hashed = redactor.key_hashes([self.routing_key, *entities])
        answers = scores if self.answers is None else self.answers
        if self.purpose == "shadow":
            answers = None  # nobody was answered
        records = []
        for index, row in enumerate(rows.records):
            record = self._record(index, times[index], self.rule_of(index))
            record.client_request_id = rows.client_request_id
            record.routing_key_hash, record.entity_key_hash = hashed[self.routing_key], hashed[entities[index]]
            record.features = redactor.features(row)
            record.scores = None if scores is None else scores[index]
            record.answer = None if answers is None else answers[index]
            records.append(encode_record(record))
        return records

    def rule_of(self, row: int) -> str | None:
        """What answered a row: the rule of the parameters that fired for it, else what routed the request."""
        rule = None if self.fired is None else self.fired[row]
        return self.rule if rule is None else rule.name

    def _record(self, row: int, event_time_us: int, rule: str | None) -> PredictionRecord:
        """What all rows of the exchange have, for one of them."""
        release = self.release
        return PredictionRecord(
            use_case=self.use_case,
            request_id=self.request_id,
            row=row,
            arm=self.arm,
            event_time_us=event_time_us,
            received_at_us=self.received_at_us,
            role=None if release is None else release.role,
            release_seq=None if release is None else release.seq,
            package_digest=None if release is None else release.package_digest,
            engine=self.engine,
            rule=rule,
            parameters_version=self.parameters_version,
            client_id=self.client_id,
            outcome=self.outcome,
            status=self.status,
            attempts=self.attempts,
            purpose=self.purpose,
            latency_us=int((time.perf_counter() - self.started) * 1_000_000),
            upstream_latency_us=self.upstream_latency_us,
            trace_id=self.trace_id,
            assigned_release_seq=None if self.assigned is None else self.assigned.seq,
        )
