"""Small documents of the lake: canonical bytes, digests, and a store with put-if-absent.

The store is a folder or a bucket behind one interface (obstore). In a folder each write is fsynced, file and
folder, before the call returns: obstore itself does not.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import obstore
import rfc8785
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, from_url

from lake.errors import Conflict, NotFound, Unavailable


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """Base of stored documents: tolerant of fields that a later version added."""


class StrictDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what people and clients hand in: a misspelt field is an error, not a default."""


def canonical(document: object) -> bytes:
    """The document as canonical JSON (RFC 8785): equal documents have equal bytes, so equal digests."""
    return rfc8785.dumps(msgspec.to_builtins(document, str_keys=True))


def sha256(data: bytes) -> str:
    """The digest that names things here: SHA-256, in hex."""
    return hashlib.sha256(data).hexdigest()


def sync_folder(folder: Path) -> None:
    """Make a created, renamed or removed entry of this folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Make the bytes of this file survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace a local file at once and durably: readers see the old bytes or the new ones, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(path)
    except OSError:
        staged.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


class DocumentStore:
    """Files below the lake's root, by their path relative to it."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._folder = None if "://" in root else Path(root)
        self._store: Any = from_url(root) if self._folder is None else LocalStore(self._folder, mkdir=True)

    def get(self, path: str) -> bytes:
        """The bytes at this path. Raises NotFound."""
        try:
            return bytes(obstore.get(self._store, path).bytes())
        except FileNotFoundError as error:
            raise NotFound("document", path) from error
        except BaseError as error:
            raise Unavailable(f"the lake at {self.root}", str(error)) from error

    def find(self, path: str) -> bytes | None:
        """The bytes at this path, or None."""
        try:
            return self.get(path)
        except NotFound:
            return None

    def put(self, path: str, data: bytes) -> None:
        """Write, replacing what is there. Safe to run twice with the same bytes."""
        obstore.put(self._store, path, data)
        self._sync(path)

    def put_new(self, path: str, data: bytes) -> None:
        """Write only if nothing is there: of two writers exactly one wins, the other gets Conflict."""
        try:
            obstore.put(self._store, path, data, mode="create")
        except AlreadyExistsError as error:
            raise Conflict(path, "no such document yet", "one written by somebody else") from error
        self._sync(path)

    def names(self, folder: str) -> list[str]:
        """The names of the files directly below a folder, sorted."""
        return sorted(path.rpartition("/")[2] for path in self._paths(folder))

    def folders(self, folder: str = "") -> list[str]:
        """The names of the folders directly below a folder, sorted."""
        found = obstore.list_with_delimiter(self._store, folder)["common_prefixes"]
        return sorted(path.rstrip("/").rpartition("/")[2] for path in found)

    def _paths(self, folder: str) -> Iterator[str]:
        yield from (entry["path"] for entry in obstore.list_with_delimiter(self._store, folder)["objects"])

    def _sync(self, path: str) -> None:
        if self._folder is None:
            return
        file = self._folder / path
        sync_file(file)
        for folder in file.parents:
            sync_folder(folder)
            if folder == self._folder:
                break
