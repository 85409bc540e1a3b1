"""The experiment's decision on the page of an evaluation: the newest, whenever the page was drawn."""

from datetime import datetime, timedelta, timezone
from typing import Any

import polars as pl

from lake.delta import Table
from lake.documents import DocumentStore, canonical, sha256
from lake.fixed_schemas import EXPERIMENT_SCHEMA
from lake.home import Home
from lake.tables import EXPERIMENT
from tests.exhibits import exhibit
from tests.scenario import USE_CASE
from trainserve_assets.report import write_files
from trainserve_assets.report.dagit import candidate_metadata
from trainserve_assets.report.server import answer

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
MISSING = "No experiment has compared this package with a champion"


def look(home: Home, hours: int = 0, **changes: Any) -> None:
    """Add a look at the package of the exhibit to the table."""
    row = {
        **dict.fromkeys(EXPERIMENT_SCHEMA.names()),
        "decided_at_utc": NOON + timedelta(hours=hours),
        "champion_digest": "c" * 64,
        "challenger_digest": "a" * 64,
        "challenger_arm": "challenger",
        "design": "A/B",
        "method": "group-sequential",
        "metric": "log_loss",
        "verdict": "keep running",
        "reason": "neither is better for sure",
        "difference": -0.0123,
        "interval_low": -0.03,
        "interval_high": 0.005,
        "days": 9,
        "guardrails": [{"name": "failed requests", "observed": 0.02, "low": 0.015, "limit": 0.01, "n": 40}],
        **changes,
    }
    frame = pl.DataFrame([row], schema=EXPERIMENT_SCHEMA)
    Table(home.lake, USE_CASE, EXPERIMENT).append_new(frame, ["champion_digest", "challenger_digest", "decided_at_utc"])


def page(home: Home) -> str:
    """The page as it is served."""
    evaluation_id = sha256(canonical(exhibit("binary").evaluation))
    served = answer(DocumentStore(home.lake), f"/{USE_CASE}/evaluations/{evaluation_id}/report.html")
    assert served.status == 200
    return served.body.decode()


def test_a_page_that_was_drawn_before_the_experiment_shows_its_newest_decision(home: Home, store: DocumentStore) -> None:
    write_files(store, exhibit("binary"))
    assert MISSING in page(home)

    look(home)
    look(home, hours=1, verdict="go", reason="the challenger is better")

    shown = page(home)
    assert MISSING not in shown
    assert '<span class="badge good">go</span> the challenger is better' in shown
    assert "keep running" not in shown
    assert "[-0.0300, 0.0050]" in shown
    assert "failed requests" in shown


def test_a_page_that_is_drawn_after_it_shows_it_without_a_server(home: Home, store: DocumentStore) -> None:
    look(home, verdict="no-go", reason="the challenger does harm: <b>failed</b>")
    write_files(store, exhibit("binary"))

    evaluation_id = sha256(canonical(exhibit("binary").evaluation))
    drawn = store.get(f"{USE_CASE}/evaluations/{evaluation_id}/report.html").decode()
    assert '<span class="badge bad">no-go</span> the challenger does harm: &lt;b&gt;failed&lt;/b&gt;' in drawn


def test_the_evaluation_in_dagit_says_it_too(home: Home) -> None:
    look(home, verdict="no-go", reason="the challenger is worse")

    metadata = candidate_metadata(exhibit("binary"), "card", home.lake, None)

    assert metadata["experiment_trees"].value == "no-go: the challenger is worse"


def test_the_looks_at_another_package_are_not_shown(home: Home, store: DocumentStore) -> None:
    write_files(store, exhibit("binary"))
    look(home, challenger_digest="d" * 64)

    assert MISSING in page(home)


def test_each_champion_that_it_ran_beside_has_its_decision(home: Home, store: DocumentStore) -> None:
    write_files(store, exhibit("binary"))
    look(home, verdict="no-go", reason="it was worse than the first")
    look(home, hours=2, champion_digest="e" * 64, verdict="go", reason="it is better than the second")

    shown = page(home)
    assert shown.index("better than the second") < shown.index("worse than the first")
