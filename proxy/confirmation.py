"""A worker among those of its machine: it confirms what it goes by, and knows how many are beside it."""

from collections.abc import Mapping

import structlog

from lake.home import Home
from lake.parameters import Parameters
from lake.parameters.stored import Followed
from lake.workers import Confirmed, Registration, count_workers
from proxy.switch import Switch

log = structlog.get_logger(__name__)


class Confirmation:
    """What this worker has confirmed, from when it starts until it stops."""

    def __init__(self, home: Home) -> None:
        self.workers = 1
        self._home = home
        self._registration: Registration | None = None

    def start(self) -> None:
        """Be counted."""
        self._registration = Registration(self._home)

    def stop(self) -> None:
        """Leave."""
        if self._registration is not None:
            self._registration.close()
            self._registration = None

    def say(self, confirmed: Mapping[str, Confirmed]) -> None:
        """Say to whoever waits what this worker goes by; and count those beside it."""
        try:
            if self._registration is not None:
                self._registration.confirm(confirmed)
            self.workers = count_workers(self._home)
        except OSError as error:  # as on a full disk: it is in force all the same
            log.warning("not confirmed", why=str(error))


def goes_by(parameters: Parameters, switch: Switch, followed: Followed) -> Confirmed:
    """What is to be said of one use case."""
    return Confirmed(
        version=parameters.version,
        stopped=switch.stop_of(parameters.use_case) is not None,
        stopped_arms=tuple(sorted(switch.held(parameters.use_case).stopped)),
        refused_version=max(followed.refused, default=None),
        inactive=not parameters.active,
        inactive_arms=tuple(sorted(name for name, arm in parameters.arms.items() if not arm.active)),
    )
