"""What becomes of an erasure afterwards: rows that arrive late go too, and what was left unfinished is finished."""

import msgspec
import polars as pl

from lake.errors import SettingError
from lake.log.erasure_requests import ErasureRequest, publish_request, read_requests
from lake.log.log_key import LogKey, read_trusted_log
from trainserve_assets.erasure.eraser import HELD, Eraser
from trainserve_assets.erasure.examples import ErasedExamples
from trainserve_assets.resources import LakeResource
from trainserve_assets.use_case import UseCase


class ErasedAgain(msgspec.Struct, frozen=True):
    """How many rows of the log went, and what could not be done, in words."""

    rows: int = 0
    left: str = ""


def check_hold(use_case: UseCase) -> None:
    """Raises SettingError where a legal hold is on a table that an erasure would take rows from."""
    held = [name for name in HELD if use_case.retention.holds(name)]
    if held:
        expected = f"none on {', '.join(held)}: what is on hold loses neither rows nor files. Who placed the hold can lift it"
        raise SettingError(f"retention.legal_hold of {use_case.name!r}", use_case.retention.legal_hold, expected)


def asked_for(lake: LakeResource, use_case: str) -> list[ErasureRequest]:
    """The erasures that were asked for in a use case. Raises VerificationError for one that nobody trusted has signed."""
    asked = read_requests(lake.store, use_case, read_trusted_log(lake.home.keys))
    if asked.problems:
        raise asked.problems[0]
    return asked.requests


def without_erased(lake: LakeResource, use_case: UseCase, examples: pl.DataFrame) -> pl.DataFrame:
    """Examples as they may be kept: those of erased entities are left out, which their source may still have."""
    requests = asked_for(lake, use_case.name)
    if not requests:
        return examples
    return ErasedExamples(use_case.input_schema, lake.privacy, requests).without(examples.lazy())


def not_erased(requests: list[ErasureRequest]) -> pl.Expr:
    """Whether a row of the log may be used: it is none of an erased entity that only arrived late."""
    until = {request.entity_key_hash: request.until_us for request in requests}
    moment = pl.col("entity_key_hash").replace_strict(until, default=None, return_dtype=pl.Int64) if until else pl.lit(None)
    return moment.is_null() | (pl.col("received_at_utc").dt.epoch("us") > moment)


def erase_again(lake: LakeResource, use_case: UseCase) -> ErasedAgain:
    """Erase what arrived late of all entities that were asked to be erased, and finish what was left unfinished.

    Safe to run twice. Raises VerificationError, after all else is done, for a request that nobody trusted has signed.
    """
    asked = read_requests(lake.store, use_case.name, read_trusted_log(lake.home.keys))
    done = ErasedAgain()
    if asked.requests:
        try:
            check_hold(use_case)
        except SettingError as hold:
            done = ErasedAgain(left=f"what arrived late of erased entities stays: {hold}")
        else:
            done = ErasedAgain(rows=_erased(lake, use_case, asked.requests))
    if asked.problems:
        raise asked.problems[0]
    return done


def _erased(lake: LakeResource, use_case: UseCase, requests: list[ErasureRequest]) -> int:
    key, eraser = LogKey.read_or_make(lake.home.keys), Eraser(lake, use_case.name, requests)
    rows = sum(eraser.erase_log(key).values())
    unfinished = [request for request in requests if not request.finished]
    if rows or unfinished or eraser.is_in_examples():
        eraser.erase_examples()
    for request in unfinished:
        publish_request(lake.store, msgspec.structs.replace(request, finished=True), key)
    return rows
