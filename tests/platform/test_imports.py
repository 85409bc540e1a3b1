"""A server loads what it needs to answer, and nothing that trains, reads tables or draws."""

import re

import httpx

from lake.home import Home
from tests.commands import Running, running
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, eventually, toy

# Each of them takes more memory than all that a server loads.
HEAVY = {"catboost", "dagster", "deltalake", "pandas", "polars", "pyarrow", "scipy", "sklearn"}
TELLING = {"PYTHONPROFILEIMPORTTIME": "1"}  # Python prints each module that it imports


def answer(server: Running) -> None:
    """Ask about one parcel once the server is ready."""
    eventually(lambda: server.get("/health/ready").status_code == 200)
    assert httpx.post(server.url + PREDICT, content=records_body(parcel()), trust_env=False).status_code == 200


def loaded(server: Running) -> set[str]:
    """The packages that it has imported so far."""
    return set(re.findall(r"^import time: .*\| +(\w+)", server.printed, re.MULTILINE))


def test_a_predictor_answers_without_what_trains_or_reads_tables(home: Home) -> None:
    Approver(home).release(toy())
    with running(home, "predictor", USE_CASE, environment=TELLING) as predictor:
        answer(predictor)

        assert {"lake", "lignum", "litestar"} <= loaded(predictor)
        assert not loaded(predictor) & HEAVY


def test_a_predictor_that_keeps_the_log_and_a_proxy_log_without_polars(home: Home) -> None:
    Approver(home).release(toy())
    with running(home, "predictor", USE_CASE, "--stand-alone", environment=TELLING) as predictor:
        answer(predictor)
        alone = loaded(predictor)
    with running(home, "predictor", USE_CASE) as predictor:
        upstreams = {"PROXY_UPSTREAMS": f"{USE_CASE}/champion={predictor.url}"}
        with running(home, "proxy", environment=upstreams | TELLING) as proxy:
            answer(proxy)
            proxied = loaded(proxy)

    assert {"lake", "litestar"} <= alone & proxied
    assert not (alone | proxied) & HEAVY
    assert not proxied & {"numpy", "lignum"}, "no model is run there"
