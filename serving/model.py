"""A released model, verified and loaded, and how it answers."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from lake.categories import KnownCategories
from lake.columns import Columns
from lake.copies import CopiedLake, Source
from lake.decoder import MAXIMUM_ROWS, Decoder, Rows
from lake.engines import ColumnarEngine, Row
from lake.errors import VerificationError
from lake.input_schema import InputSchema, read_input_schema
from lake.interface.examples import example_record
from lake.interface.messages import ModelMetadata, Provenance, Scored
from lake.log.privacy import Redactor
from lake.package import Package, open_package
from lake.release.live import Release
from serving.signature import signature_of

# For so few, what an engine has to do once for each column costs more than it saves.
FEW_ROWS = 32

IDENTITY_NOTES = {
    "claimed": "The approver's name is claimed in the run's config, not proven by a signature.",
    "signed": "Each of the approvers signed the decision with a key of their own.",
}


class ReleasedModel:
    """One release of one package: its bytes verified, warmed up on its sealed samples to the bit.

    `source` is where they were read: in the lake, or in its local copy. `instead` says why its engine is not the approved one.
    """

    def __init__(
        self,
        release: Release,
        package: Package,
        schema: InputSchema,
        source: Source = "lake",
        maximum_rows: int = MAXIMUM_ROWS,
    ) -> None:
        self.release = release
        self.source = source
        self.schema = schema
        self.decoder = Decoder(schema, maximum_rows)
        self.name = schema.use_case
        self._manifest = package.manifest
        loaded = package.load()
        self._engine, self.instead = loaded.engine, loaded.instead
        self._columnar = self._engine if isinstance(self._engine, ColumnarEngine) else None
        self._row = _row_reader(package.manifest.features)
        self.redactor: Redactor | None = None  # where the predictor keeps the log itself
        self._categories = KnownCategories(schema, package.manifest.categories)
        self.signature = signature_of(schema, package.manifest.classes)

    @classmethod
    def load(cls, lake: CopiedLake, use_case: str, release: Release, maximum_rows: int = MAXIMUM_ROWS) -> "ReleasedModel":
        """The model of a release. Raises VerificationError, NotFound, Unavailable; never gives one half verified."""
        package = open_package(lake, use_case, release.package_digest)
        if package.manifest.use_case != use_case:
            raise VerificationError(f"package {package.digest[:12]}", f"use case {package.manifest.use_case!r}", repr(use_case))
        return cls(release, package, read_input_schema(lake, use_case), lake.source, maximum_rows)

    @property
    def engine(self) -> str:
        """The name of the engine that runs it."""
        return self._engine.name

    def scored(self, rows: Rows) -> Scored:
        """The scores of each row, and the categories that are not known."""
        if rows.columns is None:
            scores = self._engine.scores([self._row(record) for record in rows.records])
            return Scored(scores, self._categories.unknown(rows.records))
        return Scored(self._scores_of_columns(rows.columns), self._categories.unknown_in(rows.columns))

    def _scores_of_columns(self, columns: Columns) -> Sequence[list[float]]:
        if self._columnar is not None and len(columns) > FEW_ROWS:
            return self._columnar.scores_of_columns(columns)
        return self._engine.scores(columns.rows(self._manifest.features))

    def provenance(self, request_id: str) -> Provenance:
        """What stands in the answer to this request."""
        release = self.release
        return Provenance(
            request_id=request_id,
            arm=release.arm,
            role=release.role,
            release_seq=release.seq,
            package_digest=release.package_digest,
            engine=self._engine.name,
        )

    def metadata(self, notice: str | None) -> ModelMetadata:
        """What is served here, on whose word and until when; `notice` is what there is to say of that."""
        release = self.release
        return ModelMetadata(
            name=self.name,
            arm=release.arm,
            role=release.role,
            model_version=release.model_version,
            release_seq=release.seq,
            package_digest=release.package_digest,
            engine=self._engine.name,
            engine_note=self.instead,
            approver=release.approver,
            approvers=list(release.approvers),
            identity=release.identity,
            identity_note=IDENTITY_NOTES[release.identity],
            released_at_utc=release.at_utc,
            expires_at_utc=release.expires_at_utc,
            notice=notice,
            features=list(self._manifest.features),
            signature=self.signature,
            example={"records": [example_record(self.schema)]},
        )


def _row_reader(features: Sequence[str]) -> Callable[[Any], Row]:
    """A function from a record to its row of features."""
    if len(features) == 1:
        single = attrgetter(features[0])
        return lambda record: (single(record),)
    return attrgetter(*features)
