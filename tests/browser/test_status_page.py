"""The operator's page in a browser: nothing stands out of its width, at a desk and on a phone, and nothing else is fetched."""

from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Request

from lake.home import Home
from lake.parameters import publish_parameters
from proxy.app import create_app
from tests.proxied import NOBODY, parameters
from tests.raw_upstream import Chaos, raw_server
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, listening, toy


@pytest.mark.parametrize(("width", "columns"), [(1280, True), (390, False), (320, False)])
def test_it_fits_and_fetches_nothing(browser: Browser, tmp_path: Path, width: int, columns: bool) -> None:  # noqa: FBT001 - a case
    home = Home.at(tmp_path / "home")
    approver = Approver(home)
    champion = Chaos(approver.release(toy(1)))
    approver.release(toy(2), "shadow")
    with ExitStack() as stack:
        url = stack.enter_context(raw_server(champion))
        document = parameters({"champion": url, "shadow": NOBODY}, changed_by="olga", why="a long reason " * 20)
        publish_parameters(approver.store, document, 0)
        proxy = stack.enter_context(listening(create_app(home, {USE_CASE: document})))
        for _ in range(20):
            assert httpx.post(proxy + PREDICT, content=records_body(parcel()), trust_env=False).status_code == 200
        page = browser.new_page(viewport={"width": width, "height": 900})
        fetched: list[Request] = []
        page.on("request", lambda request: fetched.append(request))  # noqa: PLW0108 - Playwright marks what it is given
        page.goto(f"{proxy}/status")

        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
        assert page.locator("thead").first.is_visible() == columns
        assert page.get_by_text("circuit closed").count() == 1
        assert [request.url for request in fetched if not request.url.endswith("/favicon.ico")] == [f"{proxy}/status"]
