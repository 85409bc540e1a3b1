"""A bucket to test on, of a server that can go away, come back, hang and misbehave (`tests/s3_server.py`)."""

import os
import secrets
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import obstore
import pytest
from obstore.store import from_url

Misbehaviour = Literal["", "overwrites", "has no conditional writes"]


class Bucket:
    """One bucket. `endpoint` is the address of its server, which loses nothing while it is away."""

    def __init__(self, process: subprocess.Popen[str], endpoint: str) -> None:
        self._process = process
        self.name = f"lake-{secrets.token_hex(8)}"
        self.endpoint = endpoint
        made = urllib.request.Request(f"{self.endpoint}/{self.name}", method="PUT")  # noqa: S310 - an address of ours
        urllib.request.urlopen(made).close()  # noqa: S310

    def another(self) -> "Bucket":
        """An empty one, on the same server."""
        return Bucket(self._process, self.endpoint)

    @property
    def lake(self) -> str:
        """The address of a lake in it."""
        return f"s3://{self.name}/deep/lake"

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process reach it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "a key",
            "AWS_SECRET_ACCESS_KEY": "a secret",
        }

    @contextmanager
    def away(self) -> Iterator[None]:
        """Refuse connections, and cut those that are open, until left."""
        self._tell("away")
        try:
            yield
        finally:
            self._tell("back")

    def lose_answer_to(self, part: str) -> None:
        """Do the next conditional write to a path with this in it, and answer that the server failed."""
        self._tell(f"lose {part}")

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Take requests, and answer none until left."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def names(self) -> list[str]:
        """Every file that it holds."""
        store = from_url(f"s3://{self.name}", endpoint=self.endpoint, client_options={"allow_http": True})
        return sorted(entry["path"] for chunk in obstore.list(store) for entry in chunk)

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        _heard(self._process, "done")


def _heard(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdout is not None
    said, _, rest = process.stdout.readline().strip().partition(" ")
    assert said == word, said
    return rest


@contextmanager
def bucket_of(misbehaviour: Misbehaviour = "") -> Iterator[Bucket]:
    """A bucket on a server of its own, which the environment names: for this process and those that it starts."""
    command = [sys.executable, "-m", "tests.s3_server", misbehaviour]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=plain) as process:
        try:
            bucket = Bucket(process, f"http://127.0.0.1:{_heard(process, 'ready')}")
            with pytest.MonkeyPatch.context() as patch:
                for name, value in bucket.environment.items():
                    patch.setenv(name, value)
                yield bucket
        finally:
            process.kill()
