"""What was seen of an arm lately: counted exactly, its times to within a sixteenth, and forgotten in time."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.observed import LONGEST_SPAN_S, Outcomes


class Clock:
    """A clock that is put forward by hand."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@given(
    latencies=st.lists(st.integers(0, 600_000_000), min_size=1, max_size=300),
    part=st.sampled_from([("p50_s", 0.5), ("p99_s", 0.99)]),
)
def test_a_quantile_is_right_to_within_a_sixteenth(latencies: list[int], part: tuple[str, float]) -> None:
    outcomes = Outcomes(Clock())
    for latency_us in latencies:
        outcomes.note("parcels", "a", latency_us, failed=False)

    name, share = part
    rank = max(0, -(-len(latencies) * round(share * 100) // 100) - 1)
    exact_us = sorted(latencies)[rank]
    found: Any = getattr(outcomes.observed("parcels", "a"), name)
    assert abs(found * 1_000_000 - exact_us) <= exact_us / 16 + 0.5


def test_requests_and_failures_are_counted_by_arm(clock: Clock) -> None:
    outcomes = Outcomes(clock)
    for number in range(100):
        outcomes.note("parcels", "a", 1_000, failed=number % 4 == 0)
        outcomes.note("parcels", None, 2_000, failed=False)

    seen = outcomes.observed("parcels", "a", 10.0)
    assert (seen.requests, seen.failures, seen.rate_per_s) == (100, 25, 10.0)
    assert (outcomes.observed("parcels", None).failures, outcomes.observed("parcels", "b").requests) == (0, 0)
    assert outcomes.observed("parcels", "b").p99_s is None


def test_what_is_older_than_the_span_is_left_out(clock: Clock) -> None:
    outcomes = Outcomes(clock)
    for _ in range(3 * LONGEST_SPAN_S):
        outcomes.note("parcels", "a", 1_000, failed=True)
        clock.now += 1

    assert outcomes.observed("parcels", "a", 60.0).requests == 60
    assert outcomes.observed("parcels", "a", LONGEST_SPAN_S).requests == LONGEST_SPAN_S
    clock.now += 61
    assert outcomes.observed("parcels", "a", 60.0).requests == 0


def test_who_keeps_circuits_is_asked() -> None:
    outcomes = Outcomes(circuit_open=lambda use_case, arm: (use_case, arm) == ("parcels", "a"))

    assert [outcomes.observed("parcels", arm).circuit_open for arm in ("a", "b", None)] == [True, False, False]
