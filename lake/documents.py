"""Small documents of the lake: canonical bytes, digests, and a store with put-if-absent.

The store is a folder or a bucket behind one interface (obstore). In a folder each write is fsynced before anybody can
see it, and its folder before the call returns; obstore itself syncs nothing.
"""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import obstore
import rfc8785
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, from_url

from lake.errors import Conflict, NotFound, SettingError, Unavailable, VerificationError

Decoded = TypeVar("Decoded")


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """Base of stored documents: tolerant of fields that a later version added."""


class StrictDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what people and clients hand in: a misspelt field is an error, not a default."""


def canonical(document: object) -> bytes:
    """The document as canonical JSON (RFC 8785): equal documents have equal bytes, so equal digests."""
    return rfc8785.dumps(msgspec.to_builtins(document, str_keys=True))


def decoded(data: bytes, what: str, accepted: type[Decoded]) -> Decoded:
    """The document in these stored bytes. Raises VerificationError, naming what it was to be."""
    try:
        return msgspec.json.decode(data, type=accepted)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise VerificationError(what, f"unreadable bytes ({error})", "a document of this format") from error


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


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, so that they survive a power cut."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def write_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace a local file at once and durably: readers see the old bytes or the new ones, never a part."""
    with _staged(path, data, mode) as staged:
        staged.replace(path)
    sync_folder(path.parent)


def write_new_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a local file at once and durably, if nothing is there. Raises FileExistsError."""
    with _staged(path, data, mode) as staged:
        os.link(staged, path)
    sync_folder(path.parent)


@contextlib.contextmanager
def _staged(path: Path, data: bytes, mode: int) -> Iterator[Path]:
    """The bytes, on disk, in a file beside the path, with a name that obstore does not list; gone afterwards."""
    make_folder(path.parent)
    staged = path.with_name(f"{path.name}#{secrets.randbits(63)}")
    try:
        with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield staged
    finally:
        staged.unlink(missing_ok=True)


class DocumentStore:
    """Files below the lake's root, by their path relative to it."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._folder = None if "://" in root else Path(root)
        try:
            self._store: Any = from_url(root) if self._folder is None else LocalStore(self._folder, mkdir=True)
        except (BaseError, OSError, ValueError) as error:
            raise SettingError(
                "TRAINSERVE_LAKE",
                root,
                f"a folder that can be made and written, or s3://bucket/path ({str(error).splitlines()[0]})",
            ) from error

    def get(self, path: str) -> bytes:
        """The bytes at this path. Raises NotFound."""
        try:
            with self._reached():
                return bytes(obstore.get(self._store, path).bytes())
        except FileNotFoundError as error:
            raise NotFound("document", path) from error

    def find(self, path: str) -> bytes | None:
        """The bytes at this path, or None."""
        try:
            return self.get(path)
        except NotFound:
            return None

    def put(self, path: str, data: bytes) -> None:
        """Write, replacing what is there. Safe to run twice with the same bytes."""
        if self._folder is not None:
            write_file(self._folder / _inside(path), data)
            return
        with self._reached():
            obstore.put(self._store, path, data)

    def put_new(self, path: str, data: bytes) -> None:
        """Write only if nothing is there: of two writers exactly one wins, the other gets Conflict."""
        try:
            if self._folder is not None:
                write_new_file(self._folder / _inside(path), data)
                return
            with self._reached():
                obstore.put(self._store, path, data, mode="create")
        except (AlreadyExistsError, FileExistsError) as error:
            raise Conflict(path, "no such document yet", "one written by somebody else") from error

    def names(self, folder: str) -> list[str]:
        """The names of the files directly below a folder, sorted."""
        return sorted(entry["path"].rpartition("/")[2] for entry in self._list(folder)["objects"])

    def folders(self, folder: str = "") -> list[str]:
        """The names of the folders directly below a folder, sorted."""
        return sorted(path.rstrip("/").rpartition("/")[2] for path in self._list(folder)["common_prefixes"])

    def _list(self, folder: str) -> Any:
        with self._reached():
            return obstore.list_with_delimiter(self._store, folder)

    @contextlib.contextmanager
    def _reached(self) -> Iterator[None]:
        """Tells a lake that is away from one that lacks a document: the first raises Unavailable."""
        if self._folder is not None and not self._folder.is_dir():
            raise Unavailable(f"the lake at {self.root}", "its folder is not there")
        try:
            yield
        except (FileNotFoundError, AlreadyExistsError):
            raise
        except BaseError as error:
            raise Unavailable(f"the lake at {self.root}", str(error)) from error


def _inside(path: str) -> str:
    """The path, which may not lead out of the store. Raises NotFound."""
    if path.startswith("/") or not {"", ".", ".."}.isdisjoint(path.split("/")):
        raise NotFound("document", path)
    return path
