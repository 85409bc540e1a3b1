"""What a person does in the Launchpad of the release asset."""

from playwright.sync_api import Locator, Page, expect

RELEASE = "/assets/late_parcel/release"


def open_launchpad(page: Page) -> Locator:
    """The Launchpad as Materialize opens it."""
    page.goto(RELEASE)
    page.get_by_role("button", name="Materialize").first.click()
    return page.get_by_role("dialog")


def launch(page: Page, config: str) -> None:
    """Paste a run config over what the Launchpad shows, and materialize."""
    launchpad = open_launchpad(page)
    launchpad.locator(".CodeMirror").click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text(config)
    materialize = launchpad.get_by_role("button", name="Materialize")
    expect(materialize).to_be_enabled()
    materialize.click()
