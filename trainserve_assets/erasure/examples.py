"""Which examples are about entities that were erased: of the dataset and of feedback, which know no keyed hash of an entity."""

from collections.abc import Iterator, Sequence
from typing import Literal

import polars as pl

from lake.input_schema import InputSchema
from lake.log.erasure_requests import ErasureRequest
from lake.log.privacy import Privacy
from lake.tables import TIME

_KEY = "_value_hash_"
_UNTIL = "_until_utc"


class ErasedExamples:
    """Tells the rows of one use case that some erasures are about: those of their entities, up to their moments."""

    def __init__(self, schema: InputSchema, privacy: Privacy, requests: Sequence[ErasureRequest]) -> None:
        self._schema = schema
        self._privacy = privacy
        self._requests = requests

    def among(self, rows: pl.LazyFrame) -> pl.DataFrame:
        """Those of these rows."""
        return self._joined(rows, "semi")

    def without(self, rows: pl.LazyFrame) -> pl.DataFrame:
        """All others."""
        return self._joined(rows, "anti")

    def _joined(self, rows: pl.LazyFrame, how: Literal["semi", "anti"]) -> pl.DataFrame:
        key, time = list(self._schema.entity_key), self._schema.event_time
        if not self._requests or not set(key) <= set(rows.collect_schema().names()):
            return rows.collect() if how == "anti" else rows.clear().collect()
        entities, about = self._entities(rows, key), [*key, *filter(None, [time])]
        named = rows.select(about).unique().join(entities.lazy(), on=key, nulls_equal=True)
        if time is not None:
            named = named.filter((pl.col(time) <= pl.col(_UNTIL)).fill_null(value=True))
        return rows.join(named.select(about), on=about, how=how, nulls_equal=True, maintain_order="left").collect()

    def _entities(self, rows: pl.LazyFrame, key: list[str]) -> pl.DataFrame:
        """The entities among these rows that were erased, and up to when. Each value is hashed once, then none but the hits."""
        entities = rows.select(key).unique().collect()
        for name in key:
            spelled = pl.DataFrame(
                list(self._wanted(name, entities[name].unique().to_list())),
                schema={name: entities.schema[name], f"{_KEY}{name}": pl.String},
                orient="row",
            )
            entities = entities.join(spelled, on=name, nulls_equal=True)
        erased = pl.DataFrame(
            [(*(request.value_hashes.get(name) for name in key), request.until_us) for request in self._requests],
            schema={**{f"{_KEY}{name}": pl.String() for name in key}, _UNTIL: TIME},
            orient="row",
        )
        return entities.join(erased, on=[f"{_KEY}{name}" for name in key], nulls_equal=True).select(*key, _UNTIL)

    def _wanted(self, name: str, values: list[object]) -> Iterator[tuple[object, str | None]]:
        """Those of these values that a request names, and how: as its hash, or as itself where the table keeps but the hash."""
        wanted = {request.value_hashes.get(name) for request in self._requests}
        use_case, value_hash = self._schema.use_case, self._privacy.value_hash
        for value in values:
            if (hashed := value_hash(use_case, name, value)) in wanted:
                yield value, hashed
            elif isinstance(value, str) and value in wanted:
                yield value, value
