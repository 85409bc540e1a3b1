"""The passphrase of an approver's key: asked for on a terminal, or taken from `TRAINSERVE_PASSPHRASE`."""

import getpass
import os
import sys

from lake.errors import SettingError

VARIABLE = "TRAINSERVE_PASSPHRASE"


def ask_passphrase(what: str, *, twice: bool = False) -> str:
    """The passphrase of this key; a new one is asked for twice. Raises SettingError without a terminal or when both differ."""
    given = os.environ.get(VARIABLE)
    if given:
        return given
    if not sys.stdin.isatty():
        raise SettingError(f"the passphrase of {what}", "", f"one in {VARIABLE}, or a terminal to type it on")
    first = getpass.getpass(f"Passphrase of {what}: ")
    if twice and getpass.getpass("The same again: ") != first:
        raise SettingError(f"the passphrase of {what}", "two different ones", "the same twice")
    return first
