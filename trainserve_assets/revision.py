"""The revision of the code that trains, and whether it leads back to a commit."""

import shutil
import subprocess
from pathlib import Path

UNKNOWN = "unknown"
_DIRTY = "-dirty"


def source_revision() -> str:
    """The commit of the code that trains, with `-dirty` behind it when files differ from it; "unknown" without git."""
    git = shutil.which("git")
    if git is None:
        return UNKNOWN
    command = [git, "-C", str(Path(__file__).parent), "describe", "--always", f"--dirty={_DIRTY}", "--abbrev=40", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - nothing in it comes from outside
    return done.stdout.strip() if done.returncode == 0 else UNKNOWN


def is_traceable(revision: str) -> bool:
    """Whether the code can be had again by its commit: it was known, and no file differed from it."""
    return revision not in ("", UNKNOWN) and not revision.endswith(_DIRTY)
