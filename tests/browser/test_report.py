"""A report in a browser: nothing is fetched but the page itself, and it can be read on a narrow screen, in the dark, on paper."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from lake.documents import DocumentStore
from lake.home import Home
from lake.input_schema import Task
from tests.exhibits import TASKS, exhibit
from tests.reported import reports_on
from trainserve_assets.report import write_files


@pytest.fixture
def reports(home: Home) -> Iterator[str]:
    """The address of a server with a report for each task, by its folder."""
    with reports_on(home) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}"


def report_of(home: Home, task: Task) -> str:
    """The path of a stored report."""
    found = exhibit(task)
    write_files(DocumentStore(home.lake), found)
    return f"late_parcel/evaluations/{found.evaluation.evaluation_id}/report.html"


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the screen."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.parametrize("task", TASKS)
def test_a_report_asks_for_nothing_but_itself_and_breaks_no_rule_of_its_own(
    home: Home, reports: str, browser: Browser, task: Task
) -> None:
    asked: list[str] = []
    said: list[str] = []
    page = browser.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    address = f"{reports}/{report_of(home, task)}"
    page.goto(address)
    expect(page.get_by_role("heading", name="To release it")).to_be_visible()
    # A browser asks for an icon of its own accord.
    assert [url for url in asked if not url.endswith("/favicon.ico")] == [address]
    assert [line for line in said if "Content Security Policy" in line] == []
    assert page.get_by_role("img", name="Predicted against observed").is_visible()


@pytest.mark.parametrize("width", [390, 1200])
def test_a_report_fits_a_narrow_and_a_wide_screen(home: Home, reports: str, browser: Browser, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(f"{reports}/{report_of(home, 'binary')}")
    assert overflow(page) == 0
    for picture in page.locator("figure svg").all():
        box = picture.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_letters_of_text_and_charts_stand_out_from_their_ground(
    home: Home, reports: str, browser: Browser, scheme: Literal["light", "dark"]
) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto(f"{reports}/{report_of(home, 'binary')}")
    ground = luminance(page, "section", "background-color")
    assert (ground < 0.2) is (scheme == "dark")
    for what, colour in (
        ("h1", "color"),
        (".missing, .quiet", "color"),
        ("section a, nav a", "color"),
        ("figure svg .mark-text text", "fill"),
    ):
        darker, lighter = sorted((ground, luminance(page, what, colour)))
        assert (lighter + 0.05) / (darker + 0.05) > 4.5, what  # what WCAG 2 asks of text


def luminance(page: Page, selector: str, colour: str) -> float:
    """The relative luminance of a colour of the first such element, as WCAG 2 defines it."""
    read = "(element, name) => getComputedStyle(element).getPropertyValue(name)"
    words = str(page.locator(selector).first.evaluate(read, colour))
    shares = [float(part) / 255 for part in words.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return sum(part * weight for part, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


def test_a_report_prints_whole(home: Home, reports: str, browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page()
    page.goto(f"{reports}/{report_of(home, 'binary')}")
    printed = tmp_path / "report.pdf"
    page.pdf(path=printed, format="A4")
    assert printed.read_bytes().startswith(b"%PDF-")
    page.emulate_media(media="print")
    assert not page.get_by_role("navigation").is_visible()
    assert overflow(page) == 0
