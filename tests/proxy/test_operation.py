"""What the proxy tells those who run it and those who write clients for it."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from lake.home import Home
from tests.api_pages import ApiDocument, assert_page_is_offline
from tests.proxied import NOBODY, parameters, proxied
from tests.proxy.conftest import Loop
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import INFER, PREDICT, Approver, Client, toy, varied

LABELS = f"/models/{USE_CASE}/labels"


def metrics(client: Client | httpx.Client) -> dict[tuple[str, ...], float]:
    """Every sample of `/metrics`, by its name and the values of its labels in the order of their names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }


def test_requests_labels_and_the_log_are_counted(loop: Loop) -> None:
    before = metrics(loop.client)
    for row in varied(10):
        loop.client.post(PREDICT, content=records_body(row, row))
    loop.client.post(PREDICT, content=b"{")
    loop.client.post(LABELS, content=b'{"labels": [{"request_id": "r", "label": 1}]}')
    after = metrics(loop.client)

    def grown(*key: str) -> float:
        return after[key] - before.get(key, 0.0)

    by_arm = [
        grown("trainserve_proxy_requests_total", arm, "lignum", f"{USE_CASE} {seq}.0.0", "answered", USE_CASE)
        for seq, arm in enumerate(("champion", "challenger"), 1)
    ]
    assert (sum(by_arm), min(by_arm) > 0) == (10, True)
    assert grown("trainserve_proxy_requests_total", "none", "none", "none", "refused", USE_CASE) == 1
    assert grown("trainserve_proxy_labels_total", USE_CASE) == 1
    assert grown("trainserve_log_records_committed") == 22
    assert 0 < grown("trainserve_log_commits") <= 12
    assert after["trainserve_log_backlog_bytes",] > before["trainserve_log_backlog_bytes",]
    assert after["trainserve_log_failing",] == 0
    assert after["trainserve_log_torn_bytes",] == 0
    assert after["trainserve_log_durability", "disk"] == 1
    assert after["trainserve_proxy_share", "challenger", USE_CASE] == 0.5


def test_readiness_names_each_release_and_its_share(loop: Loop) -> None:
    ready = loop.client.get("/health/ready")

    assert ready.status_code == 200
    assert (ready.json()["ready"], ready.json()["log_failing"], ready.json()["alarms"]) == (True, None, {})
    assert ready.json()["log_durability"] == "disk"
    arms = ready.json()["arms"][USE_CASE]
    assert {name: (arm["role"], arm["share"], arm["release_seq"]) for name, arm in arms.items()} == {
        "champion": ("champion", 0.5, 1),
        "challenger": ("challenger", 0.5, 2),
    }


def test_before_a_release_it_lives_but_is_not_ready(home: Home) -> None:
    with proxied(home, parameters({"champion": NOBODY})) as client:
        assert client.get("/health/live").status_code == 200
        assert (client.get("/health/ready").status_code, client.get("/health/ready").json()["ready"]) == (503, False)


def test_the_models_pages_are_the_champions(loop: Loop) -> None:
    model = loop.client.get(f"/models/{USE_CASE}").json()
    protocol = loop.client.get(f"/v2/models/{USE_CASE}").json()

    assert (model["arm"], model["role"], model["approver"]) == ("champion", "champion", "ada")
    assert loop.client.post(PREDICT, json=model["example"]).status_code == 200
    assert (protocol["platform"], len(protocol["inputs"])) == ("lignum", 8)
    assert loop.client.get(f"/v2/models/{USE_CASE}/ready").status_code == 200
    assert loop.client.get("/v2").json()["name"] == "trainserve-proxy"


def test_the_pages_of_a_champion_that_is_down_or_missing_are_problems(home: Home, approver: Approver) -> None:
    with proxied(home, parameters({"champion": NOBODY})) as client:
        assert client.get("/models/other").status_code == 404
        assert client.get(f"/models/{USE_CASE}").status_code == 503
        approver.release(toy())
    with proxied(home, parameters({"champion": NOBODY})) as client:
        answer = client.get(f"/models/{USE_CASE}")

    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")


def test_its_api_document_is_whole_and_its_examples_are_answered(loop: Loop) -> None:
    document = ApiDocument(loop.client)
    document.assert_whole()
    examples = list(document.examples())

    assert {path for path, _ in examples} >= {PREDICT, INFER}
    for path, body in examples:
        answer = loop.client.post(path, json=body)
        assert answer.status_code in (200, 202), answer.text
        document.assert_declared("post", path.replace(USE_CASE, "{name}"), answer)


def test_its_answers_are_as_its_document_declares_them(loop: Loop) -> None:
    document = ApiDocument(loop.client)

    for path in ("/models/{name}", "/v2/models/{name}", "/v2", "/health/live", "/health/ready"):
        document.assert_declared("get", path, loop.client.get(path.replace("{name}", USE_CASE)))
    document.assert_declared("post", "/models/{name}/predict", loop.client.post(PREDICT, content=records_body(parcel(stops=-1))))
    document.assert_declared("post", "/models/{name}/labels", loop.client.post(LABELS, content=b"{}"))


def test_its_page_needs_no_other_host(loop: Loop) -> None:
    assert_page_is_offline(loop.client)
