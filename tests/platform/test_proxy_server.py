"""The proxy as a server of several workers: each with a slot of its own, one page of metrics, and no request lost at the end."""

from prometheus_client.parser import text_string_to_metric_families

from lake.home import Home
from lake.log.slot import slots
from tests.commands import Running, running
from tests.proxied import predictions
from tests.scenario import USE_CASE
from tests.served import Approver, eventually, toy
from tests.steady_clients import SteadyClients


def answered(server: Running) -> dict[str, float]:
    """How many requests each worker has answered, by what answered."""
    return {
        sample.labels["worker"]: sample.value
        for family in text_string_to_metric_families(server.get("/metrics").text)
        for sample in family.samples
        if sample.name == "trainserve_proxy_requests_total" and sample.labels["engine"] == "lignum"
    }


def test_sigterm_under_load_drops_no_request_of_a_proxy_with_two_workers(home: Home) -> None:
    Approver(home).release(toy())
    with running(home, "predictor", USE_CASE) as predictor:
        upstreams = {"PROXY_UPSTREAMS": f"{USE_CASE}/champion={predictor.url}"}
        with running(home, "proxy", "--workers", "2", environment=upstreams) as proxy:
            eventually(lambda: proxy.get("/health/ready").status_code == 200)
            eventually(lambda: len(slots(home.spools)) == 2)
            clients = SteadyClients(proxy.url)
            eventually(lambda: clients.answered > 300, within_s=60)
            counted = answered(proxy)
            status = proxy.stop()
            clients.wait()

    assert (status, clients.lost, set(clients.answers)) == (0, [], {200})
    assert set(clients.request_ids) == {row.request_id for row in predictions(home)}, "what was answered is what was logged"
    assert set(counted) <= {"1", "2"}
    assert 300 <= sum(counted.values()) <= clients.answered
