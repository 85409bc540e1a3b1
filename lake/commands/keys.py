"""`trainserve keys`: an approver's own key."""

from pathlib import Path

import cyclopts
from rich.console import Console

from lake.commands.passphrase import ask_passphrase
from lake.errors import SettingError
from lake.release.signatures import ApproverKey, public_text

keys = cyclopts.App(name="keys", help="Make the key that an approver signs with.")


@keys.command
def new(name: str, *, file: Path | None = None) -> None:
    """Make a key, kept in a file under a passphrase, and print the public half for `approvers.yaml`.

    Parameters
    ----------
    name
        The approver's name.
    file
        Where the private key is kept; by default `NAME.key` in `~/.config/trainserve`. It never leaves that machine.

    """
    if not name.strip() or not {"=", "/"}.isdisjoint(name):
        raise SettingError("NAME", name, "the approver's name, without = and /")
    path = (file or Path("~/.config/trainserve") / f"{name}.key").expanduser()
    key = ApproverKey.make(path, ask_passphrase(str(path), twice=True))
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(f"The private key of {name} is in {path}, under the passphrase. Keep both to yourself.")
    console.print("Whoever keeps approvers.yaml adds the public key with:\n")
    console.print(f"  trainserve approvers propose --add {name}={public_text(key.public)}\n")
