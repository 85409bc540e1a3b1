"""A trace is taken over only where it is named as the W3C's Recommendation says."""

import pytest

from lake.interface.asked import headers_of
from lake.interface.trace import trace_of

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{PARENT}-01"


def of(*headers: tuple[str, str]) -> str | None:
    """The trace that a request with these headers belongs to."""
    trace = trace_of(headers_of((name.encode(), value.encode()) for name, value in headers))
    return None if trace is None else trace.trace_id


@pytest.mark.parametrize("parent", [GOOD, f"00-{TRACE}-{PARENT}-00", f"cc-{TRACE}-{PARENT}-01", f"01-{TRACE}-{PARENT}-01-more"])
def test_a_trace_is_known_by_its_id(parent: str) -> None:
    assert of(("traceparent", parent)) == TRACE


@pytest.mark.parametrize(
    "parent",
    [
        "",
        GOOD.upper(),
        GOOD[:-1],
        f"{GOOD}-more",
        f"{GOOD} ",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}{PARENT}-01",
        f"01-{TRACE}-{PARENT}-01more",
        f"00_{TRACE}_{PARENT}_01",
    ],
)
def test_what_is_not_as_it_should_be_names_no_trace(parent: str) -> None:
    assert of(("traceparent", parent), ("tracestate", "a=1")) is None


def test_two_parents_are_none() -> None:
    assert of(("traceparent", GOOD), ("traceparent", GOOD)) is None


def test_the_state_goes_with_it_whole_and_in_order() -> None:
    headers = headers_of([(b"tracestate", b"a=1,b=2"), (b"traceparent", GOOD.encode()), (b"tracestate", b"c=3")])
    trace = trace_of(headers)

    assert trace is not None
    assert trace.headers == {"traceparent": GOOD, "tracestate": "a=1,b=2,c=3"}
    assert of(("tracestate", "a=1")) is None
