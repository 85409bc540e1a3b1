"""Free ports for servers that tests start as processes of their own, which bind them a while after they were chosen.

They lie below the ports that the kernel gives to outgoing connections (from 32768 on), and each worker of pytest-xdist has a
range of its own: between the choice and the start nobody else takes one.
"""

import os
from contextlib import suppress
from itertools import cycle

from lake.errors import SettingError
from lake.listener import bind

_FIRST, _EACH_WORKER, _SINGLE = 10_000, 5_000, 1_000
_WORKERS = 4
_BESIDE = 100  # the shipper and then the predictors of `trainserve up` listen so far above the proxy
_AROUND = 200  # what is kept for one proxy and its predictors

_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
_begin = _FIRST + _worker * _EACH_WORKER
_turn = os.getpid()  # another run of the tests on this machine most likely begins elsewhere


def _from(ports: range) -> "cycle[int]":
    begin = _turn % len(ports)
    return cycle([*ports[begin:], *ports[:begin]])


_singles = _from(range(_begin, _begin + _SINGLE))
_groups = _from(range(_begin + _SINGLE, _begin + _EACH_WORKER - _AROUND, _AROUND))


def free_port() -> int:
    """A port that nobody listens on; no other test of this run gets it."""
    return next(port for port in _singles if _is_free(port))


def proxy_port(predictors: int) -> int:
    """A port for the proxy of `trainserve up` that is free, and whose predictors' are."""
    beside = (0, *range(_BESIDE, _BESIDE + 1 + predictors))
    return next(port for port in _groups if all(_is_free(port + number) for number in beside))


def _is_free(port: int) -> bool:
    with suppress(SettingError), bind("127.0.0.1", port, "a test"):
        return True
    return False
