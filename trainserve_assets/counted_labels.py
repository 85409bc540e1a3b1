"""Which of the labels about one thing counts: those that were delivered late, again or changed included.

Labels count in the order in which they were received, as if each were judged when it came. So whoever delivers an
observation again changes nothing, and an old one that was held up on its way does not undo a newer one.
"""

import polars as pl

_OBSERVED = pl.col("observed_at_utc")
_ALONE = "alone"


def counted(labels: pl.LazyFrame, keys: list[str]) -> pl.LazyFrame:
    """One row for each thing that these columns name: the `label` that counts, and `labelled_at_utc`, since when it does.

    A label that says when it was observed counts once, and not at all where a newer observation was there before it. Of
    the others, and of those that do not say so, the one received last counts: since the first that said the same, with
    none that said otherwise after it.
    """
    # What is not alone by its hash is judged by its keys.
    marked = labels.with_columns(pl.struct(keys).hash().is_unique().alias(_ALONE))
    return pl.concat(
        [
            _known(marked.filter(_ALONE), keys),  # nearly all: they need no sorting
            _known(_last_said(marked.filter(~pl.col(_ALONE)), keys), keys),
        ]
    )


def _last_said(labels: pl.LazyFrame, keys: list[str]) -> pl.LazyFrame:
    observations = pl.struct(*keys, "label", "observed_at_utc")
    newest_yet = _OBSERVED.cum_max().over(keys)
    said_other = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift()) for name in (*keys, "label"))
    return (
        labels.sort(*keys, "received_at_utc", "spool_id", "seq")
        .filter(_OBSERVED.is_null() | observations.is_first_distinct())
        .filter(_OBSERVED.is_null() | (newest_yet <= _OBSERVED))
        .filter(said_other)
        .unique(keys, keep="last", maintain_order=True)
    )


def _known(labels: pl.LazyFrame, keys: list[str]) -> pl.LazyFrame:
    return labels.select(*keys, "label", labelled_at_utc="received_at_utc")
