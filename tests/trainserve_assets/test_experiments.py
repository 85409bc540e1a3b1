"""The experiment, on a Dagster instance: what it decides about a challenger or a shadow, by which plan, and when again."""

import dagster as dg
import polars as pl
import pytest

from lake.delta import Table
from lake.home import Home
from lake.log.commit_rows import commits_frame
from lake.log.commits import Commit, CommitRecord, Span
from lake.log.erasures import ErasedRecord, append_erasures
from lake.parameters import Arm, Parameters, publish_parameters
from lake.release.ledger import Ledger
from lake.release.signatures import PlatformKey
from lake.release.trust import Trust
from lake.tables import COMMITS, ERASURES, LABELS, LOG, PREDICTIONS
from tests.parcel_log import DAYS, answers, append_log, fortnight, labels_of, two_arms, write_history, write_releases
from tests.parcel_training import Platform, failures
from tests.scenario import USE_CASE, decision
from trainserve_assets.sealed import sealed_answers


def looks(platform: Platform) -> pl.DataFrame:
    """Materialize the experiment; its rows."""
    result = platform.run(["experiment"])
    assert result.success, failures(result)
    return Table(platform.home.lake, USE_CASE, "experiment").scan().sort("decided_at_utc").collect()


def test_a_worse_challenger_is_no_go(watched: Platform) -> None:
    sent = fortnight()
    append_log(watched.home.lake, two_arms(sent, pl.lit(0.5)), labels_of(sent))

    [row] = looks(watched).to_dicts()

    assert row["verdict"] == "no-go"
    assert (row["champion_digest"], row["challenger_digest"]) == ("a" * 64, "b" * 64)
    assert row["metric"] == "log_loss"
    assert 0 < row["interval_low"] < row["difference"] < row["interval_high"]
    assert row["champion_n"] + row["challenger_n"] == pytest.approx(sent.height, abs=10)
    assert row["days"] == DAYS


def test_a_better_challenger_is_go(watched: Platform) -> None:
    sent = fortnight()
    append_log(watched.home.lake, two_arms(sent, 0.8 * pl.col("label") + 0.1), labels_of(sent))

    assert looks(watched)["verdict"].to_list() == ["go"]


def test_looking_again_adds_a_row_only_when_more_is_known(watched: Platform) -> None:
    sent = fortnight()
    early, somewhat_worse = pl.col("sent_at").dt.day() <= 5, 0.4 * pl.col("probability") + 0.3
    append_log(watched.home.lake, two_arms(sent, somewhat_worse), labels_of(sent.filter(early)))

    assert looks(watched)["verdict"].to_list() == ["keep running"]
    assert looks(watched).height == 1

    append_log(watched.home.lake, labels=labels_of(sent.filter(~early)), source="late")
    assert looks(watched)["verdict"].to_list() == ["keep running", "no-go"]


def test_shares_that_are_not_those_of_the_plan_make_it_invalid(watched: Platform) -> None:
    plan = Parameters(use_case=USE_CASE, arms={"champion": Arm(), "challenger": Arm(share=0.5)})
    publish_parameters(watched.lake.store, plan, expected_version=1)
    sent = fortnight()
    append_log(watched.home.lake, two_arms(sent, pl.lit(0.5), parameters_version=pl.lit(2)), labels_of(sent))

    [row] = looks(watched).to_dicts()

    assert row["verdict"] == "invalid"
    assert "did not get their planned shares" in row["reason"]


