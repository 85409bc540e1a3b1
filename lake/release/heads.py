"""How far a chain has been seen: kept in the home, apart from what it guards, so that a cut tail is noticed."""

from pathlib import Path

from lake.documents import Document, canonical, decoded, write_file
from lake.file_lock import locked

GENESIS = "0" * 64


class Head(Document, frozen=True, kw_only=True):
    """The newest entry of a chain: its number and digest."""

    seq: int = 0
    digest: str = GENESIS


def read_head(path: Path) -> Head:
    """The head that is kept in this file; that of an empty chain when there is none. Raises VerificationError."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Head()
    return decoded(data, f"the head that was seen ({path})", Head)


def keep_head(path: Path, head: Head) -> None:
    """Keep the head unless a higher one is kept: several readers of one home never step it back."""
    with locked(path):
        if read_head(path).seq < head.seq:
            write_file(path, canonical(head))
