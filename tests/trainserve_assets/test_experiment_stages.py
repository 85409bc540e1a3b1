"""The planned shares of an experiment, step by step of a ramp, and the units that each step was first to route."""

from datetime import datetime, timedelta, timezone

import polars as pl
import pytest

from checks.sample_ratio import Assignment
from lake.parameters.document import Arm, Parameters, Ramp, Step
from tests.proxy.test_routing import live, release
from tests.scenario import USE_CASE
from trainserve_assets.planned_shares import assignments, stages

START = datetime(2026, 7, 1, tzinfo=timezone.utc)
RAMP = Ramp(steps=(Step(at_utc=START, share=0.25), Step(at_utc=START + timedelta(days=1), share=0.5)))


def asked(*units: tuple[str, float, bool, int]) -> pl.LazyFrame:
    """Rows of units: who, how many days after the start, whether the challenger, under which version."""
    return pl.LazyFrame(
        [
            {
                "unit": unit,
                "received_at_utc": START + timedelta(days=days),
                "challenger": challenger,
                "parameters_version": version,
                "request_id": str(number),
                "row": 0,
            }
            for number, (unit, days, challenger, version) in enumerate(units)
        ]
    )


def test_each_step_of_a_ramp_has_its_share_never_above_what_the_release_allows() -> None:
    plan = Parameters(use_case=USE_CASE, arms={"a": Arm(ramp=RAMP, share=0.1)})
    shares = [(stage.until_utc, stage.share) for stage in stages(plan, live(release("a", greatest_share=0.4)), "a")]

    assert [share for _, share in shares] == pytest.approx([0.1, 0.25, 0.4])
    assert [moment for moment, _ in shares[:2]] == [step.at_utc for step in RAMP.steps]


def test_units_count_where_they_were_first_routed() -> None:
    plan = Parameters(use_case=USE_CASE, arms={"a": Arm(ramp=RAMP)})
    rows = asked(("x", 0.5, True, 1), ("y", 0.5, False, 1), ("x", 1.5, True, 1), ("z", 1.5, True, 1), ("w", 1.5, False, 1))

    found = assignments(rows, {1: stages(plan, live(release("a")), "a")})
    assert found == [Assignment(units=(1, 1), shares=(0.75, 0.25)), Assignment(units=(1, 1), shares=(0.5, 0.5))]


def test_where_a_plan_is_not_known_nothing_is_shown() -> None:
    plan = Parameters(use_case=USE_CASE, arms={"a": Arm(ramp=RAMP)})
    known = {1: stages(plan, live(release("a")), "a")}

    assert assignments(asked(("x", 0.5, True, 1), ("y", 0.5, True, 2)), known) == []
    assert assignments(asked(("x", 0.5, True, 1)), {1: stages(plan, live(), "a")}) == []
