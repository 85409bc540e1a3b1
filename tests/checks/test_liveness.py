"""The claims `every_logged_digest_was_live` and `predictors_serve_what_was_released`."""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from checks.liveness import Answerer, Served, every_logged_digest_was_live, live_spans, predictors_serve_what_was_released
from lake.documents import DocumentStore
from lake.home import Home
from lake.release.ledger import Entry, Ledger
from lake.release.signatures import PlatformKey
from lake.release.trust import Trust
from tests.scenario import USE_CASE, decision

FIRST, SECOND = "a" * 64, "b" * 64
START = datetime(2013, 7, 1, tzinfo=timezone.utc)
NOON = START + timedelta(hours=12)


@pytest.fixture
def entries(home: Home) -> Sequence[Entry]:
    """The first package is the champion from midnight, the second is the challenger from one and the champion from six."""
    key = PlatformKey.read_or_make(home.keys)
    ledger = Ledger(DocumentStore(home.lake), USE_CASE, Trust.in_key(key))
    events: list[tuple[int, dict[str, Any]]] = [
        (0, {"package_digest": FIRST}),
        (1, {"package_digest": SECOND, "role": "challenger", "arm": "challenger"}),
        (6, {"package_digest": SECOND}),
    ]
    for hour, changes in events:
        ledger.append(decision(**changes), "ada", (START + timedelta(hours=hour)).isoformat(), key)
    return ledger.entries


def answerer(digest: str, release_seq: int, hours: tuple[float, float], arm: str = "champion") -> Answerer:
    first, last = (START + timedelta(hours=hour) for hour in hours)
    return Answerer(arm=arm, package_digest=digest, release_seq=release_seq, first_utc=first, last_utc=last, rows=100)


def test_a_release_is_live_from_its_event_until_the_one_that_ends_it(entries: Sequence[Entry]) -> None:
    spans = {one.release_seq: (one.arm, one.package_digest, one.from_utc, one.until_utc) for one in live_spans(entries)}

    six = START + timedelta(hours=6)
    assert spans[1] == ("champion", FIRST, START, six)
    assert spans[2] == ("challenger", SECOND, START + timedelta(hours=1), None)
    assert spans[3] == ("champion", SECOND, six, None)


def test_answers_of_live_releases_pass(entries: Sequence[Entry]) -> None:
    found = [answerer(FIRST, 1, (0, 6)), answerer(SECOND, 2, (1, 9), "challenger"), answerer(SECOND, 3, (6, 9))]

    verdict = every_logged_digest_was_live(found, entries)

    assert verdict.passed
    assert verdict.rows == 300


def test_an_answer_that_finishes_during_the_change_over_passes(entries: Sequence[Entry]) -> None:
    assert every_logged_digest_was_live([answerer(FIRST, 1, (0, 6 + 30 / 3600))], entries).passed


@pytest.mark.parametrize(
    "stranger",
    [
        answerer("f" * 64, 1, (0, 1)),
        answerer(FIRST, 1, (0, 7)),
        answerer(FIRST, 1, (-1, 1)),
        answerer(FIRST, 3, (6, 7)),
        answerer(SECOND, 3, (6, 7), "challenger"),
        answerer(SECOND, 2, (1, 2), "champion"),
    ],
    ids=["never released", "after it was replaced", "before it was released", "another release", "another arm", "arm of another"],
)
def test_an_answer_of_what_was_not_live_is_an_alarm_that_names_it(entries: Sequence[Entry], stranger: Answerer) -> None:
    verdict = every_logged_digest_was_live([answerer(FIRST, 1, (0, 6)), stranger], entries)

    assert not verdict.passed
    assert verdict.observed == 100
    assert stranger.package_digest[:12] in verdict.reason
    assert "100 of 200 answers" in verdict.reason


def test_without_answers_there_is_no_evidence() -> None:
    verdict = every_logged_digest_was_live([], [])

    assert not verdict.passed
    assert verdict.observed is None


def serving(arm: str, digest: str | None, release_seq: int | None, **changes: Any) -> Served:
    served = Served(arm=arm, url=f"http://{arm}", served_arm=arm, package_digest=digest, release_seq=release_seq)
    return msgspec.structs.replace(served, **changes)


def test_predictors_that_serve_what_is_live_pass(entries: Sequence[Entry]) -> None:
    served = [serving("champion", SECOND, 3), serving("champion", SECOND, 3), serving("challenger", SECOND, 2)]

    assert predictors_serve_what_was_released(served, entries, NOON).passed


@pytest.mark.parametrize(
    ("served", "words"),
    [
        (serving("champion", FIRST, 1), "expected bbbbbbbbbbbb as release 3"),
        (serving("champion", SECOND, 2), "expected bbbbbbbbbbbb as release 3"),
        (serving("champion", None, None, problem="connection refused"), "nothing (connection refused)"),
        (serving("champion", SECOND, 3, served_arm="challenger"), "serves arm 'challenger'"),
        (serving("shadow", FIRST, 1), "expected nothing"),
    ],
)
def test_a_predictor_that_serves_anything_else_is_an_alarm_that_names_it(
    entries: Sequence[Entry], served: Served, words: str
) -> None:
    verdict = predictors_serve_what_was_released(
        [serving("champion", SECOND, 3), serving("challenger", SECOND, 2), served], entries, NOON
    )

    assert not verdict.passed
    assert (verdict.observed, verdict.remedy) == (1, "fix the source")
    assert words in verdict.reason


def test_a_live_arm_without_a_predictor_is_an_alarm(entries: Sequence[Entry]) -> None:
    verdict = predictors_serve_what_was_released([serving("champion", SECOND, 3)], entries, NOON)

    assert not verdict.passed
    assert "no predictor is known for live arm 'challenger'" in verdict.reason


def test_for_a_minute_after_an_event_a_predictor_may_still_be_loading(entries: Sequence[Entry]) -> None:
    behind = [serving("champion", FIRST, 1), serving("challenger", SECOND, 2)]
    released = START + timedelta(hours=6)

    assert predictors_serve_what_was_released(behind, entries, released + timedelta(seconds=30)).passed
    assert not predictors_serve_what_was_released(behind, entries, released + timedelta(seconds=90)).passed


def test_without_predictors_there_is_no_evidence(entries: Sequence[Entry]) -> None:
    verdict = predictors_serve_what_was_released([], entries, NOON)

    assert not verdict.passed
    assert verdict.observed is None
    assert "TRAINSERVE_PREDICTORS" in verdict.reason
