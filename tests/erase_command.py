"""`trainserve erase` in this process, on the use case of a platform; and in one of its own, which can be killed."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from lake.commands.line import main
from lake.failpoints import VARIABLE
from lake.home import Home
from tests.erasable import ENTITY
from tests.parcel_training import write_defs
from tests.scenario import USE_CASE
from trainserve_assets.use_case import UseCase

CONFIRMED = ("--yes", "--by", "ada", "--why", "ticket 17")
_IN_ITS_OWN = """
import sys
from pathlib import Path
import trainserve_assets.catalog
from lake.commands.line import main
trainserve_assets.catalog._DEFS = Path(sys.argv.pop(1))
main()
"""


class Said(msgspec.Struct, frozen=True):
    """How the command ended, and what it printed."""

    status: int
    out: str
    err: str


Erase = Callable[..., Said]
Install = Callable[[UseCase], Path]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Makes a use case the one that this installation has; gives its folder."""

    def install(use_case: UseCase) -> Path:
        folder = tmp_path / f"defs-{len(list(tmp_path.glob('defs-*')))}"
        write_defs(folder, use_case)
        monkeypatch.setattr("trainserve_assets.catalog._DEFS", folder)
        return folder

    return install


@pytest.fixture
def erase(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Erase:
    """The command, with these arguments."""

    def run(*arguments: str, entity: str = ENTITY) -> Said:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["trainserve", "erase", USE_CASE, "--entity", entity, *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Said(int(ended.value.code or 0), printed.out, " ".join(printed.err.split()))

    return run


def killed_at(home: Home, defs: Path, failpoint: str) -> int:
    """Run the command in a process that kills itself at this failpoint; returns how it ended."""
    command = [sys.executable, "-c", _IN_ITS_OWN, str(defs), "erase", USE_CASE, "--entity", ENTITY, *CONFIRMED]
    ended = subprocess.run(command, env={**home.environment(), VARIABLE: failpoint}, capture_output=True, check=False)
    return ended.returncode
