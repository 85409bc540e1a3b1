"""A new challenger: until its predictor has loaded the champion answers for its keys, and for no others; then it does itself."""

import shutil
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from lake.home import Home
from proxy.plan import Plan
from serving.app import create_app
from tests.ports import free_port
from tests.proxied import parameters, predictions, proxied
from tests.proxy.test_operation import metrics
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, Client, eventually, listening, toy

KEYS = [f"P-{number}" for number in range(60)]


def arms(client: Client) -> dict[str, str]:
    """Who answers each key."""
    told = {}
    for key in KEYS:
        answer = client.post(PREDICT, content=records_body(parcel(parcel_id=key)))
        assert answer.status_code == 200, answer.text
        told[key] = answer.json()["provenance"]["arm"]
    return told


def releases(home: Home) -> Path:
    return Path(home.lake, USE_CASE, "releases")


@pytest.mark.parametrize("is_up", [False, True], ids=["nobody listens yet", "its model is not loaded yet"])
def test_until_it_has_loaded_the_champion_answers_for_its_keys_alone_and_each_is_counted(
    home: Home, approver: Approver, *, is_up: bool
) -> None:
    approver.release(toy(1))
    package = approver.seal(toy(2))
    behind = Home.at(home.root.parent / "behind")  # where the predictor reads of the release later than the proxy
    shutil.copytree(home.root, behind.root)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:

        def start() -> None:
            stack.enter_context(listening(create_app(behind, USE_CASE, "challenger"), port))

        champion = stack.enter_context(listening(create_app(home, USE_CASE, "champion")))
        document = parameters({"champion": champion, "challenger": url}, challenger_share=0.5, timeout_s=20.0)
        plan = Plan(document)
        its_own = {key: "challenger" for key in KEYS if plan.holder(key) is not None}
        whole = dict.fromkeys(KEYS, "champion") | its_own
        assert len(KEYS) / 4 < len(its_own) < len(KEYS) * 3 / 4
        if is_up:
            start()
            assert httpx.get(f"{url}/health/ready", trust_env=False).status_code == 503
        client = stack.enter_context(proxied(home, document))
        approver.decide("approve", package, "challenger")
        eventually(lambda: "challenger" in client.get("/health/ready").json()["arms"][USE_CASE])

        assert arms(client) == dict.fromkeys(KEYS, "champion")
        counted = metrics(client)["trainserve_proxy_fallbacks_total", "challenger", USE_CASE]
        page = client.get("/status").text
        assert counted == len(its_own)
        assert f"{len(its_own)} answered by another" in page
        logged = Counter((row.arm, row.rule) for row in predictions(home))
        assert logged == {("champion", "champion"): len(KEYS) - len(its_own), ("champion", "fallback"): len(its_own)}

        if is_up:
            shutil.copytree(releases(home), releases(behind), dirs_exist_ok=True)
        else:
            shutil.copytree(home.lake, behind.lake, dirs_exist_ok=True)
            start()
        eventually(lambda: arms(client) == whole, within_s=60)
        before = metrics(client)["trainserve_proxy_fallbacks_total", "challenger", USE_CASE]
        assert arms(client) == whole
        assert metrics(client)["trainserve_proxy_fallbacks_total", "challenger", USE_CASE] == before, "and none any more"
    last = predictions(home)[-len(KEYS) :]
    assert Counter((row.arm, row.rule) for row in last) == {
        ("champion", "champion"): len(KEYS) - len(its_own),
        ("challenger", "share"): len(its_own),
    }
