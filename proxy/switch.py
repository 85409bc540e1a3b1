"""What holds on this machine whatever the parameters say: the kill switch, what is held for the lake, what guardrails lowered."""

import threading

import structlog

from lake.home import Home
from lake.parameters.held import HeldChange, read_held
from lake.stops import Stop, Stops, read_stops
from proxy.routing import NOTHING_HELD, Held

log = structlog.get_logger(__name__)


class Switch:
    """Asked for each request; looked at five times a second, and it needs nothing but the home."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._stops = Stops()
        self._changes: tuple[HeldChange, ...] = ()
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

    def changes(self, use_case: str) -> tuple[HeldChange, ...]:
        """Changes of its parameters that are held here, as the lake does not have them yet."""
        return tuple(change for change in self._changes if change.use_case == use_case)

    def look(self) -> bool:
        """Read what is stopped and held now; returns whether that has changed. What cannot be read leaves what was known."""
        try:
            changes = tuple(read_held(self._home).values())
            stops = _with_held(read_stops(self._home), changes)
        except OSError as error:
            log.warning("the kill switch cannot be read, going on with what is known", why=str(error))
            return False
        if (stops, changes) == (self._stops, self._changes):
            return False
        for name in stops.found.keys() ^ self._stops.found.keys():
            stop = stops.found.get(name)
            log.warning("stopped" if stop else "resumed", what=name, **({"by": stop.by, "why": stop.why} if stop else {}))
        with self._changing:
            names = {name.partition(".")[0] for name in (*stops.found, *self._stops.found)}
            names |= {change.use_case for change in (*changes, *self._changes)}
            self._stops, self._changes = stops, changes
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
            shares = dict(self._lowered.get(use_case, {}))
            for change in self.changes(use_case):
                for name, arm in change.arms.items():
                    if arm.share is not None:
                        shares[name] = min(arm.share, shares.get(name, arm.share))
            self._held[use_case] = Held(stopped=stopped, shares=shares)


def _with_held(stops: Stops, changes: tuple[HeldChange, ...]) -> Stops:
    """What is stopped, also by changes that are held here; where a file stops it too, that file's reason stands."""
    held: dict[str, Stop] = {}
    for change in changes:
        stop = Stop(by=change.by, at_utc=change.at_utc, why=f"{change.why} (held here until the lake is back)")
        names = [f"{change.use_case}.{name}" for name, arm in change.arms.items() if arm.switched_off]
        held |= dict.fromkeys([change.use_case, *names] if change.switched_off else names, stop)
    return Stops(dict(sorted((held | stops.found).items())))
