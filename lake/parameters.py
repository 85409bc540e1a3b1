"""What an operator can change at run time: one versioned document for each use case.

The environment is version 0 and holds only until something is stored. A version is a file, written with
put-if-absent: compare-and-set, so that of two operators one is told. Readers keep a local copy.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from lake.documents import DocumentReader, DocumentStore, StrictDocument, canonical, decoded, write_file
from lake.errors import Conflict, InvalidInput, Problem, SettingError, VerificationError

_LONGEST_TIMEOUT_S = 600
_ROUNDING = 1e-9  # shares are decimal fractions: what adds up to 1 on paper may be a little more here


class Arm(StrictDocument, frozen=True, kw_only=True):
    """How one arm is reached, and its share of the requests (0 to 1; the champion has what is left)."""

    upstreams: tuple[str, ...] = ()
    share: float = 0.0
    active: bool = True


class Parameters(StrictDocument, frozen=True, kw_only=True):
    """The parameters of one use case."""

    use_case: str
    version: int = 0
    active: bool = True
    arms: dict[str, Arm] = msgspec.field(default_factory=dict)
    salt: str = "1"
    timeout_s: float = 2.0
    changed_by: str = "environment"
    changed_at_utc: str | None = None
    why: str = ""
    format_version: int = 1


def check_parameters(parameters: Parameters) -> None:
    """Raises InvalidInput with every problem of the document."""
    problems = [
        Problem(path=f"arms.{name}.share", found=str(arm.share), expected="a number from 0 to 1")
        for name, arm in parameters.arms.items()
        if not 0 <= arm.share <= 1
    ]
    total = math.fsum(arm.share for arm in parameters.arms.values())
    if total > 1 + _ROUNDING:
        problems.append(Problem(path="arms", found=f"shares that add up to {total:g}", expected="at most 1"))
    problems += [
        Problem(path=f"arms.{name}.upstreams", found=repr(url), expected="an address as http://host:port or unix:///path")
        for name, arm in parameters.arms.items()
        for url in arm.upstreams
        if not _is_address(url)
    ]
    if not 0 < parameters.timeout_s <= _LONGEST_TIMEOUT_S:
        problems.append(
            Problem(
                path="timeout_s", found=str(parameters.timeout_s), expected=f"seconds, above 0 and at most {_LONGEST_TIMEOUT_S}"
            )
        )
    if problems:
        raise InvalidInput(problems)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        if parts.scheme == "unix":
            return not parts.netloc and len(parts.path) > 1
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or too large
        return False


def parameters_from_environment(environment: Mapping[str, str]) -> dict[str, Parameters]:
    """Version 0 of each use case, from the `PROXY_*` variables.

    `PROXY_UPSTREAMS` lists `use_case/arm=url` separated by commas (an arm may stand several times); `PROXY_SHARES`
    lists `use_case/arm=share`; `PROXY_SALT` and `PROXY_TIMEOUT_S` hold for all. Raises SettingError.
    """
    upstreams = _pairs("PROXY_UPSTREAMS", environment)
    if not upstreams:
        raise SettingError("PROXY_UPSTREAMS", "", "use_case/arm=http://host:port, separated by commas")
    shares = {key: _number("PROXY_SHARES", value) for key, value in _pairs("PROXY_SHARES", environment)}
    found: dict[str, dict[str, Arm]] = {}
    for (use_case, arm), url in upstreams:
        arms = found.setdefault(use_case, {})
        urls = arms[arm].upstreams if arm in arms else ()
        arms[arm] = Arm(upstreams=(*urls, url.rstrip("/")), share=shares.get((use_case, arm), 0.0))
    for use_case, arm in shares:
        if arm not in found.get(use_case, {}):
            raise SettingError("PROXY_SHARES", f"{use_case}/{arm}", "only arms that PROXY_UPSTREAMS names")
    timeout_s = _number("PROXY_TIMEOUT_S", environment.get("PROXY_TIMEOUT_S", "2"))
    salt = environment.get("PROXY_SALT", "1")
    documents = {
        use_case: Parameters(use_case=use_case, arms=arms, salt=salt, timeout_s=timeout_s) for use_case, arms in found.items()
    }
    for document in documents.values():
        check_parameters(document)
    return documents


def newest_parameters(store: DocumentStore, use_case: str) -> Parameters | None:
    """The newest stored version, or None while nothing is stored."""
    names = store.names(f"{use_case}/parameters")
    return read_parameters(store, use_case, int(names[-1].removesuffix(".json"))) if names else None


def read_parameters(store: DocumentStore, use_case: str, version: int) -> Parameters:
    """One stored version. Raises NotFound, VerificationError."""
    return _decoded(store.get(_path(use_case, version)), use_case, version)


def find_parameters(store: DocumentReader, use_case: str, version: int) -> Parameters | None:
    """One stored version, or None: what a reader asks for twice a second. Raises VerificationError."""
    encoded = store.find(_path(use_case, version))
    return None if encoded is None else _decoded(encoded, use_case, version)


def publish_parameters(store: DocumentStore, parameters: Parameters, expected_version: int) -> Parameters:
    """Store the next version if `expected_version` is still the newest. Raises Conflict, InvalidInput."""
    check_parameters(parameters)
    newest = newest_parameters(store, parameters.use_case)
    found = newest.version if newest else 0
    if found != expected_version:
        raise Conflict(f"parameters of {parameters.use_case!r}", f"version {expected_version}", f"version {found}")
    stored = msgspec.structs.replace(parameters, version=expected_version + 1)
    store.put_new(_path(stored.use_case, stored.version), canonical(stored))
    return stored


def keep_copy(copies: Path, parameters: Parameters) -> None:
    """Keep a local copy, so that a restart without the lake starts with the newest known version."""
    write_file(copies / "parameters" / f"{parameters.use_case}.json", canonical(parameters))


def find_copy(copies: Path, use_case: str) -> Parameters | None:
    """The local copy, or None."""
    path = copies / "parameters" / f"{use_case}.json"
    return decoded(path.read_bytes(), f"the copy of the parameters of {use_case!r}", Parameters) if path.exists() else None


def _decoded(encoded: bytes, use_case: str, version: int) -> Parameters:
    what = f"version {version} of the parameters of {use_case!r}"
    found = decoded(encoded, what, Parameters)
    if (found.use_case, found.version) != (use_case, version):
        raise VerificationError(what, f"version {found.version} of {found.use_case!r}", "the one that the file's name says")
    return found


def _path(use_case: str, version: int) -> str:
    return f"{use_case}/parameters/{version:08}.json"


def _pairs(setting: str, environment: Mapping[str, str]) -> list[tuple[tuple[str, str], str]]:
    pairs = []
    for entry in filter(None, (entry.strip() for entry in environment.get(setting, "").split(","))):
        key, equals, value = entry.partition("=")
        use_case, slash, arm = key.partition("/")
        if not (equals and slash and use_case and arm and value):
            raise SettingError(setting, entry, "use_case/arm=value")
        pairs.append(((use_case, arm), value))
    return pairs


def _number(setting: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SettingError(setting, text, "a number") from error
