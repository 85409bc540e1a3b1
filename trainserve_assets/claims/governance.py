"""Claims about what was allowed to answer."""

from collections.abc import Mapping

from checks.liveness import every_logged_digest_was_live
from checks.rescored import scores_are_the_packages
from checks.terms import changes_are_temporary, releases_last
from checks.verdict import Verdict
from lake.errors import VerificationError
from lake.parameters.stored import read_parameters, versions
from lake.release.live import fold
from trainserve_assets.claims.answerers import answerers
from trainserve_assets.claims.rescoring import rescored
from trainserve_assets.claims.seen import ERROR, WARN, Claim, Seen
from trainserve_assets.logged import read_predictions
from trainserve_assets.windows.judged import JUDGED_DAYS

_ALL = "all arms"


def _liveness(seen: Seen) -> Mapping[str, Verdict]:
    found = answerers(read_predictions(seen.lake.home.lake, seen.use_case.name, JUDGED_DAYS))
    try:
        entries = seen.lake.ledger(seen.use_case.name).entries
    except VerificationError as error:
        wrong = float(len(found))
        return {_ALL: Verdict(passed=False, reason=str(error), observed=wrong, limit=0.0, remedy="fix the source")}
    return {_ALL: every_logged_digest_was_live(found, entries)}


def _terms(seen: Seen) -> Mapping[str, Verdict]:
    try:
        live = fold(seen.lake.ledger(seen.use_case.name).entries)
    except VerificationError as error:
        return {_ALL: Verdict(passed=False, reason=str(error), remedy="fix the source")}
    return {_ALL: releases_last(live, seen.now, seen.use_case.monitoring.release_days_left)}


def _changes(seen: Seen) -> Mapping[str, Verdict]:
    store, name = seen.lake.store, seen.use_case.name
    history = [read_parameters(store, name, version) for version in versions(store, name)]
    return {_ALL: changes_are_temporary(history, seen.now, seen.use_case.monitoring.longest_change_days)}


def _own_scores(seen: Seen) -> Mapping[str, Verdict]:
    schema = seen.use_case.input_schema
    newest_day = read_predictions(seen.lake.home.lake, seen.use_case.name, 1)
    found = rescored(seen.lake.store, schema, newest_day)
    if not found and any(schema.field(name).sensitive for name in seen.use_case.features):
        return {_ALL: Verdict(passed=True, reason="the log does not keep what models use: no answer can be computed again")}
    return {_ALL: scores_are_the_packages(found)}


CLAIMS = {
    "releases_last": Claim(_terms, WARN, "No live release has expired, or does so soon.", cron="0 6 * * *"),
    "changes_are_temporary": Claim(
        _changes,
        WARN,
        "Nothing that stops, refuses or changes answers has stood in the parameters for too long.",
        cron="0 6 * * *",
    ),
    "every_logged_digest_was_live": Claim(
        _liveness, ERROR, "Whatever answered in the newest four weeks was live on its arm, by the signed ledger, while it did."
    ),
    "scores_are_the_packages": Claim(
        _own_scores,
        ERROR,
        "Some of the newest day's answers, computed again with the package that they name, have these very bits.",
    ),
}
