"""The key of one machine's log, and the public halves by which others check what it signed.

The private key is `keys/log.key`, readable by its owner only, made by the first worker that logs. Its public half is
`keys/trusted_log/<id>.pub`: base64 of its 32 bytes, for a reader on another machine to copy. Its id is the beginning of
the digest of these bytes.
"""

import base64
import contextlib
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from lake.documents import sha256, write_file, write_new_file
from lake.errors import SettingError
from lake.release.signatures import read_private_key

LOG_KEY = "log.key"
TRUSTED_LOG = "trusted_log"
_ID_LENGTH = 16
_OWNER_ONLY = 0o600


class LogKey:
    """Signs the commits of this machine's log."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key()
        self.id = key_id(self.public)

    @classmethod
    def read_or_make(cls, keys: Path) -> "LogKey":
        """The key in this folder, made when there is none yet; of workers that start together all get the same."""
        path = keys / LOG_KEY
        if not path.exists():
            pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            with contextlib.suppress(FileExistsError):  # another worker was faster
                write_new_file(path, pem, mode=_OWNER_ONLY)
        key = cls(read_private_key(path))
        public = keys / TRUSTED_LOG / f"{key.id}.pub"
        if not public.exists():
            write_file(public, base64.b64encode(key.public.public_bytes_raw()) + b"\n")
        return key

    def sign(self, data: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._private.sign(data)


LogKeys = dict[str, Ed25519PublicKey]


def read_trusted_log(keys: Path) -> LogKeys:
    """The public keys below this folder by their ids; empty when there is none. Raises SettingError."""
    trusted = {}
    for path in sorted((keys / TRUSTED_LOG).glob("*.pub")):
        try:
            public = Ed25519PublicKey.from_public_bytes(base64.b64decode(path.read_bytes().strip(), validate=True))
        except ValueError as error:
            raise SettingError(f"the log's key {path}", str(error), "base64 of the 32 bytes of an Ed25519 public key") from error
        trusted[key_id(public)] = public
    return trusted


def key_id(public: Ed25519PublicKey) -> str:
    """How a commit names the key that signed it."""
    return sha256(public.public_bytes_raw())[:_ID_LENGTH]


def is_signed(public: Ed25519PublicKey, data: bytes, signature: bytes) -> bool:
    """Whether this key signed just these bytes."""
    try:
        public.verify(signature, data)
    except InvalidSignature:
        return False
    return True
