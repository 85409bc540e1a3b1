"""Finding the evaluation that somebody names: by its id, the beginning of its id, or the file that stands beside its report."""

from pathlib import Path

import msgspec

from lake.documents import decoded, sha256
from lake.errors import NotFound, SettingError, VerificationError
from lake.evaluation import Evaluation, evaluations, read_evaluation
from trainserve_assets.catalog import use_case, use_cases
from trainserve_assets.resources import LakeResource
from trainserve_assets.use_case import UseCase

SHORTEST = 8


class Found(msgspec.Struct, frozen=True):
    """An evaluation and its use case."""

    use_case: UseCase
    evaluation: Evaluation


def find_evaluation(lake: LakeResource, named: str) -> Found:
    """The evaluation of this id, beginning of an id, or file. Raises NotFound, SettingError when several begin so."""
    path = Path(named)
    if path.is_file():
        evaluation = decoded(path.read_bytes(), f"the evaluation in {path}", Evaluation)
        found = sha256(path.read_bytes())
        if found != evaluation.evaluation_id:
            raise VerificationError(
                str(path), f"digest {found[:12]}", f"the file as it stands beside the report, {evaluation.evaluation_id[:12]}"
            )
        return Found(use_case(evaluation.use_case), evaluation)
    if len(named) < SHORTEST:
        raise SettingError("the evaluation", named, f"its id, or at least the first {SHORTEST} characters of it")
    matches = {
        (name, evaluation_id)
        for name in use_cases()
        for evaluation_id in evaluations(lake.home.lake, name)["evaluation_id"]
        if evaluation_id.startswith(named)
    }
    if not matches:
        raise NotFound(
            "evaluation",
            named,
            f"It was looked for in {lake.home.lake}, and as a file of that name. Its id stands whole in its report.",
        )
    if len(matches) > 1:
        raise SettingError("the evaluation", named, f"more of its id: {len(matches)} evaluations begin so")
    [(name, evaluation_id)] = matches
    return Found(use_case(name), read_evaluation(lake.home.lake, name, evaluation_id))
