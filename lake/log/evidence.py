"""The evidence of one request: its rows as they were logged, their proofs, and all the documents that explain the answer.

It is one JSON file. Whoever has it, and the public keys, can check each claim about the answer without the lake: the
documents in it are read in the place of the lake's, by the code that reads those.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from uuid import UUID

import msgspec
import polars as pl

from lake.delta import Table
from lake.documents import Document, DocumentStore, canonical
from lake.errors import NotFound, TrainServeError, VerificationError
from lake.evaluation import read_evaluation
from lake.home import Home
from lake.log.commit_rows import commit_records
from lake.log.commits import Commit, check_leaves
from lake.log.erasures import read_erasures
from lake.log.merkle import leaf_of
from lake.log.receipts import Proof, proof_of
from lake.log.record_rows import encoded_rows
from lake.log.records import PredictionRecord, decode_record
from lake.log.unreadable import naming_files
from lake.parameters import find_parameters
from lake.release.decision import Decision
from lake.release.ledger import Ledger
from lake.release.trust import Trust
from lake.tables import COMMITS, LOG, PREDICTIONS

_UUID_VERSION_OF_TIMES = 7
_CLOCKS_DIFFER = timedelta(days=1)


class Evidence(Document, frozen=True, kw_only=True):
    """What there is about one request. `documents` are the lake's by their paths there, each to the byte."""

    use_case: str
    request_id: str
    proofs: tuple[Proof, ...]
    documents: dict[str, bytes]
    format_version: int = 1

    def records(self) -> list[PredictionRecord]:
        """The rows as they were logged. Raises VerificationError for bytes that are no prediction."""
        records = []
        for proof in self.proofs:
            for proven in proof.records:
                try:
                    record = decode_record(proven.record)
                except msgspec.MsgspecError as error:
                    found = f"bytes that are no record ({error})"
                    raise VerificationError(f"record {proven.seq}", found, "a prediction, as the proxy logs it") from error
                if not isinstance(record, PredictionRecord):
                    raise VerificationError(f"record {proven.seq}", "another record", "a prediction, as the proxy logs it")
                records.append(record)
        return records


class Papers:
    """The documents of the evidence, read as those of the lake are."""

    def __init__(self, evidence: Evidence) -> None:
        self._documents = evidence.documents

    def get(self, path: str) -> bytes:
        """The bytes at this path. Raises NotFound."""
        found = self.find(path)
        if found is None:
            raise NotFound("document of the evidence", path)
        return found

    def find(self, path: str) -> bytes | None:
        """The bytes at this path, or None."""
        return self._documents.get(path)

    def names(self, folder: str) -> list[str]:
        """The names of the files directly below a folder, sorted."""
        inside = (path.removeprefix(f"{folder}/") for path in self._documents if path.startswith(f"{folder}/"))
        return sorted(name for name in inside if "/" not in name)


def gather(home: Home, request_id: str, use_cases: Sequence[str] = ()) -> Evidence:
    """All that the lake has about a request.

    Raises NotFound when no row has this id, VerificationError when a row is not as it was logged, or its file cannot be read.
    """
    store = DocumentStore(home.lake, make=False)
    searched = use_cases or store.folders()
    for use_case in searched:
        with naming_files(home.lake, Table(home.lake, use_case, PREDICTIONS)):
            rows = _rows(home.lake, use_case, request_id)
        if not rows.is_empty():
            break
    else:
        raise NotFound("logged request", request_id, _why_not(home.lake, searched, request_id))
    with naming_files(home.lake, Table(home.lake, LOG, COMMITS)):
        proofs = tuple(_proofs(home.lake, use_case, rows))
    bare = Evidence(use_case=use_case, request_id=request_id, proofs=proofs, documents={})
    documents: dict[str, bytes] = {}
    for record in bare.records():
        for path in _paths(store, record):
            documents[path] = store.get(path)
        documents |= _evaluation(home, record)
    return msgspec.structs.replace(bare, documents=dict(sorted(documents.items())))


def evaluation_path(use_case: str, evaluation_id: str) -> str:
    """Where the document of an evaluation stands."""
    return f"{use_case}/evaluations/{evaluation_id}/evaluation.json"


def _why_not(lake: str, use_cases: Sequence[str], request_id: str) -> str:
    """What is known of a request that has no row."""
    for use_case in use_cases:
        for one in read_erasures(lake, use_case, pl.col("request_id") == request_id):
            return f"Its rows were erased on purpose, by erasure {one.erasure_id} of {use_case!r}: {one.why}."
    return "A row is in the lake some seconds after its answer; then the shipper ran."


