"""Erasing the rows of the log about entities: predictions of every arm, shadows too, and the labels that name them.

The audit row of a record is on disk before its row goes, and rows go by their numbers: so whatever is killed, the audit
of the log finds a row, or on whose word it was erased. A row that a shipper appends meanwhile is found the next time.
"""

from collections.abc import Sequence

import polars as pl

from lake.delta import Table
from lake.delta_erasure import delete_records
from lake.failpoints import reach
from lake.home import now_us
from lake.log.entity import NamedEntity
from lake.log.erasure_requests import ErasureRequest
from lake.log.erasures import ErasedRecord, append_erasures, read_erasures
from lake.log.log_key import LogKey, LogKeys
from lake.log.mention import Mention
from lake.log.merkle import leaf_of
from lake.log.record_rows import encoded_rows
from lake.tables import ERASURES, LABELS, PREDICTIONS, TIME

_IDENTITY = ["spool_id", "seq"]


class LogErasure:
    """The rows of one use case's log that some erasures are about.

    With the `entity` itself, of which a request has only hashes, rows are found too that carry it in their features alone,
    or in the body of a refused request.
    """

    def __init__(
        self,
        lake: str,
        use_case: str,
        requests: Sequence[ErasureRequest],
        keys: LogKeys,
        entity: NamedEntity | None = None,
    ) -> None:
        self._lake = lake
        self._use_case = use_case
        self._keys = keys
        self._requests = {request.erasure_id: request for request in requests}
        self._entity = entity
        self._about = pl.DataFrame(
            [(request.entity_key_hash, request.erasure_id, request.until_us) for request in requests],
            schema={"entity_key_hash": pl.String, "erasure_id": pl.String, "until_utc": TIME},
            orient="row",
        )

    def find(self) -> dict[str, pl.DataFrame]:
        """The rows of each table of the log that have to go, with `erasure_id` and `found_by`."""
        found = {}
        if (predictions := self._table(PREDICTIONS)).exists():
            found[PREDICTIONS] = self._rows(predictions)
        if (labels := self._table(LABELS)).exists():
            found[LABELS] = self._labels(labels, found.get(PREDICTIONS))
        return found

    def tied(self) -> int:
        """How many predictions about others were routed by the key of one of these entities."""
        if not (table := self._table(PREDICTIONS)).exists():
            return 0
        hashes = self._about["entity_key_hash"].to_list()
        routed = pl.col("routing_key_hash").is_in(hashes) & pl.col("entity_key_hash").is_in(hashes).fill_null(value=False).not_()
        return int(table.scan().filter(routed).select(pl.len()).collect().item())

    def erase(self, key: LogKey) -> dict[str, int]:
        """Erase them; returns how many rows of each table. Safe to run twice, and beside whoever writes."""
        found = self.find()
        for name, rows in found.items():
            append_erasures(self._table(ERASURES), self._unrecorded(self._records(name, rows, key)))
        reach("erasure recorded")
        erased = {}
        for name, rows in found.items():
            numbers = {str(spool): part["seq"].to_list() for (spool,), part in rows.group_by("spool_id")}
            erased[name] = delete_records(self._table(name), numbers)
            reach("rows erased")
        return erased

    def _table(self, name: str) -> Table:
        return Table(self._lake, self._use_case, name)

    def _rows(self, table: Table) -> pl.DataFrame:
        """The rows of a table whose entity it is, received up to the moment of its erasure."""
        rows = table.scan()
        by_key = pl.col("entity_key_hash").is_in(self._about["entity_key_hash"].to_list())
        found = [rows.filter(by_key).collect().join(self._about, on="entity_key_hash").with_columns(found_by=pl.lit("entity"))]
        if self._entity is not None and table.name == PREDICTIONS:
            others = rows.filter(by_key.fill_null(value=False).not_())
            found.append(self._named(others.filter(_carries(self._entity)), "features"))
            found.append(self._named(_mentioning(others, Mention(self._entity)).lazy(), "raw"))
        together = pl.concat(found, how="diagonal_relaxed")
        return _numbered(together.filter(pl.col("received_at_utc") <= pl.col("until_utc"))).drop("until_utc")

    def _named(self, rows: pl.LazyFrame, found_by: str) -> pl.DataFrame:
        """Rows that are about the one entity that is named."""
        return rows.collect().join(self._about.drop("entity_key_hash"), how="cross").with_columns(found_by=pl.lit(found_by))

    def _labels(self, table: Table, predictions: pl.DataFrame | None) -> pl.DataFrame:
        """Labels of the entity, and all that name a prediction that goes, or has gone already."""
        mine = read_erasures(self._lake, self._use_case, pl.col("erasure_id").is_in(list(self._requests)))
        places = [(one.request_id, one.row, one.erasure_id) for one in mine if self._is_gone(one)]
        gone = pl.DataFrame(places, schema={"request_id": pl.String, "row": pl.Int64, "erasure_id": pl.String}, orient="row")
        going = gone if predictions is None else predictions.select(gone.columns)
        named = pl.concat([gone, going]).unique(["request_id", "row"]).drop_nulls()
        by_request = table.scan().join(named.lazy(), on=["request_id", "row"]).collect()
        by_entity = self._rows(table)
        together = pl.concat([by_entity, by_request.with_columns(found_by=pl.lit("request"))], how="diagonal_relaxed")
        return _numbered(together)

    def _is_gone(self, one: ErasedRecord) -> bool:
        """Whether this proves that a prediction was erased."""
        return one.table == PREDICTIONS and one.problem(self._keys) is None

    def _records(self, name: str, rows: pl.DataFrame, key: LogKey) -> list[ErasedRecord]:
        """The audit rows of these rows, signed."""
        at_us, records = now_us(), []
        places = rows.select(*_IDENTITY, "request_id", "row", "erasure_id", "found_by").iter_rows(named=True)
        for place, encoded in zip(places, encoded_rows(rows, name, self._use_case), strict=True):
            request = self._requests[place["erasure_id"]]
            record = ErasedRecord(
                table=name,
                leaf=leaf_of(encoded),
                erased_at_us=at_us,
                asked_by=request.asked_by,
                why=request.why,
                **place,
            )
            records.append(record.signed(key))
        return records

    def _unrecorded(self, records: list[ErasedRecord]) -> list[ErasedRecord]:
        """Those that have no audit row yet, as they have where an earlier run ended here; one that proves nothing is none."""
        slots = pl.col("spool_id").is_in({record.spool_id for record in records})
        found = read_erasures(self._lake, self._use_case, slots) if records else ()
        known = {(one.spool_id, one.seq, one.leaf) for one in found if one.problem(self._keys) is None}
        return [one for one in records if (one.spool_id, one.seq, one.leaf) not in known]


