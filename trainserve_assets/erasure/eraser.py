"""The steps of an erasure, in an order that a kill anywhere leaves to be finished by the next run.

The request is published first, so that whoever makes feedback or a dataset meanwhile leaves its entity out. What can no
longer be reproduced is written down before it is gone. Every step is safe to run twice.
"""

from collections.abc import Sequence

import msgspec
import polars as pl

from lake.delta import Table
from lake.delta_erasure import remove_unused
from lake.delta_maintenance import configure
from lake.delta_properties import NO_RANGES
from lake.failpoints import reach
from lake.input_schema import InputSchema, read_input_schema
from lake.log.entity import NamedEntity
from lake.log.erasure import LogErasure
from lake.log.erasure_requests import ErasureRequest
from lake.log.log_key import LogKey, read_trusted_log
from lake.tables import DATASET, FEEDBACK, LABELS, PREDICTIONS
from lake.times import now_utc
from trainserve_assets.digests import content_digest
from trainserve_assets.erasure.examples import ErasedExamples
from trainserve_assets.erasure.versions import ErasedVersion, Seen, keep_named, look_through, name_versions
from trainserve_assets.resources import LakeResource

# The tables that hold rows about one entity; all others hold figures over many.
HELD = (PREDICTIONS, LABELS, FEEDBACK, DATASET)


class Sighting(msgspec.Struct):
    """What there is about entities: rows of the log with `found_by`, rows of feedback, and versions of the dataset.

    `tied` counts predictions about others that were routed by the entity's key, in one request with it: they stay.
    """

    logged: dict[str, pl.DataFrame]
    tied: int
    feedback: int
    examples: int
    versions: list[ErasedVersion]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing."""
        return not (any(rows.height for rows in self.logged.values()) or self.feedback or self.examples or self.versions)


class Eraser:
    """Erases what some requests of one use case are about; with the `entity` itself also what only its values tell."""

    def __init__(
        self, lake: LakeResource, use_case: str, requests: Sequence[ErasureRequest], entity: NamedEntity | None = None
    ) -> None:
        self._lake = lake
        self._requests = requests
        self.schema: InputSchema = read_input_schema(lake.store, use_case)
        self._examples = ErasedExamples(self.schema, lake.privacy, requests)
        self._seen: Seen = {}
        trusted = read_trusted_log(lake.home.keys)
        self._log = LogErasure(lake.home.lake, use_case, requests, trusted, entity)

    def look(self) -> Sighting:
        """What would go. Nothing is written."""
        tainted = look_through(self._lake, self.schema.use_case, self._examples, self._seen).tainted
        return Sighting(
            logged=self._log.find(),
            tied=self._log.tied(),
            feedback=self._among(FEEDBACK),
            examples=self._among(DATASET),
            versions=name_versions(self._lake, self.schema, tainted, self._requests, now_utc()),
        )

    def erase_log(self, key: LogKey) -> dict[str, int]:
        """Erase the rows of predictions and labels; returns how many of each."""
        return self._log.erase(key)

    def erase_examples(self) -> dict[str, int]:
        """Erase the rows of feedback, and of the dataset in every version; returns how many the newest versions lost.

        The files that held such rows go with them, those of the log too.
        """
        self._named()
        reach("versions named")
        erased = {name: self._rewrite(name) for name in (FEEDBACK, DATASET)}
        clean = self._named()  # a run of Dagster may have made a version meanwhile
        for name, keep in ((PREDICTIONS, ()), (LABELS, ()), (FEEDBACK, ()), (DATASET, clean)):
            if (table := self._table(name)).exists():
                remove_unused(table, keep)
                reach("files removed")
        return erased

    def is_in_examples(self) -> bool:
        """Whether the newest feedback or dataset has such rows."""
        return self._among(FEEDBACK) + self._among(DATASET) > 0

    def _named(self) -> list[int]:
        """Write down which versions of the dataset have such rows, and what rests on them; returns all others."""
        dataset = look_through(self._lake, self.schema.use_case, self._examples, self._seen)
        keep_named(self._lake.store, name_versions(self._lake, self.schema, dataset.tainted, self._requests, now_utc()))
        return dataset.clean

    def _rewrite(self, name: str) -> int:
        table = self._table(name)
        erased = self._among(name)
        if erased:
            configure(table, NO_RANGES)
            rows = self._examples.without(table.scan())
            table.replace(rows, content_digest(rows))
            reach("examples erased")
        return erased

    def _among(self, name: str) -> int:
        table = self._table(name)
        return self._examples.among(table.scan()).height if table.exists() else 0

    def _table(self, name: str) -> Table:
        return self._lake.table(self.schema.use_case, name)
