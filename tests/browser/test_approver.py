"""An approver in Dagit: reads the evaluation, fills in the Launchpad, releases; and cannot release half of a decision."""

import re

from playwright.sync_api import Page, expect

from lake.release.live import Release, fold
from tests.browser.launchpad import RELEASE, launch, open_launchpad
from tests.parcel_training import Platform

EVALUATION = "/assets/late_parcel/evaluation"


def champion(platform: Platform) -> Release | None:
    return fold(platform.lake.ledger(platform.use_case.name).entries).champion


def test_a_launch_without_the_required_fields_is_refused(page: Page, platform: Platform) -> None:
    before = champion(platform)
    launchpad = open_launchpad(page)
    expect(launchpad.get_by_text(re.compile("Missing required config entr(y|ies)")).first).to_be_visible()
    expect(launchpad.get_by_role("button", name="Materialize")).to_be_disabled()
    assert champion(platform) == before


def test_why_a_decision_is_refused_is_plain_to_see_on_the_page_of_the_run(page: Page, platform: Platform) -> None:
    before = champion(platform)
    page.goto(EVALUATION)
    block = page.locator("tr", has_text="release_trees").locator("code").inner_text()

    launch(page, re.sub(r"approver:.*", "approver: ada", re.sub(r"reason:.*", 'reason: ""', block)))
    expect(page.get_by_text("Failure", exact=True).first).to_be_visible()
    refusal = page.get_by_text("Refused: reason is empty. Say why.", exact=True)
    expect(refusal.first).to_be_visible()
    assert champion(platform) == before


def test_an_approver_reads_the_evaluation_and_releases(page: Page, platform: Platform) -> None:
    page.goto(EVALUATION)
    expect(page.get_by_text("log_loss_trees")).to_be_visible()
    page.locator("tr", has_text="side_by_side").get_by_text("Show Markdown").click()
    report = page.get_by_role("dialog")
    expect(report.get_by_text("Compared on the same rows, with 95 % intervals over whole days")).to_be_visible()
    for picture in ("Predicted against observed", "Receiver operating characteristic"):
        expect(report.get_by_role("img", name=picture)).to_be_visible()
    page.keyboard.press("Escape")
    block = page.locator("tr", has_text="release_trees").locator("code").inner_text()
    assert platform.evaluation_id("trees") in block

    launch(page, re.sub(r"approver:.*", "approver: ada", re.sub(r"reason:.*", "reason: better on every depot", block)))
    expect(page.get_by_text("Success", exact=True).first).to_be_visible()

    page.goto(RELEASE)
    expect(page.get_by_text("approve: better on every depot")).to_be_visible()
    expect(page.get_by_text("ada (claimed, not proven by a signature)")).to_be_visible()
    released = champion(platform)
    assert released is not None
    assert released.evaluation_id == platform.evaluation_id("trees")
