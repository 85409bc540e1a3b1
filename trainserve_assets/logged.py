"""Logged answers beside their labels and losses: the frame that every figure is computed from."""

from collections.abc import Collection, Mapping
from datetime import date, timedelta

import polars as pl

from lake.delta import Table
from lake.errors import NotFound
from lake.input_schema import InputSchema
from lake.tables import LABELS, PREDICTIONS, labels_schema
from trainserve_assets.counted_labels import counted
from trainserve_assets.windows.progress import logged_days

NO_ARM = "no arm"
_SMALLEST = 1e-15
_LABEL = ("label", "labelled_at_utc")
_COUNTED = ("label", "observed_at_utc", "received_at_utc", "spool_id", "seq")
_AT_ONCE = 262_144
# How a label names predictions; of the first of each pair it is known where in the table it may be.
_NAMES = (("request_id", "row"), ("event_time_utc", "entity_key_hash"))

# What a model that always answers the usual would say: one probability, one for each class, or one value.
Usual = tuple[float, ...]


def read_log(lake: str, schema: InputSchema, days_back: int | None = None) -> pl.LazyFrame:
    """The labelled predictions, all or those of the newest days of event time. Raises NotFound before the first."""
    labels = Table(lake, schema.use_case, LABELS)
    rows = read_predictions(lake, schema.use_case, days_back)
    return labelled(rows, labels.scan() if labels.exists() else labels_schema(schema).to_frame().lazy())


def read_day(lake: str, schema: InputSchema, day: date, columns: Collection[str | pl.Expr]) -> pl.DataFrame:
    """The labelled predictions of one day of event time, in the order of the log. Of the labels only those near are read.

    So many predictions are read and joined at once: a join holds much of each. A column is computed of its row alone.
    """
    order = ["spool_id", "seq", "arm"]
    of_day = Table(lake, schema.use_case, PREDICTIONS).scan_partitions("event_date", "=", day)
    labels = Table(lake, schema.use_case, LABELS)
    known = labels.scan() if labels.exists() else labels_schema(schema).to_frame().lazy()
    parts = []
    for first in range(0, max(of_day.select(pl.len()).collect().item(), 1), _AT_ONCE):
        some = of_day.slice(first, _AT_ONCE)
        found = _labels_of(day, some, known)  # before all else is read: what is joined by needs as much memory
        parts.append(some.select(*order, *columns).collect().with_columns(*found).rechunk())
    rows = pl.concat(parts, rechunk=False)  # all columns in the same pieces: were they not, whatever is done next copies them
    rows = rows if _is_sorted(rows, order) else rows.sort(order)
    return rows.drop("spool_id", "seq")


def _is_sorted(rows: pl.DataFrame, by: list[str]) -> bool:
    """Whether rows are in this order already, without a copy of what they are ordered by."""
    is_before, is_same = pl.lit(value=False), pl.lit(value=True)
    for name in by:
        is_before |= is_same & (pl.col(name).shift() < pl.col(name))
        is_same &= pl.col(name).shift() == pl.col(name)
    return bool(rows.select((is_before | is_same).slice(1).fill_null(value=False).all()).item())


def _labels_of(day: date, predictions: pl.LazyFrame, labels: pl.LazyFrame) -> pl.DataFrame:
    """Arm and label of some predictions of a day, in their order."""
    arm = predictions.select(pl.col("arm").fill_null(NO_ARM)).collect()
    said = [_said_of(day, predictions, labels, number) for number in range(len(_NAMES))]
    return pl.concat([arm, *said], how="horizontal").select("arm", **_known_later())


def _said_of(day: date, predictions: pl.LazyFrame, labels: pl.LazyFrame, number: int) -> pl.DataFrame:
    """What labels by one of the names say of each prediction of a day, in their order. Of the labels those near are read.

    Each name for itself, so that no more is held than one join needs, and nothing is joined where nobody uses it.
    """
    first, other = _NAMES[number]
    values = predictions.select(first).collect()
    near = labels.filter(_is_by(number) & _near(values[first], day)).select(*_NAMES[number], *_COUNTED)
    known = near.collect()  # once, where a join looks many times
    if known.is_empty():
        return known.select("label", labelled_at_utc="received_at_utc").clear(values.height).rename(_numbered(number))
    rows = predictions.select(other).collect().with_columns(values[first]).with_row_index("place")
    joined = _joined(rows.lazy(), known.lazy(), number, ordered=False).drop(first, other)
    return joined.sort("place").drop("place").collect()  # these few columns alone: in order, a join costs twice as much


def _near(values: pl.Series, day: date) -> pl.Expr:
    """What may be one of these values: what lies in their range, of times in that of their day's or of those before or after it.

    The event time of a row is another day's where a clock is wrong: nothing between the two is near.
    """
    parts = [values.drop_nulls()]
    if values.dtype.is_temporal():
        of = values.dt.date()
        parts = [values.filter(which) for which in (of < day, of == day, of > day)]
    ranges = [pl.col(values.name).is_between(pl.lit(part.min()), pl.lit(part.max())) for part in parts if part.len()]
    # That it is null in all rows of a file is no range: only where it is asked whether it is, the file is passed over.
    return pl.col(values.name).is_not_null() & pl.any_horizontal(pl.lit(value=False), *ranges)


