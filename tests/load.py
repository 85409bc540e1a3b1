"""Clients that ask without a pause, and keep what they were told."""

import threading
from concurrent.futures import ThreadPoolExecutor
from math import inf
from time import monotonic

import httpx

from tests.scenario import parcel, records_body
from tests.served import PREDICT

REQUEST_ID = "trainserve-request-id"


class Load:
    """Some clients of a proxy, from now until `stop`; `told` has when each answer came, and the answer."""

    def __init__(self, url: str, clients: int = 4) -> None:
        self.told: list[tuple[float, httpx.Response]] = []
        self._url = url
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(clients)
        self._clients = [self._pool.submit(self._ask) for _ in range(clients)]

    def since(self, moment: float) -> list[httpx.Response]:
        """What was told after this reading of `monotonic`."""
        return [answer for told, answer in list(self.told) if told > moment]

    def acknowledged(self, before: float = inf) -> set[str]:
        """The ids of the requests that were answered, before this reading of `monotonic`."""
        return {answer.headers[REQUEST_ID] for told, answer in list(self.told) if answer.status_code == 200 and told < before}

    def stop(self) -> None:
        """Wait for the clients. Raises what one of them met."""
        self._stopped.set()
        for client in self._clients:
            client.result(timeout=60)
        self._pool.shutdown()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, trust_env=False, timeout=30) as client:
            while not self._stopped.is_set():
                answer = client.post(PREDICT, content=records_body(parcel(carrier="x" * 200)))
                self.told.append((monotonic(), answer))
