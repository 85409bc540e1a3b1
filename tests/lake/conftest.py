"""The command `trainserve` in this process, with the home of the test."""

import sys
from collections.abc import Callable

import msgspec
import pytest

from lake.commands.line import main


class Ended(msgspec.Struct, frozen=True):
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


Trainserve = Callable[..., Ended]


@pytest.fixture
def trainserve(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Trainserve:
    """Runs the command with these arguments."""

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["trainserve", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    return run
