"""What of a row may be kept: keyed hashes in the place of keys and sensitive values, and the key that they are made with.

The key is `keys/privacy.key`, readable by its owner only. Whoever writes rows of one lake hashes with the same key, else
rows about one entity would not meet; so the lake holds the key's fingerprint, and a machine with another key is told.
Without the key no hash leads back to a value, not even to one that can be guessed.
"""

import contextlib
import os
from collections.abc import Callable, Iterable
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from lake.decoder import epoch_us
from lake.documents import Document, DocumentStore, canonical, decoded, write_new_file
from lake.errors import Conflict, SettingError, Unavailable
from lake.input_schema import InputSchema

PRIVACY_KEY = "privacy.key"
_FINGERPRINT = "privacy_key.json"
_KEY_BYTES = 32
_HASH_BYTES = 16
_OWNER_ONLY = 0o600


class Fingerprint(Document, frozen=True, kw_only=True):
    """Which key the rows of a lake were hashed with; it tells nothing about the key."""

    fingerprint: str
    format_version: int = 1


class Privacy:
    """Hashes with one key; equal texts have equal hashes, apart for each use case and each field."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def open(cls, keys: Path, store: DocumentStore) -> "Privacy":
        """The key in this folder, made when neither it nor the lake has one yet.

        Raises SettingError when the rows of the lake were hashed with another key. While the lake is away a key that is
        there is used, and none is made: that raises Unavailable.
        """
        path = keys / PRIVACY_KEY
        try:
            known = _find_fingerprint(store)
        except Unavailable:
            if not path.exists():
                raise
            return cls.read(path)
        if not path.exists():
            if known is not None:
                raise _another_key(path, "not there", known)
            with contextlib.suppress(FileExistsError):  # another process of this machine made it in the same moment
                write_new_file(path, os.urandom(_KEY_BYTES), _OWNER_ONLY)
        privacy = cls.read(path)
        if known is None:
            known = _published(store, privacy.fingerprint)
        if known != privacy.fingerprint:
            raise _another_key(path, privacy.fingerprint, known)
        return privacy

    @classmethod
    def read(cls, path: Path) -> "Privacy":
        """The key in this file. Raises SettingError for one that is not 32 bytes, or that others can read."""
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise SettingError(f"the mode of {path}", oct(mode), "0o600: nobody but its owner may read it")
        key = path.read_bytes()
        if len(key) != _KEY_BYTES:
            raise SettingError(str(path), f"a file of {len(key)} bytes", f"{_KEY_BYTES} random bytes, as they were made")
        return cls(key)

    @property
    def fingerprint(self) -> str:
        """What tells this key from others."""
        return self._hash(b"fingerprint", "")

    def key_hash(self, use_case: str, key: str) -> str:
        """How a client's routing key or an entity stands in a row: 32 hexadecimal digits."""
        return self._hash(b"key", use_case, key)

    def value_hash(self, use_case: str, field: str, value: Any) -> str | None:
        """How a value of a sensitive field stands in a row: 32 hexadecimal digits; null stays null."""
        return None if value is None else self._hash(b"value", use_case, field, _spelled(value))

    def _hash(self, purpose: bytes, *words: str) -> str:
        text = "\x1f".join(words).encode()
        return blake2b(text, digest_size=_HASH_BYTES, key=self._key, person=purpose).hexdigest()


class Redactor:
    """Makes of the records of one use case what the log may keep of them."""

    def __init__(self, schema: InputSchema, privacy: Privacy) -> None:
        self.schema = schema
        self.keeps_raw = not any(field.sensitive for field in schema.fields)
        self._privacy = privacy
        self.entity = schema.entity_reader()
        self._features = self._features_reader()

    def key_hash(self, key: str | None) -> str | None:
        """How a key stands in a row."""
        return None if key is None else self._privacy.key_hash(self.schema.use_case, key)

    def entity_hash(self, record: Any) -> str | None:
        """How the entity of a record stands in a row; None where the use case names none."""
        return self.key_hash(self.entity(record))

    def key_hashes(self, keys: Iterable[str | None]) -> dict[str | None, str | None]:
        """How keys stand in rows: each is hashed once, however often it is there."""
        return {key: self.key_hash(key) for key in set(keys)}

    def features(self, record: Any) -> Any:
        """The record as it may be kept: itself where no field is sensitive."""
        return self._features(record)

    def _features_reader(self) -> Callable[[Any], Any]:
        fields = self.schema.fields
        hashed = {field.name for field in fields if field.is_hashed}
        if self.keeps_raw:
            return lambda record: record
        names = [field.name for field in self.schema.kept().fields]
        kept: Any = msgspec.defstruct("Kept", [(name, Any, None) for name in names], frozen=True, omit_defaults=True, gc=False)
        use_case, value_hash = self.schema.use_case, self._privacy.value_hash

        def features(record: Any) -> Any:
            return kept(
                *[
                    value_hash(use_case, name, getattr(record, name)) if name in hashed else getattr(record, name)
                    for name in names
                ]
            )

        return features


def _find_fingerprint(store: DocumentStore) -> str | None:
    encoded = store.find(_FINGERPRINT)
    return None if encoded is None else decoded(encoded, "the fingerprint of the privacy key", Fingerprint).fingerprint


def _published(store: DocumentStore, fingerprint: str) -> str:
    """Tell the lake which key it is; returns what then holds, for another machine may have been faster."""
    try:
        store.put_new(_FINGERPRINT, canonical(Fingerprint(fingerprint=fingerprint)))
    except Conflict:
        return _find_fingerprint(store) or fingerprint
    except Unavailable:
        return fingerprint  # a lake that takes no writes from here: who may write tells it
    return fingerprint


def _another_key(path: Path, found: str, known: str) -> SettingError:
    expected = (
        f"the key with the fingerprint {known}, which the rows of this lake were hashed with: copy it from a machine that has it"
    )
    return SettingError(f"the privacy key {path}", found, expected)


def _spelled(value: Any) -> str:
    """One text for one value, whichever way it came: a moment is the same in every zone."""
    return str(epoch_us(value)) if isinstance(value, datetime) else str(value)
