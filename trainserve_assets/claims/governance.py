"""Claims about what was allowed to answer."""

from collections.abc import Mapping

from checks.liveness import every_logged_digest_was_live
from checks.verdict import Verdict
from lake.errors import VerificationError
from trainserve_assets.answerers import answerers
from trainserve_assets.claims.seen import ERROR, Claim, Seen
from trainserve_assets.logged import read_predictions
from trainserve_assets.windows.judged import JUDGED_DAYS


def _liveness(seen: Seen) -> Mapping[str, Verdict]:
    found = answerers(read_predictions(seen.lake.home.lake, seen.use_case.name, JUDGED_DAYS))
    try:
        entries = seen.lake.ledger(seen.use_case.name).entries
    except VerificationError as error:
        return {"all arms": Verdict(passed=False, reason=str(error), observed=float(len(found)), limit=0.0)}
    return {"all arms": every_logged_digest_was_live(found, entries)}


CLAIMS = {
    "every_logged_digest_was_live": Claim(
        _liveness, ERROR, "Whatever answered in the newest four weeks was live on its arm, by the signed ledger, while it did."
    ),
}
