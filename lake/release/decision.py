"""The decision: what approvers sign, as an in-toto statement in a DSSE envelope."""

from typing import Any, Literal

import msgspec

from lake.documents import Document, canonical
from lake.errors import VerificationError
from lake.times import utc

DECISION_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://trainserve.dev/release-decision/v1"

DecisionKind = Literal["approve", "reject", "revoke", "roll back"]
Role = Literal["champion", "challenger", "shadow"]
RiskTier = Literal["low", "medium", "high"]


class Waiver(Document, frozen=True, kw_only=True):
    """A blocking gate that this release may fail: which, why, until when."""

    gate: str
    reason: str
    expires_at_utc: str


class Decision(Document, frozen=True, kw_only=True):
    """What is decided about one package. Digests are SHA-256 in hex, times RFC 3339 in UTC.

    `approver` is who decides; that they do is proven only by a signature under this. `model_version` is the candidate's,
    which nobody has released: the ledger counts releases. A signature counts until `sign_by_utc`.
    """

    use_case: str
    decision: DecisionKind
    role: Role
    arm: str
    package_digest: str
    evaluation_id: str
    release_standard_digest: str
    policy_digest: str
    approver: str
    reason: str
    nonce: str
    model_version: str = ""
    trainer: str = ""
    risk_tier: RiskTier = "low"
    greatest_share: float = 1.0
    waivers: tuple[Waiver, ...] = ()
    expires_at_utc: str | None = None
    sign_by_utc: str | None = None


def statement_bytes(decision: Decision) -> bytes:
    """The canonical bytes that are signed."""
    return canonical(_statement(decision))


def read_statement(payload: bytes, what: str) -> Decision:
    """The decision in signed bytes.

    Raises VerificationError when a term is no time, or when its subjects are not what it decides on.
    """
    try:
        statement = msgspec.json.decode(payload)
        decision = msgspec.convert(statement["predicate"], Decision)
        _check_moments(decision)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError, TypeError, ValueError) as error:
        raise VerificationError(what, f"unreadable ({error})", "a statement about a release") from error
    if {**statement, "predicate": None} != {**_statement(decision), "predicate": None}:
        raise VerificationError(what, "subjects or types that its predicate does not name", "a statement about its decision")
    return decision


def _check_moments(decision: Decision) -> None:
    """Raises ValueError for a term that is no moment: nobody could say when it is over."""
    for text in (decision.sign_by_utc, decision.expires_at_utc, *(waiver.expires_at_utc for waiver in decision.waivers)):
        if text is not None:
            utc(text)


def _statement(decision: Decision) -> dict[str, Any]:
    subjects = {
        "package": decision.package_digest,
        "evaluation": decision.evaluation_id,
        "release-standard": decision.release_standard_digest,
        "policy": decision.policy_digest,
    }
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in subjects.items()],
        "predicateType": PREDICATE_TYPE,
        "predicate": msgspec.to_builtins(decision),
    }
