"""The command `trainserve`: each package brings its commands; an error raised on purpose is one message and status 1."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lake.commands.line import GROUP

COMMANDS = '''
from lake.errors import SettingError

def refuse():
    """Refuse, in words that a terminal could take for markup."""
    raise SettingError("PORT", ["[bold]", "[/nothing]"], "a number")

def stay():
    """Be interrupted."""
    raise KeyboardInterrupt

def succeed():
    """Say by status how it went."""
    return 7
'''


@pytest.fixture
def another_package(tmp_path: Path) -> Path:
    """A folder that holds one more installed package, which brings three commands."""
    (tmp_path / "another.py").write_text(COMMANDS)
    metadata = tmp_path / "another-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: another\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        f"[{GROUP}]\n" + "".join(f"{name} = another:{name}\n" for name in ("refuse", "stay", "succeed"))
    )
    return tmp_path


def trainserve(*arguments: str, packages: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What the installed command prints and returns."""
    environment = {**os.environ, "PYTHONPATH": str(packages)} if packages else None
    command = [str(Path(sys.executable).with_name("trainserve")), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_an_error_is_one_message_in_its_own_words(another_package: Path) -> None:
    ended = trainserve("refuse", packages=another_package)

    assert (ended.returncode, ended.stderr) == (1, "trainserve: PORT is ['[bold]', '[/nothing]'], expected a number\n")


@pytest.mark.parametrize(("command", "status"), [("succeed", 7), ("stay", 130)])
def test_a_command_gives_its_status(another_package: Path, command: str, status: int) -> None:
    assert trainserve(command, packages=another_package).returncode == status


def test_the_commands_of_every_installed_package_are_listed(another_package: Path) -> None:
    listed = trainserve("--help", packages=another_package).stdout

    assert "stay" in listed
    assert "shipper" in [entry.name for entry in importlib.metadata.entry_points(group=GROUP)]
    for entry in importlib.metadata.entry_points(group=GROUP):
        assert entry.name in listed
