"""Rows of a drop that are no labels stop no other, and are kept with every reason; a drop without the columns is refused."""

from typing import Any

import polars as pl
import pytest

from lake.home import Home
from lake.log.delivery import drop_folder
from lake.log.labels import KEPT_TIMES
from tests.drops import OBSERVED, by_request, delivered, deliverer, drops, labels, put, rejected, request, said
from tests.scenario import USE_CASE, parcel_schema, private_schema


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ({"label": 2}, "label: found 2.0, expected 0 or 1"),
        ({"label": None}, "label: found None, expected 0 or 1"),
        ({"label": float("nan")}, "label: found nan, expected 0 or 1"),
        ({"row": -1}, "row: found -1, expected an integer >= 0"),
        ({"request_id": None}, "the row: found neither, expected either request_id or entity"),
        (
            {"request_id": None, "entity": {"parcel_id": "P-1"}},
            "event_time: found nothing, expected the time of the entity's event",
        ),
        (
            {"label": 7, "request_id": None, "entity": {"parcel_id": None}, "event_time": OBSERVED},
            "entity.parcel_id: expected text of at most 256 characters; label: found 7.0, expected 0 or 1",
        ),
    ],
)
def test_a_row_that_is_no_label_is_kept_with_every_reason_and_stops_no_other(
    home: Home, changes: dict[str, Any], problems: str
) -> None:
    good = {"request_id": request(1), "row": 0, "entity": None, "event_time": None, "label": 1.0}
    schema = pl.Schema(
        {
            "request_id": pl.String(),
            "row": pl.Int32(),
            "entity": pl.Struct({"parcel_id": pl.String()}),
            "event_time": pl.Datetime("ns", "Europe/Berlin"),
            "label": pl.Float32(),
        }
    )
    put(home, pl.DataFrame([{**good, "request_id": request(2)} | changes, good], schema=schema))

    [one] = delivered(home)

    assert (one.rows, one.accepted, one.rejected) == (2, 1, 1)
    assert labels(home) == said(1)
    [row] = rejected(home).iter_rows(named=True)
    assert (row["drop"], row["row"], row["problems"]) == ("july.parquet", 0, problems)


@pytest.mark.parametrize("member", ["event_time", "observed_at"])
@pytest.mark.parametrize("moment_us", [-62_135_596_800_000_001, 253_402_300_800_000_000, 2**63 - 1, -(2**63) + 1])
def test_a_time_of_no_year_that_utc_has_rejects_its_row_alone(home: Home, member: str, moment_us: int) -> None:
    named = pl.Series([{"parcel_id": "P-1"}, {"parcel_id": "P-2"}])
    times = pl.Series([OBSERVED, OBSERVED], dtype=pl.Datetime("us", "UTC"))
    wrong = pl.Series([moment_us, None]).cast(pl.Datetime("us", "UTC")).fill_null(OBSERVED)
    put(home, pl.DataFrame({"entity": named, "label": [1.0, 0.0], "event_time": times, "observed_at": times, member: wrong}))

    [one] = delivered(home)

    assert (one.rows, one.accepted, one.rejected) == (2, 1, 1)
    [row] = rejected(home).iter_rows(named=True)
    assert (row["row"], row["problems"]) == (0, f"{member}: found a time beyond, expected {KEPT_TIMES}")


def test_rows_that_contradict_each_other_are_rejected_for_a_drop_has_no_order(home: Home) -> None:
    put(home, pl.concat([by_request(1, 1, 1), by_request(0), by_request(1, first=2)]))

    [one] = delivered(home)

    assert (one.rows, one.accepted, one.repeated, one.rejected) == (5, 2, 1, 2)
    assert labels(home) == said(1, 1, first=2)
    assert rejected(home)["row"].to_list() == [0, 3]
    why = "label: found another one in a row of this drop with the same name and observed_at, "
    assert set(rejected(home)["problems"]) == {f"{why}expected one; a correction has an observed_at of its own"}


