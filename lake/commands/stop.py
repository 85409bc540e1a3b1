"""`trainserve stop` and `trainserve resume`: the kill switch of this machine, and of all others where a proxy stores it."""

import getpass
import re
from collections.abc import Sequence

from msgspec.structs import replace
from rich.console import Console

from lake.commands.confirmations import Expected, wait_for
from lake.errors import Conflict, SettingError, TrainServeError
from lake.home import Home
from lake.parameters.client import ParametersClient
from lake.parameters.document import Arm, Content, Parameters, change_of, content_of
from lake.parameters.held import HeldChange
from lake.stops import Stop
from lake.stops import resume as end_stop
from lake.stops import stop as write_stop
from lake.times import now_utc, rfc3339

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def stop(use_case: str, *, why: str, arm: str | None = None, proxy: list[str] | None = None, here_alone: bool = False) -> int:
    """Stop a use case, or one arm of it, now: no model of it is asked any more. Needs neither the lake nor a proxy.

    Says which workers of this machine have confirmed it. Then it is stored through a proxy, so that it holds on every
    machine; while the lake is away, each machine whose proxy is named holds it. Says which workers behind each of these
    proxies have confirmed it; status 1 when one has not.

    Parameters
    ----------
    use_case
        What is stopped.
    why
        Why, for whoever reads it later.
    arm
        Only this arm: its requests go to the champion, or to the fallback arm.
    proxy
        The address of a proxy, one for each machine; may stand several times. By default those in TRAINSERVE_PROXY, with
        commas between them, else http://127.0.0.1:8000. Their key is TRAINSERVE_API_KEY.
    here_alone
        Do not store it for other machines, nor ask them.

    """
    home, console = _begun(use_case, arm)
    path = write_stop(home, use_case, arm, Stop(by=getpass.getuser(), at_utc=rfc3339(now_utc()), why=why))
    console.print(f"{_named(use_case, arm)} is stopped on this machine, by {path}")
    expected = Expected(use_case, arm, stopped=True)
    missing = wait_for(console, expected, home, ())
    if not here_alone:
        clients = ParametersClient.all_from_environment(proxy or ())
        _store(console, clients, expected, f"stopped: {why}")
        missing |= wait_for(console, expected, None, clients)
    return int(missing)


def resume(use_case: str, *, why: str, arm: str | None = None, proxy: list[str] | None = None, here_alone: bool = False) -> int:
    """End a stop: go on as the parameters say.

    Parameters
    ----------
    use_case
        What goes on.
    why
        Why it may.
    arm
        Only this arm.
    proxy
        The address of a proxy, one for each machine; may stand several times. By default those in TRAINSERVE_PROXY, with
        commas between them, else http://127.0.0.1:8000. Their key is TRAINSERVE_API_KEY.
    here_alone
        End it on this machine alone.

    """
    home, console = _begun(use_case, arm)
    was_stopped = end_stop(home, use_case, arm)
    console.print(f"{_named(use_case, arm)} {'goes on' if was_stopped else 'was not stopped'} on this machine")
    expected = Expected(use_case, arm, stopped=False)
    if here_alone:
        return int(wait_for(console, expected, home, ()))
    clients = ParametersClient.all_from_environment(proxy or ())
    _take_back(console, clients, expected)
    _store(console, clients, expected, f"resumed: {why}")
    return int(wait_for(console, expected, home, clients))


def _begun(use_case: str, arm: str | None) -> tuple[Home, Console]:
    for setting, name in (("USE_CASE", use_case), ("--arm", arm)):
        if name is not None and not _NAME.fullmatch(name):
            raise SettingError(setting, name, "a name of letters, digits, - and _")
    return Home.from_environment(), Console(highlight=False, soft_wrap=True, markup=False)


def _named(use_case: str, arm: str | None) -> str:
    return use_case if arm is None else f"arm {arm} of {use_case}"


def _take_back(console: Console, clients: Sequence[ParametersClient], expected: Expected) -> None:
    """What machines hold while the lake is away ends with the stop."""
    for client in clients:
        try:
            taken = client.take_back(expected.use_case, expected.arm)
        except TrainServeError:
            continue  # it is asked again below, and then it is said
        if taken:
            console.print(f"What {client.url} held for the lake is taken back.")


def _store(console: Console, clients: Sequence[ParametersClient], expected: Expected, why: str) -> None:
    """Store it through the first proxy that can; where the lake is away, have the machine of each hold it."""
    held, failures = 0, []
    for client in clients:
        try:
            made = _changed(client, expected, why)
        except TrainServeError as error:
            failures.append(str(error))
            continue
        if isinstance(made, str):
            console.print(made)
            return
        held += 1
        console.print(f"The lake is away: the machine of {client.url} holds it, until it can be stored.")
    if not held:
        console.print(f"It holds on this machine alone, as it could not be stored: {'; '.join(failures)}")


def _changed(client: ParametersClient, expected: Expected, why: str) -> str | HeldChange:
    """What is in the lake now, in words, or what that machine holds. An operator who was faster is heard once."""
    for last in (False, True):
        before = client.get(expected.use_case)
        content = _switched(before, expected.arm, active=not expected.stopped)
        if content == content_of(before):
            return f"Version {before.version} of the parameters says so already, for every machine."
        try:
            made = client.put(expected.use_case, before.version, change_of(content, why))
        except Conflict:
            if last:
                raise
            continue
        if isinstance(made, HeldChange):
            return made
        return f"Stored as version {made.version} of the parameters, by {made.changed_by}: it holds on every machine."
    raise AssertionError


def _switched(before: Parameters, arm: str | None, *, active: bool) -> Content:
    if arm is None:
        return replace(content_of(before), active=active)
    of_arm = replace(before.arms.get(arm, Arm()), active=active)
    return replace(content_of(before), arms={**before.arms, arm: of_arm})
