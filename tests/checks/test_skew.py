"""The claim `served_as_built`."""

from checks.skew import served_as_built
from lake.evaluation import Skew


def test_a_field_that_is_served_otherwise_is_named_and_few_corrections_are_allowed() -> None:
    fields = [Skew(field="weight_kg", compared=1_000, different=40), Skew(field="depot", compared=1_000, different=5)]

    verdict = served_as_built(fields, 0.01)

    assert not verdict.passed
    assert verdict.reason == "served otherwise than built: weight_kg in 4.0%, over 1,000 examples; 1.0% are allowed"
    assert (verdict.observed, verdict.rows, verdict.remedy) == (0.04, 1_000, "fix the source")
    assert served_as_built(fields[1:], 0.01).passed


def test_a_source_that_does_not_reach_the_newest_days_says_so() -> None:
    verdict = served_as_built((), 0.01)

    assert (verdict.passed, verdict.observed) == (True, None)
    assert "nothing can be compared" in verdict.reason
