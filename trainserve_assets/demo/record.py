"""What the demonstration's client keeps of its own: each request sent, each answer, each label, line by line.

It is what the log is compared with, so nothing in it comes from the platform but the answers themselves. A replay that
was interrupted goes on behind it.
"""

from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec


class Sent(msgspec.Struct, frozen=True, tag=True):
    """A request is about to be sent."""

    key: str


class Answered(msgspec.Struct, frozen=True, tag=True):
    """Its answer has arrived."""

    key: str
    request_id: str
    latency_us: int


class Labelled(msgspec.Struct, frozen=True, tag=True):
    """A label was accepted."""

    key: str


class Replayed(msgspec.Struct, frozen=True, tag=True):
    """A stretch of replay has ended, after so many seconds and answers."""

    seconds: float
    answers: int


Line = Sent | Answered | Labelled | Replayed

_decode = msgspec.json.Decoder(Line).decode
_encode = msgspec.json.Encoder().encode


class ClientRecord:
    """The record in memory, and in a file that is only ever appended to."""

    def __init__(self, path: Path) -> None:
        self.sent = 0
        self.answers: dict[str, Answered] = {}
        self.labelled: set[str] = set()
        self.seconds = 0.0
        self.timed_answers = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            for line in path.read_bytes().splitlines():
                try:
                    self._take(_decode(line))
                except msgspec.MsgspecError:
                    continue  # the last line of a run that was killed
        self._file = path.open("ab", buffering=0)

    def add(self, line: Line) -> None:
        """Keep one line, in the file before in memory."""
        self._file.write(_encode(line) + b"\n")
        self._take(line)

    @property
    def request_ids(self) -> set[str]:
        """Every request that was answered."""
        return {answer.request_id for answer in self.answers.values()}

    @property
    def latencies_ms(self) -> list[float]:
        """How long each answer took."""
        return [answer.latency_us / 1_000 for answer in self.answers.values()]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def _take(self, line: Line) -> None:
        match line:
            case Sent():
                self.sent += 1
            case Answered():
                self.answers[line.key] = line
            case Labelled():
                self.labelled.add(line.key)
            case Replayed():
                self.seconds += line.seconds
                self.timed_answers += line.answers
