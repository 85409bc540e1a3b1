"""The operator's page: what is live, how it is doing, what was changed; it fetches nothing and tells strangers no names."""

import re
from contextlib import ExitStack
from html.parser import HTMLParser

import pytest

from lake.credentials import add_credential
from lake.home import Home
from lake.parameters import Arm, Parameters, publish_parameters
from tests.proxied import NOBODY, parameters, proxied
from tests.proxy.conftest import Loop
from tests.raw_upstream import Chaos, raw_server
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, Client, eventually, toy

EVIL = "<script>alert(1)</script> & 'more'"


class Words(HTMLParser):
    """The text of a page, its tags, and the addresses that it names."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: set[str] = set()
        self.addresses: list[str | None] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action", "srcset")]

    def handle_data(self, data: str) -> None:
        self.text += " " + " ".join(data.split())


def words(client: Client, **headers: str) -> Words:
    """The page as it stands now."""
    page = client.get("/status", headers=headers)
    assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (200, "text/html")
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    return Words(page.text)


@pytest.fixture
def changed(approver: Approver) -> Parameters:
    """Parameters that were changed seven times, the last time by somebody with strange words."""
    document = parameters({"champion": NOBODY})
    for version in range(7):
        by, why = (f"olga-{version}", f"reason {version}") if version < 6 else (EVIL, EVIL)
        stored = parameters({"champion": NOBODY}, changed_by=by, why=why, changed_at_utc=f"2026-01-0{version + 1}T00:00:00Z")
        publish_parameters(approver.store, stored, version)
    return document


def test_it_tells_what_is_live_and_how_it_is_doing(loop: Loop) -> None:
    for number in range(40):
        assert loop.client.post(PREDICT, content=records_body(parcel(parcel_id=f"P-{number}"))).status_code == 200
    page = words(loop.client)

    assert "trainserve proxy: ready" in page.text
    assert f"{USE_CASE}: answers" in page.text
    for digest in loop.client.get("/health/ready").json()["arms"][USE_CASE].values():
        assert digest["package_digest"][:12] in page.text
    assert page.text.count("50.0%") == 2
    assert page.text.count("circuit closed") == 2
    assert len(re.findall(r"[\d.]+ ms", page.text)) == 2 + 2 * 2
    assert "on disk" in page.text
    assert page.addresses == []
    assert not page.tags & {"script", "link", "img", "iframe", "form"}


def test_what_fails_is_plain_to_see(home: Home, approver: Approver) -> None:
    live = approver.release(toy(1))
    approver.release(toy(2), "shadow")
    with ExitStack() as stack:
        broken = stack.enter_context(raw_server(Chaos(live, "500")))
        document = parameters({"champion": broken, "shadow": NOBODY}, shadow=Arm(upstreams=(NOBODY,), active=False))
        client = stack.enter_context(proxied(home, document))
        for _ in range(5):
            client.post(PREDICT, content=records_body(parcel()))
        page = words(client)

    assert "circuit open" in page.text
    assert page.text.count("100.00%") == 2, "of the arm, and to the clients"
    assert "not asked" in page.text
    assert broken in page.text


def test_a_pulled_kill_switch_and_a_missing_release_are_told(home: Home, approver: Approver) -> None:
    with proxied(home, parameters({"champion": NOBODY}, active=False)) as client:
        page = words(client)

    assert approver
    assert "trainserve proxy: not ready" in page.text
    assert "switched off by its operator" in page.text
    assert "kill switch pulled" in page.text
    assert "No release may answer" in page.text


def test_it_shows_the_last_changes_and_escapes_what_people_wrote(home: Home, changed: Parameters) -> None:
    with proxied(home, changed) as client:
        page = words(client)

    assert re.findall(r"reason \d", page.text) == ["reason 5", "reason 4", "reason 3", "reason 2"]
    assert EVIL in page.text
    assert "script" not in page.tags


def test_who_changed_it_and_why_is_told_to_operators_alone(home: Home, changed: Parameters) -> None:
    key, other = (add_credential(home.credentials, role, (role,)) for role in ("operator", "client"))
    with proxied(home, changed) as client:
        told = {who: words(client, authorization=f"Bearer {who}").text for who in (key, other, "nobody's")}

    assert "olga-5" in told[key]
    for who in (other, "nobody's"):
        assert "olga" not in told[who]
        assert "reason" not in told[who]
        assert "2026-01-07T00:00:00Z" in told[who]


def test_it_stands_while_the_lake_is_away(home: Home, changed: Parameters) -> None:
    with proxied(home, changed) as client:
        root = home.root / "lake"
        root.rename(root.with_name("elsewhere"))
        eventually(lambda: "away" in words(client).text)
        assert EVIL in words(client).text, "the newest is known"
        root.with_name("elsewhere").rename(root)
