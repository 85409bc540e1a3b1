"""Signatures as approvers paste them: lines that `trainserve sign` prints, each an envelope around the decision."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import msgspec

from lake.documents import canonical
from lake.errors import ReleaseRefused
from lake.release.decision import DECISION_TYPE, Decision, read_statement
from lake.release.signatures import merged

PREFIX = "trainserve1."
# What signers choose: nothing in the run's config or the lake says otherwise.
_SIGNERS_OWN = {"nonce", "sign_by_utc"}
_AGAIN = "Sign this decision with `trainserve sign`, and paste the line that it prints."


class Pasted(msgspec.Struct, frozen=True):
    """The decision that the pasted lines sign, unverified, and one envelope with all their signatures."""

    decision: Decision
    envelope: dict[str, Any]

    def check_covers(self, wanted: Decision) -> None:
        """Raises ReleaseRefused, naming every difference, when what was signed is another decision than this."""
        signed, asked = msgspec.to_builtins(self.decision), msgspec.to_builtins(wanted)
        differences = [
            f"{name} is {_short(signed[name])} there and {_short(asked[name])} here"
            for name in asked
            if name not in _SIGNERS_OWN and signed[name] != asked[name]
        ]
        if differences:
            raise ReleaseRefused(f"the signatures are for another decision: {'; '.join(differences)}.", _AGAIN)


def pasteable(envelope: dict[str, Any]) -> str:
    """An envelope as one line to paste."""
    return PREFIX + base64.urlsafe_b64encode(canonical(envelope)).decode().rstrip("=")


def read_pasted(lines: Sequence[str]) -> Pasted | None:
    """What was pasted, or None when nothing was. Raises ReleaseRefused for what is no such line, VerificationError."""
    if not lines:
        return None
    envelope = merged([_envelope("".join(line.split())) for line in lines])
    return Pasted(read_statement(base64.b64decode(envelope["payload"]), "the signed decision"), envelope)


def _envelope(line: str) -> dict[str, Any]:
    problem = f"a signature is no line of `trainserve sign`: {line[:24]!r}..."
    if not line.startswith(PREFIX):
        raise ReleaseRefused(f"{problem} does not begin with {PREFIX!r}.", _AGAIN)
    text = line.removeprefix(PREFIX)
    try:
        read = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        payload, kind, signatures = read["payload"], read["payloadType"], read["signatures"]
        base64.b64decode(payload, validate=True)
        kept = [{"keyid": str(one["keyid"]), "sig": str(one["sig"])} for one in signatures]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, binascii.Error, KeyError, TypeError, ValueError) as error:
        raise ReleaseRefused(f"{problem} cannot be read ({error}).", "Copy the whole line and paste it again.") from error
    if kind != DECISION_TYPE:
        raise ReleaseRefused(f"{problem} signs {kind}, not a decision.", _AGAIN)
    return {"payload": payload, "payloadType": kind, "signatures": kept}


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 40 else text[:12]  # noqa: PLR2004 - a digest is known by its first twelve
