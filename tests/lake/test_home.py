"""Where everything stands: one home for each machine, one lake that machines may share."""

import time
from pathlib import Path

import pytest

from lake.home import Home, now_us


def test_the_default_is_below_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    home = Home.from_environment({})

    assert home.root == tmp_path / ".trainserve"
    assert home.lake == str(tmp_path / ".trainserve" / "lake")


def test_an_empty_variable_is_no_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert Home.from_environment({"TRAINSERVE_HOME": "", "TRAINSERVE_LAKE": ""}) == Home.from_environment({})


@pytest.mark.parametrize(
    ("lake", "expected"),
    [("s3://bucket/lake/", "s3://bucket/lake"), ("/srv/lake/", "/srv/lake"), ("file:///srv/lake", "/srv/lake")],
)
def test_the_lake_may_stand_elsewhere(tmp_path: Path, lake: str, expected: str) -> None:
    home = Home.from_environment({"TRAINSERVE_HOME": str(tmp_path), "TRAINSERVE_LAKE": lake})

    assert (home.root, home.lake) == (tmp_path, expected)


def test_a_process_that_is_given_the_environment_uses_the_same_home(tmp_path: Path) -> None:
    home = Home.at(tmp_path / "home", "s3://bucket/lake")

    assert Home.from_environment(home.environment()) == home


def test_only_the_lake_is_shared(tmp_path: Path) -> None:
    home = Home.at(tmp_path, "s3://bucket/lake")
    own = [home.spools, home.keys, home.dagster, home.heads, home.copies, home.logs, home.credentials]

    assert all(path.is_relative_to(tmp_path) for path in own)
    assert len(set(own)) == len(own)


def test_the_clock_counts_microseconds_since_1970() -> None:
    before = time.time()
    seen = now_us() / 1_000_000
    assert before - 0.001 <= seen <= time.time() + 0.001
