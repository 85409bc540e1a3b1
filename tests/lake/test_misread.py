"""What is wrong with a file that somebody wrote by hand is said in one line, in words, with its place."""

from typing import Annotated

import msgspec
import pytest

from lake.misread import misread, wanted


class Shelf(msgspec.Struct, forbid_unknown_fields=True):
    """Something to read."""

    books: int
    owner: str | None = None
    widths: tuple[float, ...] = ()


def complaint(text: bytes) -> Exception:
    """What msgspec says of these bytes."""
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)) as raised:
        msgspec.yaml.decode(text, type=Shelf)
    return raised.value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"a: [\n b: }", "no YAML at line 2, column 5: did not find expected node content"),
        (b"- a\nb: c", "no YAML at line 2, column 1: did not find expected '-' indicator"),
        (b"", "null, where an object is expected"),
        (b"- 1", "a list, where an object is expected"),
        (b"owner: anna", "an object without the member `books`"),
        (b"books: 1\npages: 2", "an object with the unknown member `pages`"),
        (b"books: many", "text at books, where an integer is expected"),
        (b"books: 1\nowner: 3", "an integer at owner, where text or null is expected"),
        (b"books: 1\nwidths: [1.5, wide]", "text at widths[1], where a number is expected"),
    ],
)
def test_it_names_the_place_what_is_there_and_what_belongs_there(text: bytes, words: str) -> None:
    assert misread(complaint(text)) == words


def test_what_was_expected_stands_alone_where_what_is_there_is_shown() -> None:
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.convert(-1, Annotated[int, msgspec.Meta(ge=0)])
    assert wanted(raised.value) == "an integer >= 0"
    assert wanted(complaint(b"books: many")) == "an integer"


def test_bytes_that_are_no_text_are_called_so() -> None:
    with pytest.raises(UnicodeDecodeError) as raised:
        b"\xff".decode()
    assert misread(raised.value) == "bytes that are not UTF-8"
