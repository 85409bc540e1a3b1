"""Ed25519 keys and the DSSE envelopes that they sign.

The platform's private key stands in `keys/platform.key` of the training machine's home, readable by its owner only; an
approver's stands wherever they keep it, encrypted with a passphrase. Public keys are written as base64 of their 32 bytes.
"""

import base64
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import FormatError
from securesystemslib.exceptions import VerificationError as SignatureError
from securesystemslib.signer import CryptoSigner, SSlibKey

from lake.documents import canonical, write_file, write_new_file
from lake.errors import SettingError, VerificationError

PLATFORM_KEY = "platform.key"
TRUSTED = "trusted"
_OWNER_ONLY = 0o600


class SigningKey:
    """A private key in memory."""

    def __init__(self, signer: CryptoSigner) -> None:
        self._signer = signer

    @property
    def public(self) -> SSlibKey:
        """The half that others verify with."""
        return self._signer.public_key

    def seal(self, payload: bytes, payload_type: str) -> dict[str, Any]:
        """A signed envelope around these bytes."""
        envelope = Envelope(payload, payload_type, {})
        envelope.sign(self._signer)
        return envelope.to_dict()

    def sign(self, payload: bytes, payload_type: str) -> dict[str, Any]:
        """The signature alone, as an envelope lists it."""
        signature: dict[str, Any] = self.seal(payload, payload_type)["signatures"][0]
        return signature


class PlatformKey(SigningKey):
    """Signs events in the platform's name."""

    @classmethod
    def read_or_make(cls, keys: Path) -> "PlatformKey":
        """The key in this folder; made, with its public half among the trusted, when there is none yet."""
        path = keys / PLATFORM_KEY
        if not path.exists():
            signer = CryptoSigner.generate_ed25519()
            public = signer.public_key
            write_file(keys / TRUSTED / f"{public.keyid}.json", msgspec.json.encode(public.to_dict()))
            write_file(path, signer.private_bytes, mode=_OWNER_ONLY)
        return cls(CryptoSigner(read_private_key(path)))


class ApproverKey(SigningKey):
    """Signs decisions in one person's name."""

    @classmethod
    def make(cls, path: Path, passphrase: str) -> "ApproverKey":
        """A new key, kept in this file under a passphrase. Raises SettingError when the file is there or it has none."""
        if not passphrase:
            raise SettingError("the passphrase", "", "one that protects the key when its file is lost")
        private = Ed25519PrivateKey.generate()
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase.encode()))
        try:
            write_new_file(path, pem, mode=_OWNER_ONLY)
        except FileExistsError as error:
            raise SettingError("the key's file", str(path), "one that is not there yet: keys are never overwritten") from error
        return cls(CryptoSigner(private))

    @classmethod
    def read(cls, path: Path, passphrase: str) -> "ApproverKey":
        """The key in this file. Raises SettingError for a wrong passphrase, another kind of file, or one others can read."""
        return cls(CryptoSigner(read_private_key(path, passphrase)))


def public_text(key: SSlibKey) -> str:
    """The key's 32 bytes in base64, as `approvers.yaml` lists it."""
    return base64.b64encode(bytes.fromhex(key.keyval["public"])).decode()


def public_key(text: str) -> SSlibKey:
    """The key that base64 of 32 bytes names. Raises ValueError."""
    try:
        raw = base64.b64decode(text, validate=True)
        return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(raw))
    except ValueError as error:
        raise ValueError(f"{text!r} is not base64 of the 32 bytes of an Ed25519 public key") from error


def read_trusted(keys: Path) -> dict[str, SSlibKey]:
    """The platform's public keys below this folder, by their ids; empty when there is none yet."""
    found = {path.stem: path for path in sorted((keys / TRUSTED).glob("*.json"))}
    trusted = {}
    for keyid, path in found.items():
        try:
            trusted[keyid] = SSlibKey.from_dict(keyid, msgspec.json.decode(path.read_bytes()))
        except (msgspec.MsgspecError, FormatError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise SettingError(f"the trusted key {path}", str(error), "a public key, as the first release makes it") from error
    return trusted


def opened(envelope: Any, payload_type: str, keys: Mapping[str, SSlibKey], what: str) -> tuple[bytes, frozenset[str]]:
    """The payload of an envelope, and which of these keys signed just these bytes: one at least.

    Raises VerificationError when none did, or when it holds something else.
    """
    if not isinstance(envelope, dict):
        raise VerificationError(what, f"a {type(envelope).__name__}", "a signed envelope")
    try:
        read = _envelope(envelope)
        if read.payload_type != payload_type:
            raise VerificationError(what, f"payload type {read.payload_type}", payload_type)
        signed = frozenset(keyid for keyid, key in keys.items() if keyid in read.signatures and _signed(read, key))
    except (FormatError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise VerificationError(what, f"no signed envelope ({error})", "a payload, its type and signatures") from error
    if not signed:
        raise VerificationError(what, f"no valid signature by any of {len(keys)} trusted keys", "one at least")
    return read.payload, signed


def rewritten(envelope: dict[str, Any]) -> bytes:
    """The bytes that `seal` makes of the payload and first signature of an opened envelope: its only ones.

    Whoever compares notices what no signature covers: spare bits of base64, further signatures, fields that nobody reads.
    """
    first = envelope["signatures"][0]
    signature = {"keyid": first["keyid"], "sig": _base64(first["sig"])}
    plain = {"payload": _base64(envelope["payload"]), "payloadType": envelope["payloadType"], "signatures": [signature]}
    return canonical(plain)


def merged(envelopes: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """One envelope with the signatures of several around the same payload. Raises VerificationError when they differ."""
    first, *others = envelopes
    signatures = {one["keyid"]: one for one in first["signatures"]}
    for other in others:
        if (other["payload"], other["payloadType"]) != (first["payload"], first["payloadType"]):
            raise VerificationError("the signatures", "two different decisions", "one decision that all of them signed")
        signatures |= {one["keyid"]: one for one in other["signatures"]}
    return {**first, "signatures": [signatures[keyid] for keyid in sorted(signatures)]}


def random_nonce() -> str:
    """128 bits that no other decision has."""
    return os.urandom(16).hex()


def read_private_key(path: Path, passphrase: str | None = None) -> Ed25519PrivateKey:
    """The private key in this file. Raises SettingError for a wrong passphrase, another kind of file, or one others can read."""
    if path.stat().st_mode & 0o077:
        raise SettingError(f"the mode of {path}", oct(path.stat().st_mode & 0o777), "0o600: nobody but its owner may read it")
    password = None if passphrase is None else passphrase.encode()
    try:
        private = load_pem_private_key(path.read_bytes(), password=password)
    except (ValueError, TypeError) as error:
        expected = "a private key in PEM" + ("" if passphrase is None else ", and the passphrase it was made with")
        raise SettingError(str(path), str(error), expected) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise SettingError(str(path), type(private).__name__, "an Ed25519 private key")
    return private


def _base64(text: str) -> str:
    return base64.b64encode(base64.b64decode(text)).decode()


def _envelope(envelope: dict[str, Any]) -> Envelope:
    return Envelope.from_dict(msgspec.json.decode(msgspec.json.encode(envelope)))  # a copy: it is changed while it is read


def _signed(envelope: Envelope, key: SSlibKey) -> bool:
    try:
        envelope.verify([key], 1)
    except SignatureError:
        return False
    return True
