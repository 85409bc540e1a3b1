"""The replicas of one arm: which of them is asked, and what each is known to be able to do."""

import random
from collections.abc import Sequence

import msgspec
import structlog

from lake.budget import Budget
from proxy.bundles import Bundles
from proxy.circuit import Circuit, CircuitState
from proxy.pool import Pool
from proxy.resilience import Resilience

log = structlog.get_logger(__name__)


class ReplicaState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one replica now."""

    address: str
    circuit: CircuitState
    in_flight: int


class Replica:
    """One predictor of an arm: the way to it, its circuit, and how many calls it has to answer."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.pool = Pool(address)
        self.bundles = Bundles(self.pool)
        self.circuit = Circuit()
        self.in_flight = 0

    def enter(self) -> int:
        """Begin a call; `leave` has to follow."""
        self.in_flight += 1
        return self.circuit.enter()

    def leave(self, epoch: int, *, healthy: bool | None, why: str | None, now: float, resilience: Resilience) -> None:
        """End a call; `healthy` is None when nobody knows, `why` says why it is not."""
        self.in_flight -= 1
        if healthy is None:
            self.circuit.left(epoch)
        elif healthy:
            if self.circuit.succeeded(epoch):
                log.info("circuit closed, the predictor answers again", predictor=self.address)
        elif pause_s := self.circuit.failed(epoch, now, resilience):
            log.warning("circuit opened, the predictor is left alone", predictor=self.address, for_s=pause_s, why=why)


class Replicas:
    """The predictors of one arm, and its budget of retries."""

    def __init__(self, now: float, resilience: Resilience) -> None:
        self.budget = Budget(now, resilience.retries_per_s)
        self._addresses: tuple[str, ...] = ()
        self._members: list[Replica] = []

    def follow(self, addresses: tuple[str, ...]) -> None:
        """Be those at these addresses. Who was there before stays as it was."""
        if addresses == self._addresses:
            return
        known = {replica.address: replica for replica in self._members}
        self._addresses = addresses
        self._members = [known.pop(one) if one in known else Replica(one) for one in dict.fromkeys(addresses)]
        for gone in known.values():
            gone.pool.close()

    def choose(self, now: float, but: Sequence[Replica] = ()) -> Replica | None:
        """Who is asked next; None when no circuit admits a call.

        One that is due for a probe, else of two that are taken at random the one with less to do.
        """
        admitted = [one for one in self._members if one.circuit.admits(now) and one not in but]
        if len(admitted) <= 1:
            return admitted[0] if admitted else None
        for one in admitted:
            if one.circuit.state(now) != "closed":
                return one
        first, second = random.sample(admitted, 2)
        return second if second.in_flight < first.in_flight else first

    def states(self, now: float) -> list[ReplicaState]:
        """What is known of each."""
        return [
            ReplicaState(address=one.address, circuit=one.circuit.state(now), in_flight=one.in_flight) for one in self._members
        ]

    def close(self) -> None:
        """Close the connections that are not in use."""
        self.follow(())
