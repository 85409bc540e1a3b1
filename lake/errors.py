"""The error tree: each error takes data and writes its own message.

TrainServeError
├── SettingError          a setting, option or file of the operator's is wrong
├── InvalidInput          a request's body; carries every problem, each with its path
├── NotFound              a named thing that is not there
├── Conflict              somebody else was faster: read again, decide again
├── VerificationError     bytes, a signature or a chain that does not hold
├── ReleaseRefused        a decision that the release asset will not record
├── SchemaMismatch        a frame that does not fit its table
└── Unavailable           something needed is away for now: try again later
    └── SpoolUnavailable  the log cannot be written, so nothing may be answered
"""

from collections.abc import Iterable, Sequence
from itertools import islice

import msgspec

# A body that is wrong throughout is told what is wrong with its beginning, and how much more is.
PROBLEMS_LISTED = 100
_PROBLEMS_COUNTED = 1_000


class TrainServeError(Exception):
    """Base of every error that this platform raises on purpose."""


class SettingError(TrainServeError):
    """A setting of the operator's cannot be used."""

    def __init__(self, setting: str, found: object, expected: str) -> None:
        self.setting, self.found, self.expected = setting, found, expected
        super().__init__(f"{setting} is {found!r}, expected {expected}")


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with a request: where, what was found, what was expected."""

    path: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.path}: found {self.found}, expected {self.expected}"


class InvalidInput(TrainServeError):
    """A request that cannot be answered as it stands: the first of its problems, and how many `more` there are."""

    def __init__(self, problems: Iterable[Problem], more: int = 0) -> None:
        found = iter(problems)
        self.problems = tuple(islice(found, PROBLEMS_LISTED))
        self.more = more + sum(1 for _ in islice(found, _PROBLEMS_COUNTED))
        words = [str(problem) for problem in self.problems]
        if self.more:
            words.append(f"and {'at least ' if self.more >= _PROBLEMS_COUNTED else ''}{self.more:,} more")
        super().__init__("; ".join(words))


class NotFound(TrainServeError):
    """A named thing is not there."""

    def __init__(self, what: str, name: str, do: str = "") -> None:
        super().__init__(f"There is no {what} {name!r}." + (f" {do}" if do else ""))


class Conflict(TrainServeError):
    """Another writer was faster."""

    def __init__(self, what: str, expected: object, found: object) -> None:
        super().__init__(f"{what}: expected {expected}, found {found}. Read it again and decide again.")


class VerificationError(TrainServeError):
    """Something does not hold: a digest, a signature, a link of the chain."""

    def __init__(self, what: str, found: str, expected: str) -> None:
        super().__init__(f"{what} does not verify: found {found}, expected {expected}")


class ReleaseRefused(TrainServeError):
    """The decision cannot be recorded; says which requirement failed and what to do."""

    def __init__(self, why: str, do: str) -> None:
        super().__init__(f"Refused: {why} {do}")


class SchemaMismatch(TrainServeError):
    """A frame does not fit its table; lists every offending column."""

    def __init__(self, table: str, problems: Sequence[str]) -> None:
        super().__init__(f"Rows for table {table!r} do not fit its schema: " + "; ".join(problems))


class Unavailable(TrainServeError):
    """Something needed is away for now."""

    def __init__(self, what: str, why: str, do: str = "Try again shortly.") -> None:
        self.why = why
        super().__init__(f"{what} is not available: {why.removesuffix('.')}. {do}")


class SpoolUnavailable(Unavailable):
    """The prediction log cannot be written: nothing is answered unlogged."""

    def __init__(self, why: str) -> None:
        super().__init__("The prediction log", why, "Nothing was answered unlogged; try again when the disk is writable.")
