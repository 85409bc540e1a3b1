"""Whoever reaches Dagit can write events into Dagster: nothing that serves or releases believes them."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from litestar.testing import TestClient

from checks.release_standard import Gate
from lake.evaluation import evaluations
from lake.home import Home
from lake.release.live import fold
from serving.app import create_app
from tests.dagit import dagit_on, sent
from tests.parcel_training import Platform, failures, parcel_use_case
from tests.scenario import USE_CASE
from tests.served import eventually
from trainserve_assets.assets.evaluation import MEETS_STANDARD
from trainserve_assets.platform.topology import prepare_dagster_home

OUT_OF_REACH = Gate(name="out_of_reach", metric="auc", must_be="at least", limit=1.0, bound="interval")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose Dagster instance Dagit can open."""
    home = Home.at(tmp_path_factory.mktemp("forged") / "home")
    prepare_dagster_home(home)
    return home


@pytest.fixture(scope="module")
def dagit(opened: Home) -> Iterator[str]:
    """The address of a Dagit that lets everybody write."""
    with dagit_on(opened) as address:
        yield address


@pytest.fixture
def platform(trained: Platform, opened: Home, home: Home) -> Iterator[Platform]:
    """The trained platform on a copy of its lake, and on the instance of that Dagit."""
    shutil.copytree(Path(trained.home.lake), Path(home.lake))
    with dg.DagsterInstance.from_config(str(opened.dagster)) as instance:
        yield Platform(home, instance)


def package_of(platform: Platform, candidate: str) -> str:
    """The package that a candidate was evaluated with."""
    return str(evaluations(platform.home.lake, USE_CASE).filter(candidate=candidate).item(-1, "package_digest"))


def ledger_of(platform: Platform) -> list[str]:
    """The digests of the ledger's events."""
    return [entry.digest for entry in platform.lake.ledger(USE_CASE).entries]


def test_a_forged_release_is_shown_by_dagster_and_served_by_nobody(platform: Platform, dagit: str) -> None:
    assert platform.release().success
    before = ledger_of(platform)
    served: set[str] = set()
    with TestClient(create_app(platform.home, USE_CASE, "champion")) as predictor:

        def serves(candidate: str) -> bool:
            served.add(digest := predictor.get(f"/models/{USE_CASE}").json()["package_digest"])
            return bool(digest == package_of(platform, candidate))

        eventually(lambda: predictor.get("/v2/health/ready").status_code == 200)
        assert serves("trees")
        forged = {
            "metadata": {"seq": 2, "package_digest": package_of(platform, "line"), "decision": "approve by ada (signed)"},
            "data_version": package_of(platform, "line"),
        }
        status, _ = sent(f"{dagit}/report_asset_materialization/{USE_CASE}/release", forged)
        assert status == 200
        shown = platform.instance.get_latest_materialization_event(platform.key("release"))
        assert shown is not None
        assert shown.asset_materialization is not None
        assert shown.asset_materialization.metadata["seq"].value == 2

        assert ledger_of(platform) == before
        assert platform.run(["evaluation"]).success
        result = platform.release(candidate="boosting")
        assert result.success, failures(result)
        eventually(lambda: serves("boosting"))

    assert served == {package_of(platform, "trees"), package_of(platform, "boosting")}
    assert [entry.event.seq for entry in platform.lake.ledger(USE_CASE).entries] == [1, 2]


def test_forged_checks_and_a_forged_evaluation_do_not_move_the_release_asset(platform: Platform, dagit: str) -> None:
    standard = (*platform.use_case.release_standard, OUT_OF_REACH)
    strict = Platform(platform.home, platform.instance, parcel_use_case(release_standard=standard))
    assert strict.run(["evaluation"]).success
    refusal = failures(strict.release(role="challenger", arm="forged"))
    assert "Refused: out_of_reach: auc" in refusal
    before = ledger_of(platform)

    for name in (OUT_OF_REACH.name, MEETS_STANDARD):
        document: dict[str, Any] = {"check_name": name, "passed": True, "metadata": {"out_of_reach": "passes"}}
        assert sent(f"{dagit}/report_asset_check/{USE_CASE}/evaluation", document)[0] == 200
    evaluated = {"metadata": {"candidates": "trees passes every gate"}, "data_version": strict.evaluation_id("trees")}
    assert sent(f"{dagit}/report_asset_materialization/{USE_CASE}/evaluation", evaluated)[0] == 200
    key = dg.AssetCheckKey(platform.key("evaluation"), OUT_OF_REACH.name)
    shown = platform.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert shown.evaluation is not None
    assert shown.evaluation.passed

    assert failures(strict.release(role="challenger", arm="forged")) == refusal
    assert ledger_of(platform) == before
    assert "forged" not in fold(platform.lake.ledger(USE_CASE).entries).releases
