"""What the key of a machine's log vouches for: rows that say why others are gone, each signed by itself."""

from typing import ClassVar, Self

import msgspec

from lake.log.log_key import LogKey, LogKeys, is_signed

_encode = msgspec.json.Encoder(order="sorted").encode


class Vouched(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Such a row; `SIGNED_FOR` tells one kind from the others.

    Defaults are left out of what is signed: a later member with one leaves the signatures of older rows as they are.
    """

    SIGNED_FOR: ClassVar[bytes]

    key_id: str = ""
    signature: bytes = b""

    def signed(self, key: LogKey) -> Self:
        """The same with the signature of this key."""
        named = msgspec.structs.replace(self, key_id=key.id, signature=b"")
        return msgspec.structs.replace(named, signature=key.sign(self.SIGNED_FOR + _encode(named)))

    def problem(self, keys: LogKeys) -> str | None:
        """Why it proves nothing, if so."""
        public = keys.get(self.key_id)
        if public is None:
            return f"the key {self.key_id} that signed so is none of the {len(keys)} trusted"
        unsigned = _encode(msgspec.structs.replace(self, signature=b""))
        return None if is_signed(public, self.SIGNED_FOR + unsigned, self.signature) else "no trusted key signed so"
