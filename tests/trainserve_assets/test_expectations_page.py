"""The page of expectations: drawn by the dataset's checks, given out by the server of reports, and loading nothing."""

import re

import dagster as dg

from checks.data_quality import CLAIMS
from checks.verdict import Verdict
from lake.documents import DocumentStore
from lake.home import Home
from tests.parcel_training import Platform, failures
from tests.scenario import USE_CASE
from trainserve_assets.report.expectations import Checked, expectations_page, write_expectations
from trainserve_assets.report.server import answer

PAGE = f"/{USE_CASE}/expectations/dataset.html"


def checked(*verdicts: Verdict) -> Checked:
    claims = {"fields_hold": ("Every value fits.", verdicts), "no_twins": ("Each row once.", [passed("twins")])}
    return Checked(use_case=USE_CASE, table="dataset", at_utc="2026-03-01T12:00:00Z", delta_version=3, rows=1_200, claims=claims)


def passed(measurement: str) -> Verdict:
    return Verdict(passed=True, reason=f"{measurement}: is 0, expected at most 0", observed=0.0, limit=0.0, rows=1_200)


def expectations_of(evaluation: dg.AssetCheckEvaluation) -> list[dg.TableRecord]:
    table = evaluation.metadata["expectations"]
    assert isinstance(table, dg.TableMetadataValue)
    return list(table.records)


def test_the_checks_of_the_dataset_draw_it_with_every_expectation(home: Home) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        platform = Platform(home, instance)
        result = platform.run(["dataset"])
    assert result.success, failures(result)

    found = answer(DocumentStore(home.lake), PAGE)

    assert found.status == 200
    page = found.body.decode()
    assert all(f'<section id="{claim}">' in page for claim in CLAIMS)
    evaluations = result.get_asset_check_evaluations()
    expectations = sum(len(expectations_of(one)) for one in evaluations)
    assert page.count("<tr><td>") == expectations > 10
    assert f"All {expectations} expectations hold." in page
    assert {one.metadata["page"].value for one in evaluations} == {f"{home.lake}{PAGE}"}
    assert f'href="{PAGE}"' in answer(DocumentStore(home.lake), "/").body.decode()


def test_what_does_not_hold_stands_first_and_is_counted() -> None:
    page = expectations_page(
        checked(
            passed("depot, nulls"), Verdict(passed=False, reason="weight_kg, least: is -3, expected at least 0", observed=-3.0)
        )
    )

    assert "1 of 3 expectations do not hold." in page
    assert page.index("weight_kg, least") < page.index("depot, nulls") < page.index("no_twins")
    row = page[page.index("weight_kg, least") :].partition("</tr>")[0]
    assert re.findall(r">([^<>\n]+)<", f">{row}") == ["weight_kg, least", "-3", "at least 0", "no"]


def test_it_loads_nothing_and_what_it_shows_is_text() -> None:
    page = expectations_page(checked(passed("<b>depot</b>")))

    assert "&lt;b&gt;depot&lt;/b&gt;" in page
    assert not re.search(r"(?:src|href)=|https?://|@import|url\(", page)


def test_no_other_file_is_given_out(home: Home, store: DocumentStore) -> None:
    write_expectations(store, checked(passed("twins")))
    store.put(f"{USE_CASE}/expectations/secret.json", b"{}")

    for path in (f"/{USE_CASE}/expectations/secret.json", f"/{USE_CASE}/expectations/..", f"/{USE_CASE}/expectations/gone.html"):
        assert answer(store, path).status == 404
    assert answer(store, PAGE).status == 200
    assert home.lake == store.root
