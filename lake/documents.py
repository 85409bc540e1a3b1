"""Small documents of the lake: canonical bytes, digests, and a store with put-if-absent.

The store is a folder or a bucket behind one interface (obstore). In a folder each write is fsynced before anybody can
see it, and its folder before the call returns; obstore itself syncs nothing.
"""

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
import obstore
import rfc8785
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, from_url

from lake.bucket import EXPECTED, SETTING, check_put_if_absent, in_one_line, is_bucket, is_missing, opened_bucket
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


NO_FOLDER = (
    "Mount it, or name the one that is meant: TRAINSERVE_LAKE, or TRAINSERVE_HOME, which has it in lake/. "
    "Without them it is .trainserve/lake in the working directory."
)


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file as a listing shows it. `stamp` changes whenever its bytes are written."""

    path: str
    stamp: str


class DocumentReader(Protocol):
    """Whatever documents are read from: the lake, or a copy of it."""

    def get(self, path: str) -> bytes:
        """The bytes at this path. Raises NotFound, Unavailable."""

    def find(self, path: str) -> bytes | None:
        """The bytes at this path, or None. Raises Unavailable."""

    def names(self, folder: str) -> list[str]:
        """The names of the files directly below a folder, sorted. Raises Unavailable."""


class DocumentStore:
    """Files below the lake's root, by their path relative to it.

    A lake that is away is Unavailable at each access, and answers again once it is back. `make` makes a lake's folder
    that is missing: only who fills a lake may, for where a mount should stand an empty folder is another lake. Who does
    not is soon told that a bucket is away, and may go on without it: one that took seconds to say so is left alone for as
    long, or each of many documents would take them.
    """

    def __init__(self, root: str, *, make: bool = True) -> None:
        self.root = root
        self._folder = None if "://" in root else Path(root)
        self._left_alone = is_bucket(root) and not make
        self._tried_again_at = 0.0  # by time.monotonic
        self._why = ""
        try:
            if is_bucket(root):
                self._opened: Any = opened_bucket(root, soon_away=not make)
            elif self._folder is None:
                self._opened = from_url(root)
            elif make:
                make_folder(self._folder)
                self._opened = LocalStore(self._folder)
            else:
                self._opened = None  # opened when it is there
        except (BaseError, OSError, ValueError) as error:
            raise SettingError(SETTING, root, f"{EXPECTED} ({in_one_line(error)})") from error

    def get(self, path: str) -> bytes:
        """The bytes at this path. Raises NotFound, Unavailable."""
        try:
            with self._reached() as store:
                return bytes(obstore.get(store, path).bytes())
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
        with self._reached() as store:
            if self._folder is None:
                obstore.put(store, _inside(path), data)
            else:
                write_file(self._folder / _inside(path), data)

    def put_new(self, path: str, data: bytes) -> None:
        """Write only if nothing is there: of two writers exactly one wins, the other gets Conflict.

        In a bucket two writers of the same bytes both win: a write whose answer was lost is sent again and finds itself.
        Raises SettingError for one whose store does not keep this.
        """
        check_put_if_absent(self.root)
        try:
            with self._reached() as store:
                if self._folder is None:
                    obstore.put(store, _inside(path), data, mode="create")
                else:
                    write_new_file(self._folder / _inside(path), data)
        except (AlreadyExistsError, FileExistsError) as error:
            if self._folder is not None or self.find(path) != data:
                raise Conflict(path, "no such document yet", "one written by somebody else") from error

    def remove(self, path: str) -> None:
        """Remove what is at this path, if anything is. Safe to run twice."""
        with self._reached() as store, contextlib.suppress(FileNotFoundError):
            obstore.delete(store, _inside(path))
            if self._folder is not None:
                sync_folder((self._folder / _inside(path)).parent)

    def files(self, folder: str = "") -> list[File]:
        """All files below a folder, however deep, by their path from there, sorted; none where there is no such folder."""
        with self._reached() as store:
            found = [entry for chunk in obstore.list(store, prefix=folder or None) for entry in chunk]
        begins = len(folder) + 1 if folder else 0
        files = [File(path=entry["path"][begins:], stamp=_stamp(entry)) for entry in found]
        return sorted(files, key=lambda file: file.path)

    def download(self, path: str, target: Path) -> str:
        """Write the bytes at this path to a local file, a part at a time; returns their digest. Raises NotFound."""
        digest = hashlib.sha256()
        try:
            with self._reached() as store, target.open("wb") as file:
                for part in obstore.get(store, path).stream():
                    digest.update(part)
                    file.write(part)
        except FileNotFoundError as error:
            raise NotFound("document", path) from error
        return digest.hexdigest()

    def clock(self, path: str) -> datetime:
        """The time by the clock of the lake's storage, told by a file written at this path; nobody reads its content."""
        self.put(path, b"")
        with self._reached() as store:
            moment: datetime = obstore.head(store, path)["last_modified"]
        return moment

    def names(self, folder: str) -> list[str]:
        """The names of the files directly below a folder, sorted."""
        return sorted(entry["path"].rpartition("/")[2] for entry in self._list(folder)["objects"])

    def folders(self, folder: str = "") -> list[str]:
        """The names of the folders directly below a folder, sorted."""
        return sorted(path.rstrip("/").rpartition("/")[2] for path in self._list(folder)["common_prefixes"])

    def _list(self, folder: str) -> Any:
        with self._reached() as store:
            return obstore.list_with_delimiter(store, folder)

    @contextlib.contextmanager
    def _reached(self) -> Iterator[Any]:
        """The lake, told from one that is away, which raises Unavailable; a document that it lacks is no such thing."""
        if self._folder is not None and not _is_folder(self._folder):
            raise Unavailable(f"the lake at {self.root}", "its folder is not there", NO_FOLDER)
        began = time.monotonic()
        if began < self._tried_again_at:
            raise Unavailable(f"the lake at {self.root}", self._why)
        try:
            if self._opened is None:
                self._opened = LocalStore(self._folder)
            yield self._opened
        except FileNotFoundError as error:
            if not is_missing(error, self.root):
                raise self._away(error, began) from error
            raise
        except AlreadyExistsError:
            raise
        except BaseError as error:
            raise self._away(error, began) from error

    def _away(self, error: Exception, began: float) -> Unavailable:
        if self._left_alone:
            ended = time.monotonic()
            self._why, self._tried_again_at = in_one_line(error), ended + (ended - began)
        return Unavailable(f"the lake at {self.root}", in_one_line(error))


def _stamp(entry: Mapping[str, Any]) -> str:
    return str(entry["e_tag"] or f"{entry['last_modified'].isoformat()}, {entry['size']} bytes").strip('"')


def _is_folder(path: Path) -> bool:
    """Whether it is a folder; one behind a mount that fails is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _inside(path: str) -> str:
    """The path, which may not lead out of the store. Raises NotFound."""
    if path.startswith("/") or not {"", ".", ".."}.isdisjoint(path.split("/")):
        raise NotFound("document", path)
    return path
