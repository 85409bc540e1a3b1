"""A client that tries everything on the proxy meets no 5xx, and nothing that its OpenAPI document does not say."""

import asyncio
from pathlib import Path

import pytest
from litestar import Litestar, get

from lake.home import Home
from proxy.app import create_app as create_proxy
from serving.app import create_app
from tests.api_fuzz import assert_keeps_its_document
from tests.proxied import parameters
from tests.scenario import USE_CASE
from tests.served import Approver, listening, toy


@pytest.mark.parametrize("examples", [pytest.param(10), pytest.param(500, marks=[pytest.mark.slow, pytest.mark.timeout(1_200)])])
def test_whatever_is_sent_the_document_is_kept(home: Home, approver: Approver, tmp_path: Path, examples: int) -> None:
    approver.release(toy())
    with (
        listening(create_app(home, USE_CASE, "champion")) as predictor,
        listening(create_proxy(home, {USE_CASE: parameters({"champion": predictor})})) as url,
    ):
        assert_keeps_its_document(url, tmp_path, examples=examples)


@get("/never")
async def never() -> str:
    """Answers nobody."""
    await asyncio.Event().wait()
    return ""


@pytest.mark.slow
def test_a_request_that_hangs_is_named(tmp_path: Path) -> None:
    with listening(Litestar([never])) as url, pytest.raises(AssertionError, match=r"GET /never(.|\n)*timed out"):
        assert_keeps_its_document(url, tmp_path, examples=1, answered_within_s=0.5)
