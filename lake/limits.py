"""How much one request may ask of a server: settings of the operator's."""

import msgspec

from lake.decoder import MAXIMUM_ROWS
from lake.errors import SettingError

MAXIMUM_BYTES = 10_000_000


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much one request may ask: of more rows it is refused with 400, of more bytes with 413."""

    rows: int = MAXIMUM_ROWS
    bytes: int = MAXIMUM_BYTES

    def __post_init__(self) -> None:
        for name, found in (("maximum_rows", self.rows), ("maximum_bytes", self.bytes)):
            if found < 1:
                raise SettingError(name, found, "at least 1")


DEFAULT_LIMITS = Limits()
