"""Every way of the benchmark of batches brings the same flights, and says how it is to be read."""

from datetime import datetime, timezone
from typing import Any

from bench.batches import BatchFigure, bodies
from bench.load import JSON
from lake.decoder import Decoder
from lake.interface.examples import example_record
from trainserve_assets.catalog import use_case


def flight(minute: int, carrier: str) -> dict[str, Any]:
    """One of the source's rows, whose times are times."""
    left = datetime(2013, 7, 1, 9, minute, tzinfo=timezone.utc)
    return {
        **example_record(use_case("flight_delay").input_schema),
        "scheduled_departure_utc": left,
        "carrier": carrier,
    }


def test_all_bodies_hold_the_same_rows() -> None:
    schema = use_case("flight_delay").input_schema
    decoder = Decoder(schema)
    rows = [flight(1, "UA"), flight(2, "EXTRA"), flight(3, "DL")]
    made = bodies(schema, rows)

    assert [one.name for one in made] == ["OIP, bytes", "OIP, JSON", "records"]
    for one in made:
        assert list(one.question.rows(decoder).records) == decoder.convert(rows), one.name
    assert [one.headers["content-type"] for one in made] == ["application/octet-stream", *[JSON["content-type"]] * 2]
    assert made[0].headers["inference-header-content-length"] == made[0].json_length


def test_a_figure_shows_rows_a_second_and_the_share_of_the_engine() -> None:
    line = BatchFigure(
        name="OIP, bytes", where="in process", rows_per_second=1_250_000.0, batch_ms=0.8, of_columns=0.5, rounds=[1.0]
    )

    assert list(line.cells().values()) == ["OIP, bytes", "in process", "1,250,000", "0.80", "0.50"]
