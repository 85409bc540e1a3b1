"""The files of an evaluation: stored by its asset, named by the document's digest, and given out by a server of nothing else."""

import hashlib
import http.client
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import dagster as dg
import msgspec
import pytest

from lake.documents import DocumentStore
from lake.errors import SettingError
from lake.evaluation import Evaluation
from lake.home import Home
from lake.listener import bind
from tests.exhibits import exhibit
from tests.parcel_training import Platform, failures
from tests.ports import free_port
from tests.reported import reports_on
from trainserve_assets.platform.processes import Processes
from trainserve_assets.platform.topology import Topology
from trainserve_assets.report import write_files
from trainserve_assets.report.dagit import INLINE_LIMIT, reports_address
from trainserve_assets.report.files import CONTENT_TYPES
from trainserve_assets.report.server import ReportServer

ADDRESS = "http://127.0.0.1:3001"


@pytest.fixture
def server(home: Home) -> Iterator[ReportServer]:
    """A server of reports on the home's lake."""
    with reports_on(home) as server:
        yield server


class Got(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of the server."""

    status: int
    headers: dict[str, str]
    body: bytes


def get(server: ReportServer, path: str, method: str = "GET") -> Got:
    """What the server answers to a path, sent as it is written here."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        connection.endheaders()
        response = connection.getresponse()
        return Got(status=response.status, headers={k.lower(): v for k, v in response.getheaders()}, body=response.read())
    finally:
        connection.close()


def stored(home: Home) -> str:
    """The folder of an evaluation whose files are stored."""
    found = exhibit("binary")
    write_files(DocumentStore(home.lake), found)
    return f"late_parcel/evaluations/{found.evaluation.evaluation_id}"


def materialization(platform: Platform) -> dict[str, Any]:
    """The metadata of a new materialization of the evaluation."""
    result = platform.run(["evaluation"])
    assert result.success, failures(result)
    [event] = result.get_asset_materialization_events()
    return dict(event.materialization.metadata)


def test_the_asset_stores_page_card_and_the_very_document_of_each_candidate(platform: Platform) -> None:
    store = platform.lake.store
    for candidate in platform.use_case.candidates:
        evaluation_id = platform.evaluation_id(candidate.name)
        folder = f"late_parcel/evaluations/{evaluation_id}"
        assert store.names(folder) == sorted(CONTENT_TYPES)
        document = store.get(f"{folder}/evaluation.json")
        assert hashlib.sha256(document).hexdigest() == evaluation_id
        assert msgspec.json.decode(document, type=Evaluation).candidate == candidate.name
        page = store.get(f"{folder}/report.html").decode()
        assert evaluation_id in page
        for other in platform.use_case.candidates:
            assert f"<td>{other.name}</td>" in page or f"<strong>{other.name}</strong>" in page
        assert store.get(f"{folder}/model_card.md").decode().startswith("# Parcels that arrive late: ")


def test_evaluating_again_writes_the_same_files(platform: Platform) -> None:
    folder = f"late_parcel/evaluations/{platform.evaluation_id('trees')}"
    before = {name: platform.lake.store.get(f"{folder}/{name}") for name in CONTENT_TYPES}
    materialization(platform)
    assert {name: platform.lake.store.get(f"{folder}/{name}") for name in CONTENT_TYPES} == before


def test_dagits_short_form_is_small_enough_to_be_shown_where_it_stands(platform: Platform) -> None:
    metadata = materialization(platform)
    for candidate in platform.use_case.candidates:
        block, picture = metadata[f"release_{candidate.name}"].value, metadata[f"trend_{candidate.name}"].value
        assert platform.evaluation_id(candidate.name) in block
        assert "](data:image/svg+xml;base64," in picture
        assert max(len(block), len(picture)) < INLINE_LIMIT
        assert metadata[f"model_card_{candidate.name}"].value.startswith("# Parcels that arrive late")
        assert isinstance(metadata[f"log_loss_{candidate.name}"], dg.FloatMetadataValue)
    table = metadata["compared"].value
    assert {(row.data["candidate"], row.data["against"]) for row in table.records} == {
        (name, other)
        for name in ("trees", "boosting", "line")
        for other in ("base rate", "baseline")
        if (name, other) != ("line", "baseline")
    }
    assert metadata["side_by_side"].value.count("](data:image/svg+xml;base64,") == 2


def test_dagit_links_to_the_pages_where_a_server_is_named(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    page = f"late_parcel/evaluations/{platform.evaluation_id('trees')}/report.html"
    alone = materialization(platform)
    assert alone["report_trees"] == dg.MetadataValue.path(f"{platform.home.lake}/{page}")
    monkeypatch.setenv("TRAINSERVE_REPORTS", f"{ADDRESS}/")
    linked = materialization(platform)
    assert linked["report_trees"] == dg.MetadataValue.url(f"{ADDRESS}/{page}")
    assert linked["stored_in"] == dg.MetadataValue.path(f"{platform.home.lake}/late_parcel/evaluations")
    [spec] = [spec for spec in platform.definitions.resolve_all_asset_specs() if spec.key == platform.key("evaluation")]
    assert spec.metadata["reports"] == dg.MetadataValue.url(f"{ADDRESS}/")


@pytest.mark.parametrize("address", ["javascript:alert(1)", "127.0.0.1:3001", "http://"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(SettingError, match="TRAINSERVE_REPORTS"):
        reports_address({"TRAINSERVE_REPORTS": address})


def test_the_server_gives_out_the_three_files_and_says_what_they_are(home: Home, server: ReportServer) -> None:
    folder = stored(home)
    for name, content_type in CONTENT_TYPES.items():
        got = get(server, f"/{folder}/{name}")
        assert got.status == 200
        assert got.body == DocumentStore(home.lake).get(f"{folder}/{name}")
        assert got.headers["content-type"] == content_type
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
        head = get(server, f"/{folder}/{name}", method="HEAD")
        assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(got.body)))


def test_nothing_but_those_files_can_be_reached(home: Home, server: ReportServer) -> None:
    folder = stored(home)
    digest = folder.rpartition("/")[2]
    store = DocumentStore(home.lake)
    store.put("late_parcel/releases/000001.json", b"{}")
    store.put(f"{folder}/notes.txt", b"other")
    (home.root / "secret.txt").write_text("secret")
    for path in (
        "/late_parcel/releases/000001.json",
        f"/{folder}/notes.txt",
        f"/{folder}/",
        f"/{folder}",
        f"/{folder}/../{digest}/report.html",
        f"/{folder}/%2e%2e/{digest}/report.html",
        f"/{folder}/report.html%00",
        f"/{folder}//report.html",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "//etc/passwd",
        "/../evaluations/../secret.txt",
        f"/../evaluations/{digest}/report.html",
        f"/late_parcel/evaluations/{digest.upper()}/report.html",
        f"/late_parcel/evaluations/{'0' * 64}/report.html",
        f"/late_parcel\\..\\/evaluations/{digest}/report.html",
    ):
        got = get(server, path)
        assert got.status == 404, path
        assert b"secret" not in got.body.replace(path.encode(), b"")
        assert got.headers["content-type"] == "text/plain; charset=utf-8"
        assert got.headers["x-content-type-options"] == "nosniff"


def test_the_server_changes_nothing(home: Home, server: ReportServer) -> None:
    folder = stored(home)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert get(server, f"/{folder}/report.html", method=method).status == 501
    assert get(server, f"/{folder}/report.html").status == 200


def test_a_document_that_is_not_what_it_is_named_for_is_not_given_out(home: Home, server: ReportServer) -> None:
    folder = stored(home)
    store = DocumentStore(home.lake)
    store.put(f"{folder}/evaluation.json", store.get(f"{folder}/evaluation.json").replace(b'"looks":4', b'"looks":1'))
    got = get(server, f"/{folder}/evaluation.json")
    assert got.status == 500
    assert b"does not verify" in got.body


def test_the_index_lists_what_was_evaluated_newest_first(platform: Platform, server: ReportServer) -> None:
    got = get(server, "/")
    assert got.status == 200
    assert got.headers["content-type"] == "text/html; charset=utf-8"
    page = got.body.decode()
    for candidate in platform.use_case.candidates:
        link = f"/late_parcel/evaluations/{platform.evaluation_id(candidate.name)}/report.html"
        assert f'href="{link}"' in page
        assert get(server, link).status == 200


def test_an_empty_lake_has_an_index_that_says_so(server: ReportServer) -> None:
    assert b"There is no evaluation in this lake yet" in get(server, "/").body
    assert get(server, "/health/live").status == 200


def topology(home: Home, reports_port: int) -> Topology:
    return Topology(
        home=home, host="127.0.0.1", proxy_port=free_port(), dagit_port=free_port(), reports_port=reports_port, arms=()
    )


def test_the_platform_serves_reports_where_dagster_is_told_to_link(home: Home) -> None:
    folder = stored(home)
    chosen = topology(home, free_port())
    [spec] = [spec for spec in chosen.dagster() if spec.name == "reports"]
    with Processes(home.logs, lambda _line: None) as processes:
        processes.start(spec)
        page = f"{reports_address(chosen.dagster_environment)}/{folder}/report.html"
        with urlopen(page, timeout=30) as response:  # noqa: S310 - an address of ours
            assert response.read() == DocumentStore(home.lake).get(f"{folder}/report.html")


def test_the_port_of_the_reports_is_checked_before_anything_starts(home: Home) -> None:
    with bind("127.0.0.1", 0, "a test") as listener:
        chosen = topology(home, int(listener.getsockname()[1]))
        chosen.check_ports(dagit=False)
        with pytest.raises(SettingError, match="the address of the reports"):
            chosen.check_ports(dagit=True)
