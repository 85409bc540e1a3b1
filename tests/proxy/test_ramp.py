"""A ramp that does harm ends by itself: at once here, and for all by the next version."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.documents import DocumentStore
from lake.home import Home
from lake.parameters.document import Arm, Guardrails, Parameters, Ramp, Step
from lake.parameters.shares import greatest_planned_share, planned_share, share_of
from lake.parameters.stored import newest_parameters
from lake.times import now_utc
from proxy.guardrail import harm
from proxy.observed import Observed, Outcomes
from serving.app import create_app
from tests.clocks import Hands
from tests.proxied import NOBODY, parameters, proxied
from tests.proxy.operators import in_force
from tests.proxy.test_routing import NOW, release
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, Client, eventually, listening, toy


def ramping(*shares: float, share: float = 0.0, **facts: object) -> Arm:
    """An arm whose share rises each hour from now on."""
    steps = tuple(Step(at_utc=NOW + timedelta(hours=hour), share=one) for hour, one in enumerate(shares))
    return Arm(upstreams=(NOBODY,), share=share, ramp=Ramp(steps=steps), **facts)  # type: ignore[arg-type]


@given(
    rises=st.lists(st.floats(0.01, 0.1), min_size=1, max_size=8),
    greatest=st.floats(0, 1),
    minutes=st.lists(st.integers(-100, 1000), min_size=2, max_size=10),
)
def test_a_ramp_only_rises_and_never_past_what_its_release_allows(
    rises: list[float], greatest: float, minutes: list[int]
) -> None:
    arm = ramping(*(sum(rises[: number + 1]) for number in range(len(rises))))
    limited = release("a", greatest_share=greatest)
    shares = [share_of(arm, limited, NOW + timedelta(minutes=minute)) for minute in sorted(minutes)]

    assert shares == sorted(shares)
    assert all(0 <= share <= min(greatest, greatest_planned_share(arm)) for share in shares)


def test_a_step_holds_from_its_moment_on() -> None:
    arm = ramping(0.1, 0.5, share=0.05)
    moments = [timedelta(microseconds=-1), timedelta(), timedelta(minutes=59), timedelta(hours=1), timedelta(days=9)]

    assert [planned_share(arm, NOW + moment) for moment in moments] == [0.05, 0.1, 0.1, 0.5, 0.5]
    assert planned_share(Arm(share=0.2), NOW) == 0.2


def seen(requests: int = 100, failures: int = 0, p99_s: float | None = 0.01, *, circuit_open: bool = False) -> Observed:
    return Observed(requests=requests, failures=failures, p99_s=p99_s, circuit_open=circuit_open)


@pytest.mark.parametrize(
    ("rails", "observed", "why"),
    [
        (Guardrails(error_rate=0.02), seen(failures=2), None),
        (
            Guardrails(error_rate=0.02),
            seen(failures=3),
            "3.0% of its requests failed, over 100 requests in 60 s; the limit is 2.0%",
        ),
        (Guardrails(error_rate=0.02, fewest_requests=101), seen(failures=100), None),
        (Guardrails(error_rate=None), seen(failures=100), None),
        (Guardrails(p99_s=0.05), seen(p99_s=0.06), "its p99 was 0.060 s, over 100 requests in 60 s; the limit is 0.05 s"),
        (Guardrails(p99_s=0.05), seen(p99_s=0.05), None),
        (Guardrails(), seen(requests=0, p99_s=None, circuit_open=True), "its circuit is open"),
        (Guardrails(circuit_open=False), seen(circuit_open=True), None),
        (Guardrails(fewest_requests=1), seen(requests=0, p99_s=None), None),
    ],
)
def test_harm_is_what_the_guardrails_say(rails: Guardrails, observed: Observed, why: str | None) -> None:
    assert harm(rails, observed) == why


def test_only_what_was_seen_lately_counts() -> None:
    now_s = 0.0
    outcomes = Outcomes(clock_s=lambda: now_s, circuit_open=lambda _use_case, arm: arm == "b")
    for number in range(200):
        now_s = float(number)
        outcomes.note(USE_CASE, "a", number * 1000, failed=number % 2 == 0)

    found = outcomes.observed(USE_CASE, "a", 99.0)
    assert (found.requests, found.failures, found.circuit_open) == (100, 50, False)
    assert found.p99_s == pytest.approx(0.199, rel=1 / 16)
    assert outcomes.observed(USE_CASE, "b", 99.0) == seen(requests=0, p99_s=None, circuit_open=True)


@pytest.fixture
def document(home: Home, approver: Approver) -> Iterator[Parameters]:
    """A champion that answers, and a challenger that nobody serves, with all requests since an hour ago."""
    approver.release(toy(1))
    approver.release(toy(2), "challenger")
    with ExitStack() as stack:
        url = stack.enter_context(listening(create_app(home, USE_CASE, "champion")))
        rails = Guardrails(error_rate=0.1, fewest_requests=5, circuit_open=False)
        ramp = Ramp(steps=(Step(at_utc=now_utc() - timedelta(hours=1), share=1.0),), guardrails=rails)
        yield parameters({"champion": url, "challenger": NOBODY}, challenger=Arm(upstreams=(NOBODY,), ramp=ramp))


def is_lowered(client: Client) -> bool:
    """Whether a request meets the champion, and the ramp's arm has no share any more. Till then the champion makes up for it."""
    return arm_of(client) == "champion" and shares_of(client)["challenger"] == 0


