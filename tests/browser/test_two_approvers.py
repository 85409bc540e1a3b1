"""Two people release together: each signs with their own key, one pastes, and one signature alone releases nothing."""

import re

import pytest
from playwright.sync_api import Page, expect

from lake.evaluation import read_evaluation
from lake.home import Home
from lake.release.live import fold
from lake.release.policy import PolicyVersion
from lake.times import now_utc, rfc3339
from tests.approvers import ADA, BOB, newest_policy, policy, put_policy, sign
from tests.browser.launchpad import RELEASE, launch
from tests.parcel_training import Platform
from trainserve_assets.approval.draft import Request, draft, subject_of
from trainserve_assets.approval.pasted import pasteable

REASON = "better on every depot, and we both read it"


@pytest.fixture(scope="module")
def home(home: Home) -> Home:
    """A home whose policy asks for two signatures under a champion."""
    put_policy(home, policy(ADA, BOB, roles={"champion": 2}))
    return home


def lines(platform: Platform, version: PolicyVersion) -> tuple[str, str]:
    """What `trainserve sign` prints: ada's line, and bob's with both signatures."""
    evaluation = read_evaluation(platform.home.lake, platform.use_case.name, platform.evaluation_id("trees"))
    request = Request(
        evaluation_id=evaluation.evaluation_id, decision="approve", role="champion", arm="champion", approver="ada", reason=REASON
    )
    now = now_utc()
    sign_by = rfc3339(now.replace(year=now.year + 1))
    decision = draft(platform.use_case, request, subject_of(evaluation), version, now, sign_by_utc=sign_by)
    return pasteable(sign(decision, ADA)), pasteable(sign(decision, ADA, BOB))


@pytest.mark.slow
def test_two_people_release_in_the_launchpad_and_one_alone_does_not(page: Page, platform: Platform) -> None:
    alone, together = lines(platform, newest_policy(platform.home))
    page.goto("/assets/late_parcel/evaluation")
    block = page.locator("tr", has_text="release_trees").locator("code").inner_text()
    assert "trainserve sign" in block
    filled = re.sub(r"approver:.*", "approver: ada", re.sub(r"reason:.*", f"reason: {REASON}", block))

    launch(page, re.sub(r"signatures:.*", f"signatures: [{alone}]", filled))
    expect(page.get_by_text("it needs 2 signatures of approvers and has 1").first).to_be_visible()
    assert platform.lake.ledger(platform.use_case.name).entries == []

    launch(page, re.sub(r"signatures:.*", f"signatures: [{together}]", filled))
    expect(page.get_by_text("Success", exact=True).first).to_be_visible()
    page.goto(RELEASE)
    expect(page.get_by_text("ada and bob (proven by signature)")).to_be_visible()
    champion = fold(platform.lake.ledger(platform.use_case.name).entries).champion
    assert champion is not None
    assert (champion.approvers, champion.identity) == (("ada", "bob"), "signed")
