"""The head that was seen is kept by the highest number, and a file that is none is told from one that is not there."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lake.errors import VerificationError
from lake.release.heads import GENESIS, Head, keep_head, read_head


def head(seq: int, mark: str = "a") -> Head:
    return Head(seq=seq, digest=mark * 64)


def test_before_anything_was_seen_the_head_is_that_of_an_empty_chain(tmp_path: Path) -> None:
    assert read_head(tmp_path / "none.json") == Head(seq=0, digest=GENESIS)


def test_a_higher_head_replaces_a_lower_one_and_never_the_other_way(tmp_path: Path) -> None:
    path = tmp_path / "heads" / "parcels.json"
    keep_head(path, head(2))
    keep_head(path, head(5))
    keep_head(path, head(3))
    keep_head(path, head(5, "b"))

    assert read_head(path) == head(5), "also not by another entry of the same number"


def test_of_many_readers_at_once_the_highest_head_stays(tmp_path: Path) -> None:
    path = tmp_path / "parcels.json"
    with ThreadPoolExecutor(8) as readers:
        list(readers.map(lambda seq: keep_head(path, head(seq)), [seq * 37 % 101 for seq in range(1, 101)]))

    assert read_head(path) == head(100)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"seq": "high"}', b"\xff"])
def test_a_head_that_cannot_be_read_is_refused_and_not_overwritten(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "parcels.json"
    path.write_bytes(content)

    with pytest.raises(VerificationError, match=r"the head that was seen .*parcels\.json"):
        read_head(path)
    with pytest.raises(VerificationError):
        keep_head(path, head(9))
    assert path.read_bytes() == content