def shares_of(client: Client) -> dict[str, float]:
    arms = client.get("/health/ready").json()["arms"][USE_CASE]
    return {name: arm["share"] for name, arm in arms.items()}


def arm_of(client: Client) -> str | None:
    answer = client.post(PREDICT, content=records_body(parcel()))
    return answer.json()["provenance"]["arm"] if answer.status_code == 200 else None


def test_a_guardrail_lowers_the_share_for_all_by_the_next_version(home: Home, store: DocumentStore, document: Parameters) -> None:
    with proxied(home, document) as client, proxied(home, document) as other:
        eventually(lambda: is_lowered(client))
        eventually(lambda: is_lowered(other) and in_force(other).version == 1)

    found = newest_parameters(store, USE_CASE)
    assert found is not None
    assert (found.version, found.changed_by, found.arms["challenger"].share, found.arms["challenger"].ramp) == (
        1,
        "guardrail",
        0.0,
        None,
    )
    assert "of its requests failed" in found.why


def test_with_the_lake_away_it_holds_here_and_is_stored_once_the_lake_is_back(
    home: Home, store: DocumentStore, document: Parameters
) -> None:
    with proxied(home, document) as client:
        away = Path(home.lake).rename(home.root / "away")
        eventually(lambda: is_lowered(client))
        assert in_force(client).version == 0
        away.rename(home.lake)
        eventually(lambda: in_force(client).version == 1)
        assert arm_of(client) == "champion"
    assert newest_parameters(store, USE_CASE) is not None


def test_the_shares_of_readiness_follow_the_clock(home: Home, approver: Approver) -> None:
    approver.release(toy(1))
    approver.release(toy(2), "challenger", greatest_share=0.3)
    hands = Hands()
    steps = (Step(at_utc=hands.now + timedelta(hours=1), share=0.2), Step(at_utc=hands.now + timedelta(hours=2), share=0.4))
    arm = Arm(upstreams=(NOBODY,), share=0.1, ramp=Ramp(steps=steps))
    shares = []
    with proxied(home, parameters({"champion": NOBODY, "challenger": NOBODY}, challenger=arm), clock=hands) as client:
        for _ in range(3):
            arms = client.get("/health/ready").json()["arms"][USE_CASE]
            shares.append((arms["champion"]["share"], arms["challenger"]["share"]))
            hands.move(hours=1)
    assert shares == [(0.9, 0.1), (0.8, 0.2), (0.7, 0.3)]
