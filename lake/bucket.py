"""A lake in a bucket: what its libraries are told to reach it, and whether its store keeps put-if-absent.

Credentials and region are read from the `AWS_*` variables by obstore, by deltalake and by Polars alike. The endpoint is
read here and handed to all three, so that documents and tables never stand in two stores.
"""

import contextlib
import os
import re
import secrets
from datetime import timedelta
from functools import cache
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from lake.errors import SettingError, Unavailable

SETTING = "TRAINSERVE_LAKE"
EXPECTED = "a folder that can be made and written, or s3://bucket/path of letters, digits and ._=-"

_SCHEME = "s3://"
_ADDRESS = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_=-][A-Za-z0-9._=-]*)*/?")
# In the order in which they count.
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
# Else a bucket that does not answer is tried for three minutes.
_RETRY_TIMEOUT = timedelta(seconds=30)
_SOON_RETRIES: dict[str, Any] = {"max_retries": 2, "retry_timeout": timedelta(seconds=5)}
_SOON_TIMEOUTS: dict[str, Any] = {"connect_timeout": timedelta(seconds=2), "read_timeout": timedelta(seconds=5)}
_PROBE = "put-if-absent"
_COLOURS = re.compile(r"\x1b\[\d*m|↳")
_TAKEN = re.compile(r" in \d+(\.\d+)?[mµn]?s\b")
_DOCUMENT = re.compile(r"(?:<\?xml[^>]*>)?\s*<Error>.*?<Code>(.*?)</Code>.*?<Message>(.*?)</Message>.*</Error>", re.DOTALL)


def is_bucket(address: str) -> bool:
    """Whether a lake's address names a bucket, and no folder."""
    return address.startswith(_SCHEME)


def check_address(address: str, setting: str = SETTING) -> None:
    """Raises SettingError for an address that is not understood, or that libraries would write in different ways."""
    if not _ADDRESS.fullmatch(address):
        raise SettingError(setting, address, EXPECTED)


def opened_bucket(address: str, *, soon_away: bool) -> Any:
    """The bucket for obstore. With `soon_away` one that does not answer says so within seconds."""
    endpoint = _endpoint()
    client: dict[str, Any] = dict(_SOON_TIMEOUTS) if soon_away else {}
    if endpoint is not None and _is_plain(endpoint):
        client["allow_http"] = True
    return S3Store.from_url(
        address,
        config={} if endpoint is None else {"endpoint": endpoint},
        client_options=client,  # type: ignore[arg-type]
        retry_config=_SOON_RETRIES if soon_away else {"retry_timeout": _RETRY_TIMEOUT},  # type: ignore[arg-type]
    )


def table_options(address: str) -> dict[str, str] | None:
    """What deltalake, and through it Polars, is told to reach a table below this address; None for a folder."""
    if not is_bucket(address):
        return None
    options = {"retry_timeout": f"{_RETRY_TIMEOUT.total_seconds():g}s"}
    endpoint = _endpoint()
    if endpoint is not None:
        options["aws_endpoint_url"] = endpoint
        if _is_plain(endpoint):
            options["aws_allow_http"] = "true"
    return options


def check_put_if_absent(lake: str) -> None:
    """Raises SettingError for a bucket whose store lets the second writer of one file win as well, or that is not there.

    The ledger, parameters and every commit of a table rest on this. Whoever writes asks, once in the life of a process
    for each bucket. A folder is not asked: there the operating system keeps it. Raises Unavailable.
    """
    if is_bucket(lake):
        _probe(lake, _endpoint())


def check_before_start(lake: str) -> None:
    """The same for a program that is about to start: one that finds the lake away starts, and asks before its first write."""
    with contextlib.suppress(Unavailable):
        check_put_if_absent(lake)


@cache
def _probe(lake: str, endpoint: str | None) -> None:
    store = opened_bucket(lake, soon_away=True)
    where = lake if endpoint is None else f"{lake} at {endpoint}"
    try:
        for _ in range(2):  # only the first ever made of a lake finds nothing there, and then the second must
            obstore.put(store, _PROBE, f"Two writers, one wins. {secrets.token_hex(16)}\n".encode(), mode="create")
    except AlreadyExistsError:
        return
    except FileNotFoundError as error:
        raise SettingError(SETTING, lake, f"a bucket that exists ({in_one_line(error)})") from error
    except NotImplementedError as error:
        raise SettingError(SETTING, where, _kept(f"this one has no conditional writes: {in_one_line(error)}")) from error
    except BaseError as error:
        if "501 Not Implemented" in str(error):
            raise SettingError(SETTING, where, _kept("this one has no conditional writes")) from error
        raise Unavailable(f"the lake at {where}", in_one_line(error)) from error
    raise SettingError(SETTING, where, _kept("this one overwrote a file that was there"))


def _kept(found: str) -> str:
    return f"a store that keeps put-if-absent, or of two writers both would win ({found}). Nothing is written to it"


def is_missing(error: FileNotFoundError, lake: str) -> bool:
    """Whether just this document is missing. A missing bucket, or a 404 of whatever stands before one, is a lake that is away."""
    return not is_bucket(lake) or "<Code>NoSuchKey</Code>" in str(error)


def in_one_line(error: BaseException) -> str:
    """What an error of these libraries says: without the pages of its source, the store's own document, or colours.

    It says the same each time: what is news is told by its words, so how long it took is left out.
    """
    said = _TAKEN.sub("", _COLOURS.sub("", str(error).partition("\n\nDebug source:")[0]))
    return " ".join(_DOCUMENT.sub(r"\1: \2", said).split())


def _endpoint() -> str | None:
    return next((found for name in _ENDPOINTS if (found := os.environ.get(name))), None)


def _is_plain(endpoint: str) -> bool:
    return endpoint.lower().startswith("http://")
