"""What a challenger may not harm."""

import numpy as np
import pytest

from checks.guardrails import Span, traffic_guardrails


def spans(number: int, failing: float, slow: float, seed: int = 1, bursts: float = 1.0) -> list[Span]:
    """Five minutes each of 50 requests of the champion, of which 1 % fail, and 10 of the challenger.

    The challenger's fail in bursts: in so large a part of the spans, and there more often.
    """
    generator = np.random.default_rng(seed)
    bad = generator.random(number) < bursts
    return [
        Span(
            champion=50,
            champion_failed=int(generator.binomial(50, 0.01)),
            challenger=10,
            challenger_failed=int(generator.binomial(10, failing / bursts if in_burst else 0.0)),
            challenger_slow=int(generator.binomial(10, slow)),
        )
        for in_burst in bad
    ]


def stopped_without_harm(bursts: float) -> float:
    """The share of challengers, doing just what is allowed for two days, that are stopped by one of the looks of every hour."""
    stopped = 0
    for seed in range(200):
        found = spans(576, failing=0.02, slow=0.05, seed=seed, bursts=bursts)
        looks = [traffic_guardrails(found[:look], 0.01, 0.05) for look in range(12, 577, 12)]
        stopped += any(guardrail.crossed for look in looks for guardrail in look)
    return stopped / 200


@pytest.mark.parametrize("bursts", [1.0, 0.05])
def test_a_challenger_that_does_just_what_is_allowed_is_hardly_ever_stopped_though_one_looks_every_hour(bursts: float) -> None:
    assert stopped_without_harm(bursts) <= 0.05


@pytest.mark.parametrize(("failing", "slow", "name"), [(0.15, 0.02, "failed requests"), (0.01, 0.3, "slow answers")])
def test_harm_is_found_within_hours(failing: float, slow: float, name: str) -> None:
    crossed = [one.name for one in traffic_guardrails(spans(36, failing=failing, slow=slow), 0.01, 0.05 / 3) if one.crossed]

    assert crossed == [name]


def test_one_bad_moment_is_no_proof() -> None:
    calm = spans(40, failing=0.01, slow=0.01)
    burst = Span(champion=50, champion_failed=0, challenger=10, challenger_failed=10, challenger_slow=10)

    assert not any(one.crossed for one in traffic_guardrails([*calm, burst], 0.01, 0.05))


def test_an_outage_of_both_arms_is_not_the_challengers_fault() -> None:
    down = [Span(champion=50, champion_failed=50, challenger=10, challenger_failed=10, challenger_slow=0)] * 30

    assert not any(one.crossed for one in traffic_guardrails([*spans(30, failing=0.01, slow=0.01), *down], 0.01, 0.05))


def test_less_than_an_hour_says_nothing() -> None:
    assert traffic_guardrails(spans(11, failing=0.5, slow=0.5), 0.01, 0.05) == []


def test_without_a_champion_there_is_nothing_to_compare_with() -> None:
    alone = [Span(champion=0, champion_failed=0, challenger=10, challenger_failed=9, challenger_slow=0)] * 20

    assert traffic_guardrails(alone, 0.01, 0.05) == []