def _rows(lake: str, use_case: str, request_id: str) -> pl.DataFrame:
    """The rows of a request, looked for first about the time that its id tells."""
    table = Table(lake, use_case, PREDICTIONS)
    if not table.exists():
        return pl.DataFrame()
    named = table.scan().filter(request_id=request_id, purpose="answer").sort("seq")
    made = _made_at(request_id)
    if made is not None:
        near = pl.col("received_at_utc").is_between(made - _CLOCKS_DIFFER, made + _CLOCKS_DIFFER)
        rows = named.filter(near).collect()
        if not rows.is_empty():
            return rows
    return named.collect()


def _made_at(request_id: str) -> datetime | None:
    """The time in a UUID of version 7, or None for any other text."""
    try:
        made = UUID(request_id)
    except ValueError:
        return None
    if made.version != _UUID_VERSION_OF_TIMES:
        return None
    return datetime.fromtimestamp(0, timezone.utc) + timedelta(milliseconds=made.int >> 80)


def _proofs(lake: str, use_case: str, rows: pl.DataFrame) -> Iterator[Proof]:
    """The proofs of rows: one for each commit that sealed some of them."""
    by_commit: dict[tuple[str, int], tuple[Commit, list[bytes], list[tuple[int, bytes]]]] = {}
    for (spool, seq), record in zip(
        rows.select("spool_id", "seq").iter_rows(), encoded_rows(rows, PREDICTIONS, use_case), strict=True
    ):
        commit, leaves = _sealed_by(lake, spool, seq)
        if leaves[seq - commit.first_seq] != leaf_of(record):
            expected = f"what {commit.what} sealed"
            raise VerificationError(f"the row of record {seq} of slot {spool[:8]}", "another one", expected)
        by_commit.setdefault((spool, commit.number), (commit, leaves, []))[2].append((seq, record))
    for commit, leaves, numbered in by_commit.values():
        yield proof_of(commit, leaves, numbered)


def _sealed_by(lake: str, spool: str, seq: int) -> tuple[Commit, list[bytes]]:
    """The commit that sealed a record, and its leaves. Raises NotFound, VerificationError."""
    table = Table(lake, LOG, COMMITS)
    number = pl.lit(seq)
    covers = number.is_between(pl.col("first_seq"), pl.col("first_seq") + pl.col("count") - 1)
    rows = table.scan().filter((pl.col("spool_id") == spool) & covers).collect() if table.exists() else pl.DataFrame()
    for row in rows.iter_slices(1):
        [record] = commit_records(row)
        return record.commit, check_leaves(record)
    raise NotFound("commit of record", f"{seq} of slot {spool}", "No commit seals this row: run trainserve verify --log.")


def _paths(store: DocumentStore, record: PredictionRecord) -> Iterator[str]:
    """The documents that explain a row."""
    use_case = record.use_case
    yield from (f"{use_case}/input_schemas/{name}" for name in store.names(f"{use_case}/input_schemas")[-1:])
    for version in range(1, record.parameters_version + 1):  # the signatures under those before it count on
        if find_parameters(store, use_case, version) is not None:
            yield f"{use_case}/parameters/{version:08}.json"
    if record.package_digest is not None:
        folder = f"{use_case}/packages/{record.package_digest}"
        yield from (f"{folder}/{name}" for name in store.names(folder))
    if record.release_seq is not None:
        yield from (f"{use_case}/releases/{seq:08}.json" for seq in range(1, record.release_seq + 1))
    elif record.parameters_version:  # how many signatures they needed hung on what was live
        yield from (f"{use_case}/releases/{name}" for name in store.names(f"{use_case}/releases"))


def _evaluation(home: Home, record: PredictionRecord) -> dict[str, bytes]:
    """The evaluation that the release was decided on, where it still stands."""
    decision = _decision(home, record)
    if decision is None:
        return {}
    try:
        evaluation = read_evaluation(home.lake, record.use_case, decision.evaluation_id)
    except TrainServeError:
        return {}
    return {evaluation_path(record.use_case, decision.evaluation_id): canonical(evaluation)}


def _decision(home: Home, record: PredictionRecord) -> Decision | None:
    if record.release_seq is None:
        return None
    ledger = Ledger(DocumentStore(home.lake, make=False), record.use_case, Trust.read(home))
    ledger.poll()
    return next((entry.decision for entry in ledger.entries if entry.event.seq == record.release_seq), None)