def read_predictions(lake: str, use_case: str, days_back: int | None = None) -> pl.LazyFrame:
    """The predictions, all or those of the newest days of event time. Raises NotFound before the first."""
    table = Table(lake, use_case, PREDICTIONS)
    days = logged_days(table)
    if not days:
        raise NotFound("logged prediction of", use_case, "Send requests to the proxy, and let the shipper run.")
    if days_back is None:
        return table.scan()
    return table.scan_partitions("event_date", ">", max(days) - timedelta(days=days_back))


def stretch(rows: pl.LazyFrame, wanted: pl.Expr, last: int | None = None) -> pl.LazyFrame:
    """The rows from the first to the last of which this holds, or of the last so many: with all between them.

    To find them only what it looks at is read, and of all else the stretch, where no filter is in between.
    """
    found = rows.select(wanted.arg_true().alias("place")).collect().to_series()
    places = found if last is None else found.tail(last)
    return rows.head(0) if places.is_empty() else rows.slice(places[0], places[-1] - places[0] + 1)


def labelled(predictions: pl.LazyFrame, labels: pl.LazyFrame) -> pl.LazyFrame:
    """Predictions with `label` and `labelled_at_utc`, null while no label has arrived; one row for each, in their order.

    A label names its prediction by request and row, or all predictions about an entity at a time. Which of several counts for
    one name, `counted` says; of both names the one that is known since later.
    """
    joined = predictions.with_columns(pl.col("arm").fill_null(NO_ARM))
    for number in range(len(_NAMES)):
        joined = _joined(joined, labels.filter(_is_by(number)), number, ordered=True)
    return joined.with_columns(**_known_later()).drop(
        name for number in range(len(_NAMES)) for name in _numbered(number).values()
    )


def _is_by(number: int) -> pl.Expr:
    """Whether a label is by this name: by request, where it tells one."""
    return pl.col("request_id").is_null() if number else pl.col("request_id").is_not_null()


def _numbered(number: int) -> dict[str, str]:
    return {name: f"{name}_{number}" for name in _LABEL}


def _joined(predictions: pl.LazyFrame, labels: pl.LazyFrame, number: int, *, ordered: bool) -> pl.LazyFrame:
    """Predictions with what labels by one name say; in their order, where it is `ordered`."""
    keys = [*_NAMES[number]]
    said = counted(labels, keys).rename(_numbered(number))
    return predictions.join(said, on=keys, how="left", maintain_order="left" if ordered else "none")


def _known_later() -> dict[str, pl.Expr]:
    """Of what labels by both names say that which is known since later."""
    is_later, is_same = pl.col("labelled_at_utc_1") > pl.col("labelled_at_utc_0"), pl.col("label_1") == pl.col("label_0")
    newer = (is_later ^ is_same).fill_null(pl.col("labelled_at_utc_0").is_null())  # the same is known since the first
    return {name: pl.when(newer).then(f"{name}_1").otherwise(f"{name}_0") for name in _LABEL}


def known_since() -> pl.Expr:
    """When the newest prediction or label of a group arrived: what is computed from it was known from then on."""
    return pl.max_horizontal("received_at_utc", "labelled_at_utc").max()


def answered() -> pl.Expr:
    """Whether a prediction was answered; only those have scores."""
    return pl.col("outcome") == "answered"


def with_losses(rows: pl.LazyFrame, schema: InputSchema, usual: Mapping[str, Usual]) -> pl.LazyFrame:
    """Adds `score`, `truth`, `loss` and `base_loss`, null where there is no answer or no label.

    The score is what the client was answered, after all rules; a shadow's, which nobody was, is the model's own. For a
    binary use case it is a probability, for a regression a value; a multiclass answer has no single score.
    `usual` gives for each package digest the answer of its base rate; `base_loss` is null for other packages.
    """
    final = pl.when(answered()).then(pl.coalesce("answer", "scores"))
    single = schema.task != "multiclass"
    number = pl.col("label") if single else pl.lit(None, pl.Float64)
    base = pl.col("package_digest").replace_strict(
        list(usual), [list(value) for value in usual.values()], default=None, return_dtype=pl.List(pl.Float64)
    )
    return rows.with_columns(
        score=final.list.get(0) if single else pl.lit(None, pl.Float64),
        truth=pl.when(answered()).then(number),
        loss=loss(schema, final),
        base_loss=pl.when(answered()).then(loss(schema, base)),
    )


def loss(schema: InputSchema, answer: pl.Expr) -> pl.Expr:
    """What an answer, a list of scores, loses against `label`: log-loss for classes, squared error for a regression."""
    label = pl.col("label")
    match schema.task:
        case "binary":
            probability = answer.list.get(0).clip(_SMALLEST, 1 - _SMALLEST)
            return -(label * probability.log() + (1 - label) * (1 - probability).log())
        case "multiclass":
            position = label.replace_strict(list(schema.classes), range(len(schema.classes)), default=None, return_dtype=pl.Int64)
            return -answer.list.get(position).clip(_SMALLEST, 1.0).log()
        case "regression":
            return (answer.list.get(0) - label) ** 2


def loss_name(schema: InputSchema) -> str:
    """What the loss of this use case is called."""
    return "squared_error" if schema.task == "regression" else "log_loss"
