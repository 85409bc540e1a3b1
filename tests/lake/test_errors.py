"""Every error of the platform is on one tree, which its module draws, and says what to do."""

import inspect

import pytest

from lake import errors
from lake.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    Problem,
    ReleaseRefused,
    SettingError,
    SpoolUnavailable,
    TrainServeError,
    Unavailable,
    VerificationError,
)


def drawn(error: type[object], indent: str = "") -> list[str]:
    """The names of an error's children in the module, each with its branch, in the order in which they are defined."""
    children = [child for child in vars(errors).values() if inspect.isclass(child) and child.__bases__ == (error,)]
    lines = []
    for child in children:
        last = child is children[-1]
        lines.append(f"{indent}{'└── ' if last else '├── '}{child.__name__}")
        lines += drawn(child, indent + ("    " if last else "│   "))
    return lines


def test_the_tree_that_the_module_draws_is_the_tree_that_it_has() -> None:
    picture = inspect.getdoc(errors) or ""
    branches = [line for line in picture.splitlines() if "── " in line]

    assert [line.split("── ")[0] + "── " + line.split("── ")[1].split()[0] for line in branches] == drawn(TrainServeError)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SettingError("PORT", "x", "a number"), "PORT is 'x', expected a number"),
        (NotFound("arm", "b", "There is 'a'."), "There is no arm 'b'. There is 'a'."),
        (NotFound("arm", "b"), "There is no arm 'b'."),
        (Conflict("it", "version 1", "version 2"), "it: expected version 1, found version 2. Read it again and decide again."),
        (VerificationError("it", "a", "b"), "it does not verify: found a, expected b"),
        (ReleaseRefused("no.", "Ask."), "Refused: no. Ask."),
        (Unavailable("It", "it is away"), "It is not available: it is away. Try again shortly."),
    ],
)
def test_a_message_names_the_thing_what_was_found_and_what_to_do(error: TrainServeError, words: str) -> None:
    assert str(error) == words


def test_all_problems_of_an_input_stand_in_one_message() -> None:
    problems = [Problem(path=f"records[{number}]", found="3", expected="text") for number in range(2)]

    assert str(InvalidInput(problems)) == "records[0]: found 3, expected text; records[1]: found 3, expected text"
    assert InvalidInput(problems).problems == tuple(problems)


def test_a_log_that_cannot_be_written_is_something_that_is_away_for_now() -> None:
    assert isinstance(SpoolUnavailable("No space left on device"), Unavailable)
    assert "Nothing was answered unlogged" in str(SpoolUnavailable("No space left on device"))
