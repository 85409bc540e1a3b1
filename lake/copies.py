"""The lake as a server reads it: the lake while it answers, a local copy of what was read while it is away.

The copy is never preferred to a lake that answers, so it hides no change there; and what is read from it is verified
as if it came from the lake. It ages from the moment at which the lake was last reached, and holds up to an age.
"""

import contextlib
import os
import shutil
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from lake.documents import DocumentStore, canonical, decoded, sha256, write_file
from lake.errors import NotFound, SettingError, Unavailable, VerificationError
from lake.home import Home
from lake.times import Clock, now_utc, rfc3339, utc

Source = Literal["lake", "copy"]
GREATEST_COPY_AGE_S = 7 * 86_400.0
# The copy of a package that is not needed any more is kept for so long after it was read: it may be rolled back to.
LATELY = timedelta(days=1)

_NOTED_EVERY = timedelta(minutes=1)
_TRIED_EVERY = timedelta(seconds=5)
_LISTING = "names#"  # as no document is named

log = structlog.get_logger(__name__)


class LakeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the lake answers, when it last did and how long ago; why the copy cannot be written, if so."""

    reachable: bool
    reached_at_utc: str | None
    copy_age_s: float | None
    copy_failing: str | None


class CopiedLake:
    """The documents of one use case: a `DocumentReader` that goes on, and starts, without the lake.

    While the lake is away, what the copy lacks is known to be missing only where the copy has other documents of its
    folder; else nobody can say, and the lake is Unavailable. So it is when it was last reached longer than
    `greatest_age_s` ago, until it is back.
    """

    def __init__(self, home: Home, use_case: str, greatest_age_s: float = GREATEST_COPY_AGE_S, clock: Clock = now_utc) -> None:
        if not greatest_age_s > 0:
            raise SettingError("TRAINSERVE_GREATEST_COPY_AGE_S", greatest_age_s, "seconds, above 0")
        self.away: str | None = None
        self._lake = DocumentStore(home.lake, make=False)
        self._copy = _Copy(home.copies, use_case, clock)
        self._greatest_age = timedelta(seconds=greatest_age_s)
        self._clock = clock
        self._reached_at = self._copy.noted_at

    def get(self, path: str) -> bytes:
        """The bytes at this path. Raises NotFound, Unavailable."""
        try:
            with self._asked():
                data = self._lake.get(path)
        except Unavailable as away:
            self._check_age(away)
            return self._copy.get(path, away)
        self._copy.keep(path, data)
        return data

    def find(self, path: str) -> bytes | None:
        """The bytes at this path, or None. Raises Unavailable."""
        try:
            return self.get(path)
        except NotFound:
            return None

    def names(self, folder: str) -> list[str]:
        """The names of the files directly below a folder, sorted. Raises Unavailable."""
        try:
            with self._asked():
                names = self._lake.names(folder)
        except Unavailable as away:
            self._check_age(away)
            return self._copy.names(folder, away)
        if names:
            self._copy.keep_names(folder, names)
        return names

    @property
    def source(self) -> Source:
        """Where the last document came from."""
        return "lake" if self.away is None else "copy"

    def too_old(self) -> str | None:
        """Why what is known of the lake is too old to go by, or None. Asked for each request."""
        reached_at = self._reached_at
        if reached_at is None or abs(self._clock() - reached_at) <= self._greatest_age:
            return None
        holds = f"{self._greatest_age.total_seconds():g} s (TRAINSERVE_GREATEST_COPY_AGE_S)"
        return f"the lake was last reached at {rfc3339(reached_at)}, and what was read then holds for {holds}"

    def status(self) -> LakeStatus:
        """What those who run the service ask."""
        age = self._age()
        return LakeStatus(
            reachable=self.away is None,
            reached_at_utc=None if self._reached_at is None else rfc3339(self._reached_at),
            copy_age_s=None if age is None else age.total_seconds(),
            copy_failing=self._copy.failure,
        )

    def alarms(self) -> list[str]:
        """What is wrong with the lake, and with its copy."""
        return [alarm for alarm in (self.away, self._copy.failure) if alarm]

    def forget_packages(self, needed: Collection[str]) -> None:
        """Remove the copies of packages that are neither needed nor were read lately."""
        self._copy.forget_packages(needed)

    def _age(self) -> timedelta | None:
        """How long ago the lake was reached; None when it never was. A moment ahead, from a wrong clock, is as far off."""
        return None if self._reached_at is None else abs(self._clock() - self._reached_at)

    def _check_age(self, away: Unavailable) -> None:
        if self._reached_at is None:
            raise away
        if (why := self.too_old()) is not None:
            raise Unavailable("what is known of the lake", why, "It answers again once the lake is back.") from away

    @contextlib.contextmanager
    def _asked(self) -> Iterator[None]:
        """Notes whether the lake answers: what happens here says so, also when it answers that there is no such document."""
        try:
            yield
        except Unavailable as error:
            self.away = str(error)
            self._note(timedelta())
            raise
        except NotFound:
            self._is_reached()
            raise
        self._is_reached()

    def _is_reached(self) -> None:
        self.away = None
        self._reached_at = self._clock()
        self._note(min(_NOTED_EVERY, self._greatest_age / 10))
        self._copy.try_again()

    def _note(self, every: timedelta) -> None:
        """Note when the lake was reached, if the last note is further off than this."""
        noted_at = self._copy.noted_at
        if self._reached_at is not None and (noted_at is None or abs(self._reached_at - noted_at) > every):
            self._copy.note(self._reached_at)


class _Copy:
    """The documents of one use case below `home.copies`, as they were last read.

    What cannot be written, on a full disk or in a home that is read-only, hampers nothing: it is said, and tried again.
    """

    def __init__(self, copies: Path, use_case: str, clock: Clock) -> None:
        self.failure: str | None = None
        self._folder = copies / "lake"
        self._packages = f"{use_case}/packages"
        self._reached = copies / "reached" / f"{use_case}.json"
        self._clock = clock
        self._written: dict[str, str] = {}  # digests, by path
        self._unwritten: dict[str, bytes] = {}
        self._tried_at = datetime.min.replace(tzinfo=timezone.utc)
        try:
            self.noted_at: datetime | None = utc(decoded(self._reached.read_bytes(), "when the lake was reached", str))
        except (OSError, ValueError, VerificationError):
            self.noted_at = None

    def get(self, path: str, away: Unavailable) -> bytes:
        """The copy. Raises NotFound, and `away` where nobody can say."""
        try:
            return (self._folder / path).read_bytes()
        except FileNotFoundError:
            folder, _, name = path.rpartition("/")
            if not (self._folder / folder).is_dir() or name in self.names(folder, away):
                raise away from None
            raise NotFound("document", path) from None

    def names(self, folder: str, away: Unavailable) -> list[str]:
        """The names that the lake listed last, and those of what was read since. Raises `away` where nobody can say."""
        try:
            copied = {path.name for path in (self._folder / folder).iterdir() if "#" not in path.name}
        except FileNotFoundError:
            raise away from None
        listing = self._folder / folder / _LISTING
        listed = decoded(listing.read_bytes(), f"the copied list of {folder}", list[str]) if listing.exists() else []
        return sorted(copied.union(listed))

    def keep(self, path: str, data: bytes) -> None:
        """Copy a document, unless that is what the copy has."""
        digest = sha256(data)
        if self._written.get(path) != digest or not (self._folder / path).exists():
            self._unwritten[path] = data
            self._write()

    def keep_names(self, folder: str, names: list[str]) -> None:
        """Copy a folder's list, and that it was asked for now."""
        self.keep(f"{folder}/{_LISTING}", canonical(names))
        with contextlib.suppress(OSError):
            os.utime(self._folder / folder / _LISTING, (self._clock().timestamp(),) * 2)

    def try_again(self) -> None:
        """Write what could not be written, now and then."""
        if self._unwritten and abs(self._clock() - self._tried_at) > _TRIED_EVERY:
            self._write()

    def note(self, reached_at: datetime) -> None:
        """Note when the lake was last reached."""
        with self._hampering_nothing():
            write_file(self._reached, canonical(rfc3339(reached_at)))
            self.noted_at = reached_at

    def forget_packages(self, needed: Collection[str]) -> None:
        """Remove packages that are neither needed nor were read lately."""
        for path in list(self._unwritten):
            if path.startswith(self._packages) and path.split("/")[-2] not in needed:
                del self._unwritten[path]
        folder = self._folder / self._packages
        with contextlib.suppress(OSError):  # another server of this home may be faster
            for package in folder.iterdir():
                read_at = datetime.fromtimestamp((package / _LISTING).stat().st_mtime, timezone.utc)
                if package.name not in needed and abs(self._clock() - read_at) > LATELY:
                    shutil.rmtree(package)

    def _write(self) -> None:
        self._tried_at = self._clock()
        with self._hampering_nothing():
            for path, data in list(self._unwritten.items()):
                copy = self._folder / path
                if not copy.exists() or copy.read_bytes() != data:
                    write_file(copy, data)
                self._written[path] = sha256(data)
                del self._unwritten[path]

    @contextlib.contextmanager
    def _hampering_nothing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            failure = f"the copy of the lake in {self._folder} cannot be written: {error.strerror}"
            if self.failure != failure:
                log.warning("copy not written", why=failure)
            self.failure = failure
        else:
            self.failure = None if not self._unwritten else self.failure
