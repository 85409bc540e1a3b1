"""The claim `scores_are_the_packages`."""

from checks.rescored import Rescored, scores_are_the_packages


def rescored(different: int = 0, arm: str = "champion", furthest: float = 0.0) -> Rescored:
    return Rescored(arm=arm, package_digest="a" * 64, rows=200, different=different, furthest=furthest)


def test_answers_with_the_bits_of_their_packages_pass() -> None:
    verdict = scores_are_the_packages([rescored(), rescored(arm="challenger")])

    assert (verdict.passed, verdict.observed, verdict.limit, verdict.rows, verdict.remedy) == (True, 0.0, 0.0, 400, None)
    assert verdict.reason == "0 of 400 answers are other than their package gives"


def test_one_answer_that_is_another_fails_and_its_arm_is_named() -> None:
    verdict = scores_are_the_packages([rescored(), rescored(different=1, arm="challenger", furthest=1e-9)])

    assert not verdict.passed
    assert verdict.reason.endswith("; 1 of 200 under aaaaaaaaaaaa on arm 'challenger', by up to 1e-09")
    assert verdict.remedy == "roll back"


def test_without_an_answer_that_can_be_computed_again_nothing_is_known() -> None:
    verdict = scores_are_the_packages([])

    assert (verdict.passed, verdict.observed) == (False, None)
