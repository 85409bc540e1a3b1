"""Clients that ask without a pause until their server is gone, and keep count of every request that they have sent."""

import threading
import time
from collections import Counter
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from itertools import count
from urllib.parse import urlsplit

from lake.interface.protocol import LINGER_S
from tests.scenario import parcel, records_body
from tests.served import PREDICT


class SteadyClients:
    """Some keep their connections, of whom some think before they ask again, and some make one for each request.

    `sent` counts requests that went out on an open connection, `answers` their status; `lost` says what befell those
    without an answer. A client ends when nobody listens any more, or when its connection was closed because a busy machine
    held it up for longer than a server that leaves waits for the next request.
    """

    def __init__(self, url: str, *, kept: int = 6, thoughts_s: tuple[float, ...] = (0.02, 0.1, 0.3), fresh: int = 4) -> None:
        self.answers: Counter[int] = Counter()
        self.lost: list[str] = []
        self.request_ids: list[str] = []
        self._address = urlsplit(url)
        self._sent = count()
        self._threads = [
            *(threading.Thread(target=self._ask, args=(number, 0.0, False)) for number in range(kept)),
            *(threading.Thread(target=self._ask, args=(number, thought_s, False)) for number, thought_s in enumerate(thoughts_s)),
            *(threading.Thread(target=self._ask, args=(number, 0.0, True)) for number in range(fresh)),
        ]
        self._stopped = threading.Event()
        for thread in self._threads:
            thread.start()

    @property
    def answered(self) -> int:
        """How many answers have come."""
        return sum(self.answers.values())

    def wait(self) -> None:
        """Wait until every client has ended."""
        for thread in self._threads:
            thread.join(timeout=60)
            assert not thread.is_alive(), "a client still waits for something"

    def stop(self) -> None:
        """Let every client end with its next answer."""
        self._stopped.set()
        self.wait()

    def _ask(self, number: int, thought_s: float, fresh: bool) -> None:  # noqa: FBT001 - a thread's arguments
        while not self._stopped.is_set():
            connection = HTTPConnection(self._address.hostname or "", self._address.port, timeout=30)
            with closing(connection):
                try:
                    connection.connect()
                except ConnectionRefusedError:
                    return
                try:
                    self._ask_over(connection, number, thought_s, fresh)
                except (OSError, HTTPException) as error:
                    self.lost.append(f"{error!r} ({'fresh' if fresh else f'kept, {thought_s} s of thought'})")
                    return

    def _ask_over(self, connection: HTTPConnection, number: int, thought_s: float, fresh: bool) -> None:  # noqa: FBT001
        """Ask over one connection until one of both has said that it ends."""
        before = time.monotonic()
        while connection.sock is not None and not self._stopped.wait(thought_s):
            body = records_body(parcel(parcel_id=f"P-{number}"), id=str(next(self._sent)))
            asked = time.monotonic()
            try:
                connection.request("POST", PREDICT, body, {"connection": "close"} if fresh else {})
                answer = connection.getresponse()
            except (OSError, HTTPException):
                if not fresh and asked - before > LINGER_S:
                    return
                raise
            answer.read()
            before = asked
            self.answers[answer.status] += 1
            self.request_ids.append(answer.getheader("trainserve-request-id", ""))