def counted(rows: pl.DataFrame) -> dict[str, int]:
    """How many of these rows were found by what."""
    return dict(rows.group_by("found_by").len().sort("found_by").iter_rows())


def _carries(entity: NamedEntity) -> pl.Expr:
    """Whether the features of a row are those of the entity."""
    fields = pl.col("features").struct
    same = [fields.field(name).eq_missing(pl.lit(value)) for name, value in entity.kept.items()]
    return pl.col("features").is_not_null() & pl.all_horizontal(same)


def _mentioning(rows: pl.LazyFrame, mention: Mention) -> pl.DataFrame:
    """The rows of refused requests whose body mentions the entity."""
    likely = [pl.any_horizontal(pl.col("raw").bin.contains(word) for word in spellings) for spellings in mention.spellings]
    refused = rows.filter(pl.col("raw").is_not_null(), *likely).select(*_IDENTITY, "raw").collect()
    places = refused.filter(pl.Series([mention.has_values(body) for body in refused["raw"]], dtype=pl.Boolean)).select(_IDENTITY)
    return rows.join(places.lazy(), on=_IDENTITY, how="semi").collect() if places.height else rows.clear().collect()


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    """One row for each record. A row without a number is no record: the audit names it as invented."""
    return rows.drop_nulls(_IDENTITY).unique(_IDENTITY, keep="first", maintain_order=True)
