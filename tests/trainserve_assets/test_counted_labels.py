"""Which of several labels counts: always what they would say that were told them one after the other, in the order of arrival."""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import hypothesis.strategies as st
import msgspec
import polars as pl
from hypothesis import given

from lake.tables import labels_schema
from tests.scenario import parcel_schema
from trainserve_assets.counted_labels import counted

KEYS = ["request_id", "row"]
BEGIN = datetime(2013, 7, 1, tzinfo=timezone.utc)


class Said(msgspec.Struct, frozen=True):
    """A label about row 0 of a request: what it says, and the hour in which that was observed, if it tells it."""

    label: float
    observed: int | None = None
    request: str = "a"


def moment(hour: int) -> datetime:
    return BEGIN + timedelta(hours=hour)


def frame(labels: Sequence[Said]) -> pl.LazyFrame:
    """The labels as they were received, an hour after each other."""
    rows = [
        {
            "request_id": said.request,
            "row": 0,
            "label": said.label,
            "observed_at_utc": None if said.observed is None else moment(said.observed),
            "received_at_utc": moment(number),
            "spool_id": "s",
            "seq": number,
        }
        for number, said in enumerate(labels)
    ]
    return pl.LazyFrame(rows, schema=labels_schema(parcel_schema()))


def found(labels: Sequence[Said]) -> dict[str, tuple[float, int]]:
    """For each request the label that counts, and the number of the delivery since which it does."""
    rows = counted(frame(labels), KEYS).collect()
    hours = (rows["labelled_at_utc"] - BEGIN).dt.total_hours()
    return dict(zip(rows["request_id"], zip(rows["label"], hours, strict=True), strict=True))


def told(labels: Sequence[Said]) -> dict[str, tuple[float, int]]:
    """The same, by somebody who is told them one after the other."""
    counts: dict[str, tuple[float, int]] = {}
    heard: set[Said] = set()
    newest: dict[str, int] = {}
    for number, said in enumerate(labels):
        if said.observed is not None:
            if said in heard or said.observed < newest.get(said.request, said.observed):
                continue
            heard.add(said)
            newest[said.request] = said.observed
        if said.request not in counts or counts[said.request][0] != said.label:
            counts[said.request] = said.label, number
    return counts


SAID = st.builds(Said, st.sampled_from([0.0, 1.0]), st.none() | st.integers(0, 3), st.sampled_from("ab"))


@given(st.lists(SAID, max_size=12))
def test_what_counts_is_what_was_understood_by_the_end(labels: list[Said]) -> None:
    assert found(labels) == told(labels)


@given(st.lists(SAID, min_size=1, max_size=8), st.data())
def test_an_observation_that_is_delivered_again_changes_nothing(labels: list[Said], data: st.DataObject) -> None:
    dated = [said for said in labels if said.observed is not None]
    again = data.draw(st.lists(st.sampled_from(dated), max_size=5)) if dated else []

    assert found([*labels, *again]) == found(labels)


def test_a_label_without_its_time_that_is_delivered_again_changes_nothing() -> None:
    assert found([Said(1.0), Said(1.0), Said(1.0)]) == {"a": (1.0, 0)}


def test_a_changed_label_counts_since_it_was_received() -> None:
    assert found([Said(1.0), Said(0.0)]) == {"a": (0.0, 1)}
    assert found([Said(1.0, observed=1), Said(0.0, observed=2)]) == {"a": (0.0, 1)}


def test_an_older_observation_that_was_held_up_undoes_no_newer_one() -> None:
    assert found([Said(0.0, observed=2), Said(1.0, observed=1)]) == {"a": (0.0, 0)}


def test_of_one_observation_that_is_told_in_two_ways_the_last_counts() -> None:
    assert found([Said(0.0, observed=1), Said(1.0, observed=1)]) == {"a": (1.0, 1)}


def test_without_its_time_a_label_may_change_back() -> None:
    assert found([Said(1.0), Said(0.0), Said(1.0)]) == {"a": (1.0, 2)}


def test_labels_of_one_request_are_ordered_by_their_place_in_it() -> None:
    """They were received in the same moment."""
    together = frame([Said(1.0), Said(0.0)]).with_columns(received_at_utc=pl.lit(BEGIN, pl.Datetime("us", "UTC")))

    assert counted(together, KEYS).collect()["label"].to_list() == [0.0]
