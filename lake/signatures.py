"""The platform's signing key and the DSSE envelopes it signs.

The private key stands in `keys/platform.key` of the training machine's home, readable by its owner only; readers
trust the public keys in `keys/trusted/`, which stand outside the lake.
"""

import os
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import FormatError
from securesystemslib.exceptions import VerificationError as SignatureError
from securesystemslib.signer import CryptoSigner, SSlibKey

from lake.documents import write_file
from lake.errors import SettingError, VerificationError

PLATFORM_KEY = "platform.key"
TRUSTED = "trusted"


class Trust:
    """The public keys whose signature counts."""

    def __init__(self, keys: dict[str, SSlibKey]) -> None:
        self._keys = keys

    @classmethod
    def read(cls, keys: Path) -> "Trust":
        """The trusted public keys below this folder. Raises SettingError when there is none."""
        found = {path.stem: path.read_bytes() for path in sorted((keys / TRUSTED).glob("*.json"))}
        if not found:
            raise SettingError(
                f"the folder of trusted keys {keys / TRUSTED}",
                "empty",
                "the platform's public key: it is made by the first release, or copy it from the training machine",
            )
        return cls({name: SSlibKey.from_dict(name, msgspec.json.decode(data)) for name, data in found.items()})

    def open(self, envelope: Any, payload_type: str, what: str) -> bytes:
        """The payload of a signed envelope. Raises VerificationError when no trusted key signed just these bytes."""
        if not isinstance(envelope, dict):
            raise VerificationError(what, f"a {type(envelope).__name__}", "a signed envelope")
        try:
            opened = Envelope.from_dict(msgspec.json.decode(msgspec.json.encode(envelope)))
            if opened.payload_type != payload_type:
                raise VerificationError(what, f"payload type {opened.payload_type}", payload_type)
            opened.verify(list(self._keys.values()), 1)
        except (SignatureError, FormatError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise VerificationError(what, f"no valid signature ({error})", f"one by a key of {sorted(self._keys)}") from error
        return opened.payload


class PlatformKey:
    """Signs in the platform's name."""

    def __init__(self, signer: CryptoSigner) -> None:
        self._signer = signer

    @classmethod
    def read_or_make(cls, keys: Path) -> "PlatformKey":
        """The key in this folder; made, with its public half among the trusted, when there is none yet."""
        path = keys / PLATFORM_KEY
        if not path.exists():
            signer = CryptoSigner.generate_ed25519()
            public = signer.public_key
            write_file(keys / TRUSTED / f"{public.keyid}.json", msgspec.json.encode(public.to_dict()))
            write_file(path, signer.private_bytes, mode=0o600)
        if path.stat().st_mode & 0o077:
            raise SettingError(f"the mode of {path}", oct(path.stat().st_mode & 0o777), "0o600: nobody but its owner may read it")
        try:
            return cls(CryptoSigner(load_pem_private_key(path.read_bytes(), password=None)))
        except (ValueError, TypeError) as error:
            raise SettingError(str(path), str(error), "a private key in PEM, as the first release makes it") from error

    @property
    def trust(self) -> Trust:
        """Trust in this key alone."""
        public = self._signer.public_key
        return Trust({public.keyid: public})

    def seal(self, payload: bytes, payload_type: str) -> dict[str, Any]:
        """A signed envelope around these bytes."""
        envelope = Envelope(payload, payload_type, {})
        envelope.sign(self._signer)
        return envelope.to_dict()


def random_nonce() -> str:
    """128 bits that no other decision has."""
    return os.urandom(16).hex()
