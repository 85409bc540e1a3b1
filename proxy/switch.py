"""What holds on this machine whatever the parameters say: the kill switch in its home, and shares that a guardrail lowered."""

import threading

import structlog

from lake.home import Home
from lake.stops import Stop, Stops, read_stops
from proxy.routing import NOTHING_HELD, Held

log = structlog.get_logger(__name__)


class Switch:
    """Asked for each request; looked at five times a second, and it needs nothing but the home."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._stops = Stops()
        self._lowered: dict[str, dict[str, float]] = {}
        self._held: dict[str, Held] = {}
        self._changing = threading.Lock()

    def stop_of(self, use_case: str) -> Stop | None:
        """Why the use case is stopped, or None."""
        return self._stops.of(use_case)

    def stopped_arms(self, use_case: str) -> dict[str, Stop]:
        """Its arms that are stopped, and why."""
        return self._stops.arms(use_case)

    def held(self, use_case: str) -> Held:
        """What holds for its arms."""
        return self._held.get(use_case, NOTHING_HELD)

    def look(self) -> bool:
        """Read what is stopped now; returns whether that has changed. What cannot be read leaves what was known."""
        try:
            stops = read_stops(self._home)
        except OSError as error:
            log.warning("the kill switch cannot be read, going on with what is known", why=str(error))
            return False
        if stops == self._stops:
            return False
        for name in stops.found.keys() ^ self._stops.found.keys():
            stop = stops.found.get(name)
            log.warning("stopped" if stop else "resumed", what=name, **({"by": stop.by, "why": stop.why} if stop else {}))
        with self._changing:
            names = {name.partition(".")[0] for name in (*stops.found, *self._stops.found)}
            self._stops = stops
            self._hold(names)
        return True

    def lower(self, use_case: str, arm: str, share: float) -> None:
        """Give an arm no more than this share, until its parameters change."""
        with self._changing:
            self._lowered.setdefault(use_case, {})[arm] = share
            self._hold({use_case})

    def let_go(self, use_case: str) -> None:
        """Go by the parameters again, which have changed."""
        with self._changing:
            if self._lowered.pop(use_case, None) is not None:
                self._hold({use_case})

    def _hold(self, use_cases: set[str]) -> None:
        for use_case in use_cases:
            stopped = frozenset(self._stops.arms(use_case))
            self._held[use_case] = Held(stopped=stopped, shares=dict(self._lowered.get(use_case, {})))
