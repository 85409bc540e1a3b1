"""The flights of 2013 by day, as models that were trained on the months before would have answered them.

`python -m tests.checks.flights_days` trains the candidates of the use case anew, in a minute or two, and writes the files.
"""

from datetime import date, datetime, timezone
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.days import LabelledDay

FILE = Path(__file__).with_name("flights_days.csv")
# The champion's that was trained until 1 June, from then on, by airport and carrier.
SLICES_FILE = Path(__file__).with_name("flights_slices.csv")
CHAMPION, CHALLENGERS = "catboost", ("hist_gradient_boosting", "logistic_regression")
_DIGITS, _SLICE_DIGITS = 6, 4

Floats = npt.NDArray[np.float64]


def days_of(trained_until: str, first: str, last: str = "2013-12-31") -> pl.DataFrame:
    """The days of the model that was trained until then (exclusive), from the first to the last."""
    days = pl.read_csv(FILE, try_parse_dates=True).filter(trained_until=date.fromisoformat(trained_until))
    return days.filter(pl.col("day").is_between(date.fromisoformat(first), date.fromisoformat(last)))


def labelled_days(trained_until: str, first: str, last: str = "2013-12-31") -> list[LabelledDay]:
    """The same as the checks take them: the champion's, all labelled."""
    days = days_of(trained_until, first, last).select("day", "n", "predicted", "observed", "base_loss", loss=CHAMPION)
    return [LabelledDay(**day, labelled_share=1.0) for day in days.iter_rows(named=True)]


def training_rates(trained_until: str) -> list[float]:
    """What was observed on each day that the model was trained on."""
    last = date.fromisoformat(trained_until)
    days = days_of(trained_until, "2013-01-01").filter(pl.col("day") < last)
    return days["observed"].to_list()


@cache
def right_slices(*, skilled: bool = False) -> tuple[dict[str, list[LabelledDay]], list[LabelledDay]]:
    """The days of each slice, and of all, with what is predicted made so much less or more that each is right in each month.

    So is the loss: in each month it is just the base rate's, or, when it is to stay `skilled`, what it is.
    """
    days = pl.read_csv(SLICES_FILE, try_parse_dates=True)
    origins = days.filter(pl.col("slice").str.starts_with("origin="))
    means = [((pl.col(name) * pl.col("n")).sum() / pl.col("n").sum()).alias(name) for name in days.columns[3:]]
    whole = origins.group_by("day").agg(*means, pl.col("n").sum()).select(days.columns[1:], slice=pl.lit("all"))
    month = ["slice", pl.col("day").dt.month()]
    n = pl.col("n").sum().over(month)
    happened, predicted, loss, base_loss = (
        (pl.col("n") * pl.col(name)).sum().over(month) for name in ("observed", "predicted", "loss", "base_loss")
    )
    right = pl.concat([days, whole.select(days.columns)]).with_columns(predicted=pl.col("predicted") * happened / predicted)
    if not skilled:
        right = right.with_columns(loss=pl.col("loss") - (loss - base_loss) / n)
    found: dict[str, list[LabelledDay]] = {}
    for row in right.sort("slice", "day").iter_rows(named=True):
        day = LabelledDay(**{name: row[name] for name in days.columns[1:]}, labelled_share=1.0)
        found.setdefault(row["slice"], []).append(day)
    return found, found.pop("all")


def loss_differences(trained_until: str, champion: str, challenger: str) -> tuple[Floats, Floats]:
    """What the challenger lost more on each day that neither was trained on, and how many flights that day had."""
    days = days_of(trained_until, trained_until)
    return (days[challenger] - days[champion]).to_numpy(), days["n"].to_numpy().astype(float)


def _scored(trained_until: str) -> pl.DataFrame:
    """Each flight with what the models say of it."""
    from trainserve_assets.defs.flight_delay.source import flights
    from trainserve_assets.trainers import Lesson, train
    from trainserve_assets.use_case import Candidate

    features = (
        *("carrier", "origin", "dest", "distance_miles", "weekday", "departure_minute", "arrival_minute", "temperature_f"),
        *("dew_point_f", "humidity_percent", "wind_direction_degrees", "wind_speed_mph", "wind_gust_mph"),
        *("precipitation_inches", "pressure_hpa", "visibility_miles"),
    )
    candidates = (
        Candidate(name=CHAMPION, trainer="catboost", parameters={"iterations": 300, "depth": 6, "learning_rate": 0.05}, seed=1),
        Candidate(name=CHALLENGERS[0], trainer="hist_gradient_boosting", parameters={"max_leaf_nodes": 31}, seed=1),
        Candidate(name=CHALLENGERS[1], trainer="logistic_regression", parameters={"C": 1.0}, seed=1),
    )
    rows = flights().filter(pl.col("label").is_not_null()).sort("scheduled_departure_utc").collect()
    until = datetime.fromisoformat(trained_until).replace(tzinfo=timezone.utc)
    training = rows.filter(pl.col("scheduled_departure_utc") < until)
    lesson = Lesson(
        task="binary",
        features=features,
        categories={name: tuple(sorted(training[name].unique())) for name in ("carrier", "origin", "dest")},
        rows=training.select(features).rows(),
        labels=training["label"].to_numpy(),
    )
    label = rows["label"].to_numpy()
    figures = {"base_loss": _loss(np.full(len(label), label[: training.height].mean()), label)}
    for candidate in candidates:
        trained = train(candidate.trainer, lesson, candidate.parameters, candidate.seed)
        scores = np.array(trained.predict(rows.select(features).rows()))[:, 0]
        figures |= {candidate.name: _loss(scores, label)} | ({"predicted": scores} if candidate.name == CHAMPION else {})
    flights_of = rows.select(
        "origin", "carrier", trained_until=pl.lit(trained_until), day=pl.col("scheduled_departure_utc").dt.date()
    )
    return flights_of.with_columns(observed=label, **{name: pl.Series(values) for name, values in figures.items()})


def _made(scored: pl.DataFrame) -> pl.DataFrame:
    order = ("predicted", "observed", "base_loss", CHAMPION, *CHALLENGERS)
    daily = scored.group_by("trained_until", "day").agg(
        pl.len().alias("n"), *(pl.col(name).mean().round(_DIGITS) for name in order)
    )
    return daily.sort("day")


def _sliced(scored: pl.DataFrame) -> pl.DataFrame:
    later = scored.filter(pl.col("day") >= pl.col("trained_until").str.to_date())
    means = [pl.col(name).mean().round(_SLICE_DIGITS) for name in ("predicted", "observed", "base_loss")]
    means.append(pl.col(CHAMPION).mean().round(_SLICE_DIGITS).alias("loss"))
    parts = [
        later.with_columns(slice=f"{name}=" + pl.col(name)).group_by("slice", "day").agg(pl.len().alias("n"), *means)
        for name in ("origin", "carrier")
    ]
    return pl.concat(parts).sort("slice", "day")


def _loss(scores: Floats, label: Floats) -> Floats:
    return -(label * np.log(scores) + (1 - label) * np.log(1 - scores))


if __name__ == "__main__":
    flights_until = [_scored(trained_until) for trained_until in ("2013-06-01", "2013-07-01")]
    pl.concat(map(_made, flights_until)).write_csv(FILE)
    _sliced(flights_until[0]).write_csv(SLICES_FILE)
