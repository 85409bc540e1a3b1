"""`trainserve keys`: an approver's own key, to sign with, and the keys of clients, to be let in with."""

from pathlib import Path

import cyclopts
from rich.console import Console

from lake.commands.passphrase import ask_passphrase
from lake.credentials import CredentialRole, add_credential, read_credentials, remove_credential
from lake.errors import SettingError
from lake.home import Home
from lake.release.signatures import ApproverKey, public_text

keys = cyclopts.App(name="keys", help="Make the key that an approver signs with, and the keys that clients are let in with.")


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
    console = _console()
    console.print(f"The private key of {name} is in {path}, under the passphrase. Keep both to yourself.")
    console.print("Whoever keeps approvers.yaml adds the public key with:\n")
    console.print(f"  trainserve approvers propose --add {name}={public_text(key.public)}\n")


@keys.command
def client(name: str, *, role: tuple[CredentialRole, ...] = ("client",)) -> None:
    """Make an API key and print it, this once: servers of this home keep its hash in `credentials.yaml`, and take it at once.

    Parameters
    ----------
    name
        Whose key it is; it stands in the rows of the log and in the history of parameters.
    role
        What it may do: client (ask for predictions), labeller (send labels), operator (change parameters), monitor (lower
        shares). May stand several times.

    """
    if not name.strip() or not name.isprintable():
        raise SettingError("NAME", name, "whose key it is, in a line")
    path = Home.from_environment().credentials
    first = not path.exists()
    key = add_credential(path, name, tuple(dict.fromkeys(role)))
    told = _console(stderr=True)
    told.print(f"The key of {name}, for {', '.join(dict.fromkeys(role))}. It is shown this once; {path} has its hash.")
    if first:
        told.print("It is the first: from now on whoever has no key is refused, where nobody was asked for one before.")
    told.print("It is sent as the header `Authorization: Bearer KEY`; commands take it from TRAINSERVE_API_KEY.")
    _console().print(key)


@keys.command(name="list")
def list_() -> None:
    """List whose API keys are taken, and what each may do."""
    path, console = Home.from_environment().credentials, _console()
    known = read_credentials(path)
    if known is None:
        console.print(f"There is no {path}: nobody is asked for a key.")
        return
    for credential in known:
        console.print(f"{credential.id}: {', '.join(credential.roles)}")
    if not known:
        console.print(f"{path} has none: nobody is let in.")


@keys.command
def withdraw(name: str) -> None:
    """Take an API key back: servers of this home refuse it within a second.

    Parameters
    ----------
    name
        Whose key it was. The same name may be given a new one.

    """
    path = Home.from_environment().credentials
    left = remove_credential(path, name)
    _console().print(f"The key of {name} is withdrawn; {left} {'is' if left == 1 else 'are'} left in {path}.")


def _console(*, stderr: bool = False) -> Console:
    return Console(highlight=False, soft_wrap=True, markup=False, stderr=stderr)
