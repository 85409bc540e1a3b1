"""`trainserve stop` and `trainserve resume`: the kill switch of this machine, and of all others where a proxy stores it."""

import getpass
import re
import time
from collections.abc import Callable

from msgspec.structs import replace
from rich.console import Console

from lake.errors import SettingError, TrainServeError
from lake.home import Home
from lake.parameters.client import ParametersClient
from lake.parameters.document import Arm, Content, Parameters, change_of, content_of
from lake.stops import Stop
from lake.stops import resume as end_stop
from lake.stops import stop as write_stop
from lake.times import now_utc, rfc3339
from lake.workers import Confirmed, Worker, read_workers

CONFIRMED_WITHIN_S = 3.0
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def stop(use_case: str, *, why: str, arm: str | None = None, proxy: str | None = None, here_alone: bool = False) -> int:
    """Stop a use case, or one arm of it, now: no model of it is asked any more. Needs neither the lake nor a proxy.

    Says which workers of this machine have confirmed it; status 1 when one has not. Then it is stored through a proxy, so
    that it holds on every machine.

    Parameters
    ----------
    use_case
        What is stopped.
    why
        Why, for whoever reads it later.
    arm
        Only this arm: its requests go to the champion, or to the fallback arm.
    proxy
        The address of a proxy; by default TRAINSERVE_PROXY, else http://127.0.0.1:8000. Its key is TRAINSERVE_API_KEY.
    here_alone
        Do not store it for other machines.

    """
    home, console = _begun(use_case, arm)
    path = write_stop(home, use_case, arm, Stop(by=getpass.getuser(), at_utc=rfc3339(now_utc()), why=why))
    console.print(f"{_named(use_case, arm)} is stopped on this machine, by {path}")
    missing = _wait(console, home, use_case, lambda one: one.stopped if arm is None else arm in one.stopped_arms)
    if not here_alone:
        _store(console, use_case, arm, proxy, f"stopped: {why}", active=False)
    return int(missing)


def resume(use_case: str, *, why: str, arm: str | None = None, proxy: str | None = None, here_alone: bool = False) -> int:
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
        The address of a proxy; by default TRAINSERVE_PROXY, else http://127.0.0.1:8000. Its key is TRAINSERVE_API_KEY.
    here_alone
        End it on this machine alone.

    """
    home, console = _begun(use_case, arm)
    was_stopped = end_stop(home, use_case, arm)
    console.print(f"{_named(use_case, arm)} {'goes on' if was_stopped else 'was not stopped'} on this machine")
    missing = _wait(console, home, use_case, lambda one: not one.stopped if arm is None else arm not in one.stopped_arms)
    if not here_alone:
        _store(console, use_case, arm, proxy, f"resumed: {why}", active=True)
    return int(missing)


def _begun(use_case: str, arm: str | None) -> tuple[Home, Console]:
    for setting, name in (("USE_CASE", use_case), ("--arm", arm)):
        if name is not None and not _NAME.fullmatch(name):
            raise SettingError(setting, name, "a name of letters, digits, - and _")
    return Home.from_environment(), Console(highlight=False, soft_wrap=True, markup=False)


def _named(use_case: str, arm: str | None) -> str:
    return use_case if arm is None else f"arm {arm} of {use_case}"


def _wait(console: Console, home: Home, use_case: str, has_confirmed: Callable[[Confirmed], bool]) -> bool:
    """Wait for the workers of this machine, and list them; whether one is missing."""
    deadline = time.monotonic() + CONFIRMED_WITHIN_S
    while True:
        workers = [worker for worker in read_workers(home) if not worker.use_cases or use_case in worker.use_cases]
        missing = [
            worker for worker in workers if use_case not in worker.use_cases or not has_confirmed(worker.use_cases[use_case])
        ]
        if not missing or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    for worker in workers:
        console.print(f"  worker {worker.id}: {_said(worker, missing)}")
    if not workers:
        console.print("  no worker of a proxy lives on this machine; one that starts goes by it")
    return bool(missing)


def _said(worker: Worker, missing: list[Worker]) -> str:
    if worker in missing:
        return f"has NOT confirmed it within {CONFIRMED_WITHIN_S:g} s"
    return f"confirmed at {worker.confirmed_at_utc}"


def _store(console: Console, use_case: str, arm: str | None, proxy: str | None, why: str, *, active: bool) -> None:
    client = ParametersClient.from_environment(proxy)
    try:
        before = client.get(use_case)
        content = _switched(before, arm, active=active)
        if content == content_of(before):
            console.print(f"Version {before.version} of the parameters says so already, for every machine.")
            return
        stored = client.put(use_case, before.version, change_of(content, why))
    except TrainServeError as error:
        console.print(f"It holds on this machine alone, as it could not be stored: {error}")
        return
    console.print(f"Stored as version {stored.version} of the parameters, by {stored.changed_by}: it holds on every machine.")


def _switched(before: Parameters, arm: str | None, *, active: bool) -> Content:
    if arm is None:
        return replace(content_of(before), active=active)
    of_arm = replace(before.arms.get(arm, Arm()), active=active)
    return replace(content_of(before), arms={**before.arms, arm: of_arm})