def test_the_environment_is_the_plan_of_version_0(watched: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = fortnight()
    append_log(watched.home.lake, two_arms(sent, pl.lit(0.5), parameters_version=pl.lit(0)), labels_of(sent.head(-100)))
    assert looks(watched)["verdict"].to_list() == ["invalid"]

    late = labels_of(sent.tail(100), received_at_utc=pl.col("sent_at") + pl.duration(days=60))
    append_log(watched.home.lake, labels=late, source="late")
    monkeypatch.setenv("PROXY_UPSTREAMS", f"{USE_CASE}/champion=http://a,{USE_CASE}/challenger=http://b")
    monkeypatch.setenv("PROXY_SHARES", f"{USE_CASE}/challenger=0.2")

    assert looks(watched)["verdict"].to_list() == ["invalid", "no-go"]


def test_the_share_that_a_release_allows_at_most_is_part_of_the_plan(home: Home, instance: dg.DagsterInstance) -> None:
    write_history(home.lake, days=30)
    write_releases(home)
    key = PlatformKey.read_or_make(home.keys)
    platform = Platform(home, instance)
    ledger = Ledger(platform.lake.store, USE_CASE, Trust.in_key(key))
    ledger.poll()
    capped = decision(role="challenger", arm="challenger", package_digest="b" * 64, greatest_share=0.05)
    ledger.append(capped, "ada", "2013-06-30T02:00:00+00:00", key)
    sent = fortnight()
    arms = two_arms(sent, pl.lit(0.5)).with_columns(
        release_seq=pl.when(pl.col("arm") == "challenger").then(3).otherwise(1).cast(pl.Int64)
    )
    append_log(home.lake, arms, labels_of(sent))

    assert looks(platform)["verdict"].to_list() == ["invalid"]


def test_a_challenger_that_fails_requests_is_no_go_before_labels_come(watched: Platform) -> None:
    sent = fortnight()
    fails = (pl.col("arm") == "challenger") & (pl.int_range(pl.len()) % 5 == 0)
    log = two_arms(sent, pl.col("probability")).with_columns(
        outcome=pl.when(fails).then(pl.lit("failed")).otherwise("outcome"), answer=pl.when(~fails).then("answer")
    )
    append_log(watched.home.lake, log, labels_of(sent.head(1)))

    [row] = looks(watched).to_dicts()

    assert row["verdict"] == "no-go"
    assert "failed requests" in row["reason"]
    assert {one["name"]: one["low"] > one["limit"] for one in row["guardrails"]} == {
        "failed requests": True,
        "slow answers": False,
    }


def made_up_for(log: pl.DataFrame, failed: pl.Expr) -> pl.DataFrame:
    """The log of a proxy in which the champion answered, as the fallback, what the challenger failed."""
    mine = (pl.col("arm") == "challenger") & failed
    champions = {"arm": "champion", "role": "champion", "package_digest": "a" * 64, "rule": "fallback"}
    return log.with_columns(
        *(pl.when(mine).then(pl.lit(value)).otherwise(name).alias(name) for name, value in champions.items()),
        release_seq=pl.when(mine).then(1).otherwise("release_seq").cast(pl.Int64),
        assigned_release_seq=pl.when(mine).then(2).cast(pl.Int64),
    )


@pytest.mark.parametrize(("name", "failed"), [("a fifth", pl.int_range(pl.len()) % 5 == 0), ("all", pl.lit(value=True))])
def test_what_the_champion_made_up_for_is_a_failure_of_the_challenger(watched: Platform, name: str, failed: pl.Expr) -> None:
    sent = fortnight()
    log = two_arms(sent, pl.col("probability"))
    append_log(watched.home.lake, made_up_for(log, failed), labels_of(sent.head(1)))

    [row] = looks(watched).to_dicts()

    assert (row["verdict"], row["challenger_digest"]) == ("no-go", "b" * 64), name
    assert "failed requests" in row["reason"]
    assert row["sample_ratio_probability"] > 0.01, "its units were assigned as planned"


def test_what_the_champion_made_up_for_is_not_the_champions(watched: Platform) -> None:
    """The challenger fails the heavy parcels that come late, as a model does what it finds hard."""
    sent = fortnight()
    log = two_arms(sent, pl.col("probability"))
    hard = pl.Series(sent["label"] == 1) & pl.Series(sent["weight_kg"] > 10)
    append_log(watched.home.lake, made_up_for(log, pl.lit(hard)), labels_of(sent))
    kept = log.filter(arm="champion").height

    [row] = looks(watched).to_dicts()

    assert row["champion_n"] == pytest.approx(kept, abs=10)
    assert "failed requests" in row["reason"]


def test_a_shadow_is_compared_on_the_requests_that_it_answered_too(watched: Platform) -> None:
    sent = fortnight()
    shadow = answers(
        sent,
        arm=pl.lit("dark"),
        role=pl.lit("shadow"),
        purpose=pl.lit("shadow"),
        package_digest=pl.lit("b" * 64),
        scores=pl.concat_list(0.9 * pl.col("label") + 0.05),
        answer=pl.lit(None),
        release_seq=pl.lit(2, pl.Int64),
    )
    append_log(watched.home.lake, answers(sent), labels_of(sent))
    append_log(watched.home.lake, shadow, source="shadow")

    [row] = looks(watched).to_dicts()

    assert (row["verdict"], row["design"], row["method"]) == ("go", "shadow", "confidence sequence")
    assert (row["challenger_arm"], row["challenger_digest"]) == ("dark", "b" * 64)
    assert row["champion_n"] == row["challenger_n"] == pytest.approx(sent.height, abs=10)
    assert row["missing_share"] == 0.0
    assert row["sample_ratio_probability"] is None


def test_without_a_challenger_there_is_nothing_to_decide(watched: Platform) -> None:
    sent = fortnight()
    append_log(watched.home.lake, answers(sent), labels_of(sent))

    result = watched.run(["experiment"])

    assert result.success, failures(result)
    assert not Table(watched.home.lake, USE_CASE, "experiment").exists()
    [event] = result.get_asset_materialization_events()
    assert event.materialization.metadata["verdict"].value == "no challenger has been asked beside the champion"


def append_commits(lake: str, rows: pl.DataFrame, of_each: int = 100, use_case: str = USE_CASE) -> None:
    """What seals these rows of one slot, whose numbers have no gap: a commit for so many of them, with a label between."""
    records = []
    for number, part in enumerate(rows.sort("seq").iter_slices(of_each), start=1):
        spans = (Span(use_case, LABELS, 1), Span(use_case, PREDICTIONS, part.height))
        commit = Commit(
            spool_id="spool",
            number=number,
            first_seq=part["seq"][0] - 1,
            count=part.height + 1,
            root=b"root",
            previous="previous",
            committed_at_us=part["received_at_utc"].to_physical()[-1],
            spans=spans,
            key_id="key",
        )
        records.append(CommitRecord(commit, b""))
    Table(lake, LOG, COMMITS).append_once(commits_frame(records, list(range(len(records)))), "spool")


@pytest.mark.parametrize(("every", "verdict"), [(5, "invalid"), (20, "no-go")])
def test_a_log_whose_sealed_answers_are_gone_makes_it_invalid(watched: Platform, every: int, verdict: str) -> None:
    sent, lake = fortnight(), watched.home.lake
    number = pl.int_range(pl.len())
    whole = two_arms(sent, pl.lit(0.5)).sort("received_at_utc").with_columns(seq=2 + number + number // 100)
    append_commits(lake, whole)
    append_log(lake, whole.filter(pl.int_range(pl.len()) % every > 0), labels_of(sent))

    [row] = looks(watched).to_dicts()

    assert row["verdict"] == verdict
    assert row["missing_share"] == pytest.approx(1 / every, abs=0.01)
    if verdict == "invalid":
        assert "20% of the answers that the log's commits sealed have no row any more" in row["reason"]


def test_what_was_erased_on_purpose_is_not_missing(watched: Platform) -> None:
    sent, lake = fortnight(), watched.home.lake
    whole = two_arms(sent, pl.lit(0.5)).sort("received_at_utc").with_columns(seq=2 + pl.int_range(pl.len()) * 101 // 100)
    append_commits(lake, whole)
    append_log(lake, whole.tail(-300), labels_of(sent))
    erased = [
        ErasedRecord(
            erasure_id="e",
            table=PREDICTIONS,
            spool_id="spool",
            seq=seq,
            leaf=b"leaf",
            request_id=None,
            row=None,
            found_by="entity",
            erased_at_us=1,
            asked_by="ada",
            why="asked",
        )
        for seq in whole["seq"].head(200)
    ]
    append_erasures(Table(lake, USE_CASE, ERASURES), erased)

    first, *_, last = whole["received_at_utc"].to_list()
    found = sealed_answers(lake, USE_CASE, first, last)

    assert (found.records, found.gone) == (whole.height, 100)


def test_commits_of_others_seal_none_of_its_answers(watched: Platform) -> None:
    sent, lake = fortnight(), watched.home.lake
    answered = two_arms(sent, pl.lit(0.5)).sort("received_at_utc").with_columns(seq=2 + pl.int_range(pl.len()) * 101 // 100)
    append_commits(lake, answered, use_case="another")
    append_log(lake, answered, labels_of(sent))

    assert looks(watched)["missing_share"].to_list() == [0.0]
