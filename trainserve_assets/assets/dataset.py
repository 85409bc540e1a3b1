"""The asset `dataset`, and the blocking checks between it and training."""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg
import polars as pl

from checks.data_quality import CLAIMS, judge_examples, shortcomings
from checks.verdict import Verdict
from lake.input_schema import find_input_schema, publish_input_schema
from lake.tables import DATASET, FEEDBACK, SPLITS, dataset_schema
from lake.times import now_utc, rfc3339
from trainserve_assets.digests import content_digest
from trainserve_assets.erasure.again import without_erased
from trainserve_assets.examples import day_of, example_key, examples, read_source
from trainserve_assets.pictures import label_picture
from trainserve_assets.readable import readable
from trainserve_assets.report.dagit import reports_address
from trainserve_assets.report.expectations import Checked, write_expectations
from trainserve_assets.resources import LakeResource
from trainserve_assets.use_case import UseCase

SOURCE = "source"


def dataset_definitions(use_case: UseCase) -> dg.Definitions:
    """The dataset of a use case, where it comes from, and its checks."""
    key = dg.AssetKey([use_case.name, DATASET])
    source = dg.AssetSpec(
        [use_case.name, SOURCE],
        group_name="data",
        owners=[use_case.owner],
        kinds={"python"},
        description=f"All history, as `{use_case.source}` returns it; feedback takes over on {use_case.history_until} (UTC).",
    )

    @dg.asset(
        key=key,
        deps=[source, dg.AssetKey([use_case.name, FEEDBACK])],
        group_name="data",
        owners=[use_case.owner],
        kinds={"polars", "deltalake"},
        description=f"{use_case.description}\n\nOne row per labelled example, keyed by "
        f"{', '.join(example_key(use_case.input_schema))}; times are UTC. `split` says what the row is used for.",
        metadata={"dagster/column_schema": _columns(use_case)},
    )
    def dataset(lake: LakeResource) -> dg.MaterializeResult[None]:
        feedback = lake.table(use_case.name, FEEDBACK)
        with lake.naming_files(use_case.name, FEEDBACK):
            told = examples(use_case, read_source(use_case), feedback.scan() if feedback.exists() else None, lake.privacy)
            rows = without_erased(lake, use_case, told)
        _publish(lake, use_case, rows)
        digest = content_digest(rows)
        version = lake.table(use_case.name, DATASET).replace(rows, digest)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": rows.height,
                "delta_version": version,
                "digest": digest,
                **{f"rows_{split}": rows.filter(split=split).height for split in SPLITS},
                **_label_words(use_case, rows),
                **_feedback_words(use_case),
                **({"left_out_as_erased": told.height - rows.height} if told.height > rows.height else {}),
            },
            data_version=dg.DataVersion(digest),
        )

    @dg.multi_asset_check(
        name=f"{use_case.name}_{DATASET}_checks",
        specs=[
            dg.AssetCheckSpec(claim, asset=key, blocking=True, description=f"{words} Great Expectations on Polars' measurements.")
            for claim, words in CLAIMS.items()
        ],
    )
    def dataset_checks(lake: LakeResource) -> Iterator[dg.AssetCheckResult]:
        table = lake.table(use_case.name, DATASET)
        schema = use_case.input_schema.kept(use_case.used)
        with lake.naming_files(use_case.name, DATASET):
            judged = judge_examples(table.scan(), schema, example_key(schema))
        page = _page(lake, use_case, table.version(), judged)
        for claim, verdicts in judged.items():
            yield _result(key, claim, verdicts, page)

    return dg.Definitions(assets=[source, dataset], asset_checks=[dataset_checks])


def _publish(lake: LakeResource, use_case: UseCase, rows: pl.DataFrame) -> None:
    """Publish the input schema: the first one only once rows hold to it, for from then on it may but grow."""
    schema = use_case.input_schema.kept(use_case.used)
    if find_input_schema(lake.store, use_case.name) or not shortcomings(rows.lazy(), schema, example_key(schema)):
        publish_input_schema(lake.store, use_case.input_schema)


def _page(
    lake: LakeResource, use_case: UseCase, version: int | None, judged: Mapping[str, Sequence[Verdict]]
) -> dg.UrlMetadataValue | dg.PathMetadataValue:
    """Write the page of what was expected of this version; where it is."""
    rows = max((verdict.rows for verdicts in judged.values() for verdict in verdicts), default=0)
    claims = {claim: (CLAIMS[claim], verdicts) for claim, verdicts in judged.items()}
    checked = Checked(
        use_case=use_case.name, table=DATASET, at_utc=rfc3339(now_utc()), delta_version=version, rows=rows, claims=claims
    )
    path, address = write_expectations(lake.store, checked), reports_address()
    return dg.MetadataValue.path(f"{lake.home.lake}/{path}") if address is None else dg.MetadataValue.url(f"{address}/{path}")


def _result(
    key: dg.AssetKey, claim: str, verdicts: Sequence[Verdict], page: dg.UrlMetadataValue | dg.PathMetadataValue
) -> dg.AssetCheckResult:
    failed = [verdict.reason for verdict in verdicts if not verdict.passed]
    words = {True: "as expected", False: "NOT as expected"}
    records = [dg.TableRecord({"expectation": verdict.reason, "found": words[verdict.passed]}) for verdict in verdicts]
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=claim,
        passed=bool(verdicts) and not failed,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(failed) or f"{len(verdicts)} expectations hold over {verdicts[0].rows:,} rows",
        metadata={
            "expectations": dg.MetadataValue.table(records),
            "rows": verdicts[0].rows,
            "page": page,
            **({"remedy": remedy} if (remedy := next((one.asks for one in verdicts if not one.passed), None)) else {}),
        },
    )


def _label_words(use_case: UseCase, rows: pl.DataFrame) -> dict[str, dg.MetadataValue]:
    """How the label is spread over the days; nothing for names of classes, which have no mean."""
    if use_case.input_schema.task == "multiclass":
        return {}
    days = rows.group_by(day_of(use_case.input_schema).alias("day"), "split").agg(pl.col("label").mean()).sort("day")
    return {
        "label_mean": dg.MetadataValue.float(readable(float(rows.select(pl.col("label").mean()).item()))),
        "label_by_day": dg.MetadataValue.md(label_picture(days)),
    }


def _feedback_words(use_case: UseCase) -> dict[str, str]:
    """Why feedback teaches nothing here, if so."""
    if not use_case.lacking:
        return {}
    return {"feedback_is_left_out": f"the log does not keep what models use: {', '.join(use_case.lacking)} (sensitive)"}


def _columns(use_case: UseCase) -> dg.TableSchema:
    fields = {field.name: field for field in use_case.input_schema.kept(use_case.used).fields}
    described = {name: f"{field.description}{f' ({field.unit})' if field.unit else ''}" for name, field in fields.items()}
    described |= {"label": use_case.input_schema.label, "split": ", ".join(SPLITS)}
    return dg.TableSchema(
        [
            dg.TableColumn(
                name,
                str(dtype),
                description=described[name],
                constraints=dg.TableColumnConstraints(nullable=name in fields and fields[name].nullable),
            )
            for name, dtype in dataset_schema(use_case.input_schema, use_case.used).items()
        ]
    )
