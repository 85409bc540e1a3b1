"""What tests of the lake share: the command `trainserve` in this process, and a log that was shipped."""

import sys
from collections.abc import Callable

import msgspec
import pytest

from lake.commands.line import main
from lake.home import Home
from tests.audited import Groups, log
from tests.scenario import label, prediction


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


@pytest.fixture
def logged(home: Home) -> Home:
    """Two slots with four commits each: nine predictions and five labels, shipped."""
    first: Groups = [[prediction(1), label(1)], [prediction(2)], [prediction(3), prediction(4), label(3)], [label(4)]]
    second: Groups = [
        [prediction(11)],
        [prediction(12), label(12)],
        [prediction(13), prediction(14)],
        [prediction(15), label(15)],
    ]
    log(home, first, second)
    return home
