"""Rate limits: a bucket for each client, and what empties it is told when to come again."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.credentials import add_credential
from lake.home import Home
from lake.parameters.document import RateLimit
from proxy.rate_limit import RateLimits, TooMany
from tests.proxied import NOBODY, parameters, predictions, proxied
from tests.scenario import parcel, records_body
from tests.served import PREDICT

LIMIT = RateLimit(per_second=0.001, burst=3)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def passes(limits: RateLimits, client: str, limit: RateLimit, workers: int = 1) -> bool:
    try:
        limits.take("late_parcel", client, limit, workers)
    except TooMany:
        return False
    return True


def test_a_client_has_its_burst_and_then_its_rate() -> None:
    clock, limit = Clock(), RateLimit(per_second=2, burst=3)
    limits = RateLimits(clock)

    assert [passes(limits, "a", limit) for _ in range(5)] == [True, True, True, False, False]
    assert passes(limits, "b", limit), "another client has its own"
    clock.now_s += 0.5
    assert [passes(limits, "a", limit) for _ in range(2)] == [True, False]
    clock.now_s += 3600
    assert [passes(limits, "a", limit) for _ in range(4)] == [True, True, True, False]


def test_each_of_several_workers_has_its_part() -> None:
    limits, limit = RateLimits(Clock()), RateLimit(per_second=1, burst=8)

    assert sum(passes(limits, "a", limit, workers=4) for _ in range(10)) == 2
    assert sum(passes(limits, "b", limit, workers=100) for _ in range(10)) == 1, "one at least"


@given(pauses=st.lists(st.floats(0, 3), max_size=60), per_second=st.floats(0.1, 5), burst=st.integers(1, 5))
def test_over_no_span_more_passes_than_burst_and_rate(pauses: list[float], per_second: float, burst: int) -> None:
    clock = Clock()
    limits, passed = RateLimits(clock), 0
    for pause_s in pauses:
        clock.now_s += pause_s
        passed += passes(limits, "a", RateLimit(per_second=per_second, burst=burst))

    assert passed <= burst + per_second * sum(pauses) + 1e-6
    assert passed >= min(len(pauses), 1)


@pytest.mark.usefixtures("approver")
def test_too_much_is_refused_by_client_with_when_to_come_again_and_logged_without_its_body(home: Home) -> None:
    keys = {name: add_credential(home.credentials, name, ("client",)) for name in ("ada", "bob")}
    with proxied(home, parameters({"champion": NOBODY}, rate_limit=LIMIT)) as client:

        def sent(name: str) -> Any:
            return client.post(PREDICT, content=records_body(parcel()), headers={"authorization": f"Bearer {keys[name]}"})

        answers = [sent("ada") for _ in range(5)]
        others = sent("bob")

    assert [answer.status_code for answer in answers] == [503, 503, 503, 429, 429]
    assert others.status_code == 503
    assert 900 < int(answers[3].headers["retry-after"]) <= 1000
    assert "retry-after" not in answers[0].headers
    refused = [row for row in predictions(home) if row.status == 429]
    assert [(row.outcome, row.rule, row.raw, row.client_id) for row in refused] == [("refused", "rate_limit", None, "ada")] * 2