def test_the_rejected_rows_of_a_version_are_kept_once(home: Home) -> None:
    put(home, by_request(2, 1))
    [drop] = drop_folder(home, USE_CASE).drops()
    deliverer(home).deliver(drop)
    deliverer(home).deliver(drop)
    assert rejected(home)["row"].to_list() == [0]

    put(home, by_request(2, 3))
    delivered(home)

    assert rejected(home).group_by("version").len()["len"].sort().to_list() == [1, 2]


def test_values_of_a_use_case_with_sensitive_fields_are_kept_nowhere(home: Home) -> None:
    rows = pl.DataFrame({"entity": [{"parcel_id": "secret" * 50}], "event_time": [OBSERVED], "label": [1]})
    put(home, rows)

    delivered(home, private_schema())

    [row] = rejected(home).iter_rows(named=True)
    assert (row["problems"], row["content"]) == ("entity.parcel_id: expected text of at most 256 characters", None)


def test_of_a_rejected_row_everything_is_kept_but_its_entity(home: Home) -> None:
    rows = {"entity": [{"parcel_id": "P-1"}, {"parcel_id": None}], "event_time": [OBSERVED] * 2, "label": [2, 1]}
    put(home, pl.DataFrame(rows))

    delivered(home)

    first, second = rejected(home).iter_rows(named=True)
    assert first["content"] == '{"label":2.0,"row":0,"event_time":"2013-07-02T00:00:00Z"}'
    assert second["problems"] == "entity.parcel_id: expected text of at most 256 characters"


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pl.DataFrame({"request_id": ["r"]}), "label: found no such column"),
        (pl.DataFrame({"label": [1]}), "request_id: found no such column, expected request_id, or entity and event_time"),
        (by_request(1).with_columns(score=1), "score: found Int32, expected no column but label, request_id"),
        (by_request(1).with_columns(label=pl.lit("1")), "label: found String, expected numbers"),
        (by_request(1).with_columns(label=pl.lit(value=True)), "label: found Boolean, expected numbers"),
        (
            by_request(1).with_columns(pl.col("observed_at").dt.replace_time_zone(None)),
            "observed_at: found Datetime(time_unit='us', time_zone=None), expected times with a time zone",
        ),
        (
            pl.DataFrame({"label": [1], "entity": [{"parcel": "P-1"}], "event_time": [OBSERVED]}),
            "expected a struct of parcel_id",
        ),
    ],
)
def test_a_drop_whose_columns_are_not_those_of_labels_is_refused_whole(home: Home, frame: pl.DataFrame, words: str) -> None:
    put(home, frame)

    [one] = delivered(home)

    assert words in (one.refused or "")
    assert (one.rows, one.accepted) == (0, 0)
    assert labels(home) == []
    assert delivered(home) == [], "until it is written again"


def test_bytes_that_are_no_parquet_are_refused_and_the_next_drop_is_delivered(home: Home) -> None:
    (drops(home) / "broken.parquet").write_bytes(b"PAR1 no more")
    put(home, by_request(1))

    broken, whole = delivered(home)

    assert (broken.refused or "").startswith("the file: found ")
    assert whole.accepted == 1
    put(home, by_request(0, first=2), "broken.parquet")
    assert [one.accepted for one in delivered(home)] == [1]


@pytest.mark.parametrize(
    ("changes", "label", "bad"),
    [
        ({"task": "regression"}, -12.5, "inf"),
        ({"task": "multiclass", "classes": ("late", "lost")}, "lost", "early"),
    ],
)
def test_labels_of_a_drop_are_of_the_use_cases_task(home: Home, changes: dict[str, Any], label: Any, bad: str) -> None:
    kind = float if isinstance(label, float) else str
    put(home, by_request(label, kind(bad)))

    [one] = delivered(home, parcel_schema(**changes))

    assert (one.accepted, one.rejected) == (1, 1)
    assert labels(home) == [(request(1), label)]
