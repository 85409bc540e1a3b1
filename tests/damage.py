"""What disks and careless hands do to a data file."""

from collections.abc import Callable
from pathlib import Path

from lake.delta import Table

Damage = Callable[[bytes], bytes]


def cut(data: bytes) -> bytes:
    """Half of it is there."""
    return data[: len(data) // 2]


def emptied(_: bytes) -> bytes:
    """Nothing of it is there."""
    return b""


def flipped_in_the_footer(data: bytes) -> bytes:
    """One bit of the length of what tells the columns is another one."""
    return data[:-6] + bytes([data[-6] ^ 0x40]) + data[-5:]


def flipped_in_a_page(data: bytes) -> bytes:
    """One bit of the first compressed page is another one: the magic number of its compression."""
    at = data.index(b"\x28\xb5\x2f\xfd")
    return data[:at] + bytes([data[at] ^ 0x01]) + data[at + 1 :]


DAMAGES = (cut, emptied, flipped_in_the_footer, flipped_in_a_page)


def damaged(table: Table, damage: Damage) -> Path:
    """Do it to one file of a table; says which."""
    file = Path(min(table.open().file_uris()))
    file.write_bytes(damage(file.read_bytes()))
    return file
