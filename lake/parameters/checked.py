"""What a document of parameters has to hold to: every problem of it is named, and nothing wrong is ever in force."""

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from urllib.parse import urlsplit

from lake.errors import InvalidInput, Problem
from lake.parameters.document import PLACES, Arm, Content, Guardrails, Parameters
from lake.parameters.keys import are_apart, places, width
from lake.parameters.shares import greatest_planned_share

LONGEST_TIMEOUT_S = 600
MOST_AT_ONCE = 1_000
_MOST_A_SECOND = 1_000_000
_ROUNDING = 1e-9  # shares are decimal fractions: what adds up to 1 on paper may be a little more here
_ARM = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")


def check_parameters(document: Content) -> None:
    """Raises InvalidInput with every problem of the document, but for its rules, which the input schema judges."""
    problems = list(_problems(document))
    if problems:
        raise InvalidInput(problems)


def _problems(document: Content) -> Iterator[Problem]:
    for name, arm in document.arms.items():
        if not _ARM.fullmatch(name):
            yield Problem(path="arms", found=repr(name), expected="names of at most 40 letters, digits, - and _, a letter first")
        yield from _shares(name, arm)
    total = math.fsum(max(0.0, greatest_planned_share(arm)) for arm in document.arms.values())
    if total > 1 + _ROUNDING:
        yield Problem(path="arms", found=f"shares that add up to {total:g}", expected="at most 1, at the end of every ramp")
    for name, arm in document.arms.items():
        for url in arm.upstreams:
            if not _is_address(url):
                yield Problem(
                    path=f"arms.{name}.upstreams", found=repr(url), expected="an address as http://host:port or unix:///path"
                )
        yield from _mirroring(name, arm)
    yield from _asking(document)
    if document.fallback_arm is not None and document.fallback_arm not in document.arms:
        yield Problem(path="fallback_arm", found=repr(document.fallback_arm), expected=f"one of {sorted(document.arms)}")
    if isinstance(document, Parameters):
        yield from _keys(document)


def _shares(name: str, arm: Arm) -> Iterator[Problem]:
    where = f"arms.{name}"
    yield from _within(f"{where}.share", arm.share, 0, 1, "a number from 0 to 1")
    if arm.beyond_release is not None and arm.beyond_release < 1:
        yield Problem(path=f"{where}.beyond_release", found=str(arm.beyond_release), expected="the number of a release, from 1")
    if arm.ramp is None:
        return
    shares = [arm.share, *(step.share for step in arm.ramp.steps)]
    moments = [step.at_utc for step in arm.ramp.steps]
    if not arm.ramp.steps:
        yield Problem(path=f"{where}.ramp.steps", found="none", expected="one step at least")
    for index, step in enumerate(arm.ramp.steps):
        yield from _within(f"{where}.ramp.steps[{index}].share", step.share, 0, 1, "a number from 0 to 1")
    if any(later <= former for former, later in pairwise(moments)):
        yield Problem(
            path=f"{where}.ramp.steps", found="moments that do not follow each other", expected="each later than the last"
        )
    if any(later <= former for former, later in pairwise(shares)):
        yield Problem(path=f"{where}.ramp.steps", found=f"shares {shares}", expected="each above the last, the first above share")
    yield from _within(f"{where}.ramp.falls_to", arm.ramp.falls_to, 0, max(0.0, arm.share), "from 0 to the arm's share")
    yield from _guardrails(f"{where}.ramp.guardrails", arm.ramp.guardrails)


def _guardrails(where: str, rails: Guardrails) -> Iterator[Problem]:
    if rails.error_rate is not None:
        yield from _within(f"{where}.error_rate", rails.error_rate, 0, 1, "a part of the requests, 0 to 1")
    if rails.p99_s is not None and not 0 < rails.p99_s <= LONGEST_TIMEOUT_S:
        yield _span(f"{where}.p99_s", rails.p99_s)
    if not 0 < rails.window_s <= LONGEST_TIMEOUT_S:
        yield _span(f"{where}.window_s", rails.window_s)
    yield from _within(f"{where}.fewest_requests", rails.fewest_requests, 1, _MOST_A_SECOND, "a number of requests, from 1")


def _mirroring(name: str, arm: Arm) -> Iterator[Problem]:
    where = f"arms.{name}.shadow"
    yield from _within(f"{where}.sample", arm.shadow.sample, 0, 1, "a part of the requests, 0 to 1")
    yield from _within(f"{where}.most_at_once", arm.shadow.most_at_once, 1, MOST_AT_ONCE, f"a number from 1 to {MOST_AT_ONCE}")


def _asking(document: Content) -> Iterator[Problem]:
    """How predictors are asked, and how often."""
    if not 0 < document.timeout_s <= LONGEST_TIMEOUT_S:
        yield _span("timeout_s", document.timeout_s)
    retries, breaker, limit = document.retries, document.breaker, document.rate_limit
    yield from _within("retries.share", retries.share, 0, 1, "a part of the requests, 0 to 1")
    yield from _within("retries.per_second", retries.per_second, 0, _MOST_A_SECOND, "a number of tries, from 0")
    yield from _within("breaker.failures", breaker.failures, 1, MOST_AT_ONCE, f"a number from 1 to {MOST_AT_ONCE}")
    if not 0 < breaker.open_s <= LONGEST_TIMEOUT_S:
        yield _span("breaker.open_s", breaker.open_s)
    if limit is not None:
        if not 0 < limit.per_second <= _MOST_A_SECOND:
            yield Problem(path="rate_limit.per_second", found=str(limit.per_second), expected="requests a second, above 0")
        yield from _within("rate_limit.burst", limit.burst, 1, _MOST_A_SECOND, "a number of requests, from 1")


def _keys(document: Parameters) -> Iterator[Problem]:
    """The places are apart, and each arm has as many as its share is."""
    if not document.keys:
        return  # of version 0, or of one from before places were kept: they are handed out where it is read
    if not are_apart(span for spans in document.keys.values() for span in spans):
        yield Problem(path="keys", found="places that overlap or are none", expected=f"spans apart, within 0 and {PLACES}")
    wanted = {name: count for name, arm in document.arms.items() if (count := places(greatest_planned_share(arm)))}
    found = {name: width(spans) for name, spans in document.keys.items()}
    if found != wanted:
        yield Problem(path="keys", found=f"{found} places", expected=f"{wanted}, as the shares are")


def _within(path: str, value: float, low: float, high: float, expected: str) -> Iterator[Problem]:
    if not low <= value <= high:
        yield Problem(path=path, found=str(value), expected=expected)


def _span(path: str, value: float) -> Problem:
    return Problem(path=path, found=str(value), expected=f"seconds, above 0 and at most {LONGEST_TIMEOUT_S}")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        if parts.scheme == "unix":
            return not parts.netloc and len(parts.path) > 1
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or too large
        return False
