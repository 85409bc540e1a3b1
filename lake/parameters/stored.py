"""The versions of the parameters in the lake: one file each, written with put-if-absent, read one after the other.

Of two operators one is told. A reader goes by the newest version that holds: one that is unreadable, wrong or not covered by
signatures is passed over, and said. Readers keep a local copy of what they go by.
"""

import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from lake.documents import DocumentReader, DocumentStore, canonical, decoded, write_file
from lake.errors import Conflict, InvalidInput, VerificationError
from lake.parameters.checked import check_parameters
from lake.parameters.document import Parameters
from lake.parameters.keys import handed_out

_NAME = re.compile(r"(\d{8})\.json")
# Judges the step from one version to the next. Raises VerificationError, InvalidInput.
Check = Callable[[Parameters, Parameters], object]


class Followed(msgspec.Struct, frozen=True):
    """The newest version that holds; the number and the fault of each later one, which does not."""

    document: Parameters
    refused: dict[int, str] = {}

    @property
    def newest(self) -> int:
        """The number of the newest version that is stored."""
        return max(self.refused, default=self.document.version)


def follow(
    store: DocumentReader, document: Parameters, check: Check, taken: Callable[[Parameters], None] | None = None
) -> Followed:
    """Read what was stored after a version; each that holds is handed to `taken` before the next is read. Raises Unavailable."""
    refused: dict[int, str] = {}
    number = document.version
    while (encoded := store.find(_path(document.use_case, number + 1))) is not None:
        number += 1
        try:
            later = _decoded(encoded, document.use_case, number)
            check_parameters(later)
            check(document, later)
        except (VerificationError, InvalidInput) as error:
            refused[number] = str(error)
            continue
        document, refused = later, {}
        if taken is not None:
            taken(later)
    return Followed(document, refused)


def versions(store: DocumentReader, use_case: str) -> list[int]:
    """The numbers of all stored versions."""
    return sorted(int(found[1]) for name in store.names(f"{use_case}/parameters") if (found := _NAME.fullmatch(name)))


def newest_parameters(store: DocumentReader, use_case: str) -> Parameters | None:
    """The newest stored version, or None while nothing is stored. Raises VerificationError."""
    stored = versions(store, use_case)
    return read_parameters(store, use_case, stored[-1]) if stored else None


def read_parameters(store: DocumentReader, use_case: str, version: int) -> Parameters:
    """One stored version. Raises NotFound, VerificationError."""
    return _decoded(store.get(_path(use_case, version)), use_case, version)


def find_parameters(store: DocumentReader, use_case: str, version: int) -> Parameters | None:
    """One stored version, or None. Raises VerificationError."""
    encoded = store.find(_path(use_case, version))
    return None if encoded is None else _decoded(encoded, use_case, version)


def publish_parameters(store: DocumentStore, parameters: Parameters, expected_version: int) -> Parameters:
    """Store the next version if `expected_version` is still the newest. Raises Conflict, InvalidInput."""
    check_parameters(msgspec.structs.replace(parameters, keys={}))
    stored = versions(store, parameters.use_case)
    if (stored[-1] if stored else 0) != expected_version:
        raise _stale(parameters.use_case, expected_version, stored[-1] if stored else 0)
    before = read_parameters(store, parameters.use_case, expected_version) if stored else None
    return _put(store, parameters, Followed(before) if before is not None else None, expected_version + 1)


def publish_after(store: DocumentStore, parameters: Parameters, followed: Followed) -> Parameters:
    """Store the version that follows what is in force, behind any that readers refuse. Raises Conflict, InvalidInput."""
    check_parameters(msgspec.structs.replace(parameters, keys={}))
    return _put(store, parameters, followed, followed.newest + 1)


def keep_copy(copies: Path, parameters: Parameters) -> None:
    """Keep a local copy, so that a restart without the lake starts with the newest known version."""
    write_file(_copy(copies, parameters.use_case), canonical(parameters))


def find_copy(copies: Path, use_case: str) -> Parameters | None:
    """The local copy, or None."""
    path = _copy(copies, use_case)
    return decoded(path.read_bytes(), f"the copy of the parameters of {use_case!r}", Parameters) if path.exists() else None


def _put(store: DocumentStore, parameters: Parameters, followed: Followed | None, number: int) -> Parameters:
    before = {} if followed is None else keys_of(followed.document)
    if followed is not None and followed.document.salt != parameters.salt:
        before = {}  # every key has another place
    stored = msgspec.structs.replace(parameters, version=number, keys=handed_out(parameters, before))
    try:
        store.put_new(_path(stored.use_case, number), canonical(stored))
    except Conflict as conflict:
        raise _stale(parameters.use_case, number - 1, number) from conflict
    return stored


def keys_of(document: Parameters) -> dict[str, tuple[tuple[int, int], ...]]:
    """The places of each arm; of a version that does not say them those that it begins with."""
    return document.keys or handed_out(document, {})


def _stale(use_case: str, expected: int, found: int) -> Conflict:
    return Conflict(f"parameters of {use_case!r}", f"version {expected}", f"version {found}")


def _decoded(encoded: bytes, use_case: str, version: int) -> Parameters:
    what = f"version {version} of the parameters of {use_case!r}"
    found = decoded(encoded, what, Parameters)
    if (found.use_case, found.version) != (use_case, version):
        raise VerificationError(what, f"version {found.version} of {found.use_case!r}", "the one that the file's name says")
    return found


def _path(use_case: str, version: int) -> str:
    return f"{use_case}/parameters/{version:08}.json"


def _copy(copies: Path, use_case: str) -> Path:
    return copies / "parameters" / f"{use_case}.json"
