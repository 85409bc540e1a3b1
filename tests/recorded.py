"""Clients that keep a record of their own: each request that they sent, and what they were told, or that its connection broke."""

import threading
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Self
from urllib.parse import urlsplit

import msgspec

from lake.documents import write_file
from lake.home import now_us
from tests.scenario import parcel, records_body
from tests.served import PREDICT

REQUEST_ID = "trainserve-request-id"
_OVER_ONE_CONNECTION = 20
_BEAT_S = 0.01


class Told(msgspec.Struct, frozen=True):
    """An answer: when its request was sent, by the clock of the log, its status, and the id that the proxy gave it."""

    sent_at_us: int
    status: int
    request_id: str


class RecordedClients:
    """So many clients from now until `stop`, each over one connection after the other, so that all workers are met.

    A request whose connection breaks is not sent again.

    `told` and `lost` are by the client's id of a request.
    """

    def __init__(self, url: str, clients: int = 8) -> None:
        self.told: dict[str, Told] = {}
        self.lost: dict[str, str] = {}
        self._address = urlsplit(url)
        self._numbers = count()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def sent_after(self, moment_us: int) -> int:
        """How many requests that were sent after this moment have been answered."""
        return sum(told.sent_at_us > moment_us for told in list(self.told.values()))

    def stop(self) -> None:
        """Let every client end with its next answer."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=60)
            assert not thread.is_alive(), "a client still waits for something"

    def _ask(self) -> None:
        while not self._stopped.is_set():
            with closing(HTTPConnection(self._address.hostname or "", self._address.port, timeout=60)) as connection:
                self._ask_over(connection)

    def _ask_over(self, connection: HTTPConnection) -> None:
        connection.connect()
        for _ in range(_OVER_ONE_CONNECTION):
            if self._stopped.is_set():
                return
            number = next(self._numbers)
            sent_at_us, key = now_us(), f"request {number}"
            try:
                connection.request("POST", PREDICT, records_body(parcel(parcel_id=f"P-{number}"), id=key))
                answer = connection.getresponse()
                answer.read()
            except (OSError, HTTPException) as error:
                self.lost[key] = repr(error)
                return
            self.told[key] = Told(sent_at_us, answer.status, answer.getheader(REQUEST_ID, ""))


class Stalls:
    """The longest that this machine held up a small durable write, from now until it is left: what others add to every time."""

    def __init__(self, folder: Path) -> None:
        self.longest_s = 0.0
        self._path = folder / "beat"
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _beat(self) -> None:
        while True:
            began = monotonic()
            stopped = self._stopped.wait(_BEAT_S)
            write_file(self._path, b"beat")
            self.longest_s = max(self.longest_s, monotonic() - began - _BEAT_S)
            if stopped:
                return
