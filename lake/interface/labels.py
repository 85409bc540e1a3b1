"""Labels as clients deliver them, one or many: decoded, checked, and logged as durably as the predictions."""

from http import HTTPStatus
from typing import Annotated

import msgspec

from lake.errors import InvalidInput, Problem
from lake.home import now_us
from lake.interface.reply import Reply
from lake.log.group_commit import GroupCommit
from lake.log.labels import Label, LabelReader
from lake.log.receipts import RECEIPT_HEADER, with_proof
from lake.log.records import encode_record
from lake.misread import misread_at, place_of
from lake.repetition import find_repeated

MAXIMUM_LABELS = 10_000

# Bytes that are not UTF-8, and nesting without end, are no MsgspecError.
_MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class LabelBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Many labels, accepted or refused together."""

    labels: Annotated[list[Label], msgspec.Meta(min_length=1, max_length=MAXIMUM_LABELS)]


class LabelsAccepted(msgspec.Struct, frozen=True):
    """How many labels are on disk."""

    accepted: int


class _Members(msgspec.Struct, frozen=True):
    """What tells a batch from a label that stands alone."""

    labels: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_members = msgspec.json.Decoder(_Members)
_batch = msgspec.json.Decoder(LabelBatch)
_single = msgspec.json.Decoder(Label)


def label_records(body: bytes, reader: LabelReader, client_id: str | None) -> list[bytes]:
    """The labels of a request, encoded for the spool. Raises InvalidInput with every problem."""
    labels = _decoded(body)
    if repeated := find_repeated(body, msgspec.json.decode(body)):
        raise InvalidInput(repeated)
    problems = [problem for path, label in labels.items() for problem in reader.problems(path, label)]
    if problems:
        raise InvalidInput(problems)
    received_at_us = now_us()
    return [encode_record(reader.record(label, client_id, received_at_us)) for label in labels.values()]


async def log_labels(spool: GroupCommit, records: list[bytes], *, prove: bool) -> Reply:
    """What tells the client that its labels are on disk, with their proof if that is asked for.

    Raises SpoolUnavailable; then none is kept.
    """
    receipt = await spool.append(records)
    accepted = msgspec.json.encode(LabelsAccepted(len(records)))
    if prove:
        accepted = with_proof(accepted, receipt.proof(records))
    return Reply(accepted, {RECEIPT_HEADER: receipt.text}, status=HTTPStatus.ACCEPTED)


def _decoded(body: bytes) -> dict[str, Label]:
    """The labels by where they stand in the body; one that stands alone is nowhere."""
    try:
        if _members.decode(body).labels is msgspec.UNSET:
            return {"": _single.decode(body)}
        return {f"labels[{index}]": label for index, label in enumerate(_batch.decode(body).labels)}
    except _MALFORMED as error:
        path = place_of(error) or "body"
        expected = 'a label, or {"labels": [...]} with 1 to 10,000 of them, as the page /schema describes them'
        raise InvalidInput([Problem(path=path, found=misread_at("", error), expected=expected)]) from error
