"""The experiment's section of a page: what champion against this package has come to on what they answered.

A page is drawn when a candidate is evaluated, and its experiment goes on after that. So the section stands between two marks,
and is filled in when the file is written and again each time that it is served.
"""

from typing import Any

import polars as pl

from lake.delta import Table
from lake.tables import EXPERIMENT
from trainserve_assets.report.templating import html_template

_BEGIN, _END = "<!-- experiment -->", "<!-- end of experiment -->"
_SHOWN = 3
_KINDS = {"go": "good", "no-go": "bad", "keep running": "open", "invalid": "open"}


def newest_looks(lake: str, use_case: str, package_digest: str) -> list[dict[str, Any]]:
    """The newest look at this package beside each champion, the newest first. Raises Unavailable."""
    table = Table(lake, use_case, EXPERIMENT)
    if not table.exists():
        return []
    looks = table.scan().filter(pl.col("challenger_digest") == package_digest).sort("decided_at_utc", descending=True)
    return looks.unique("champion_digest", keep="first", maintain_order=True).head(_SHOWN).collect().to_dicts()


def looks_section(looks: list[dict[str, Any]]) -> str:
    """The section's content, between its marks."""
    shown = [{**look, "kind": _KINDS.get(look["verdict"], "open")} for look in looks]
    return f"{_BEGIN}\n{html_template('looks.html.j2').render(looks=shown)}\n{_END}"


def with_looks(page: str, lake: str, use_case: str, package_digest: str) -> str:
    """The page with what is known now; one that was drawn without the section stays as it is."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    looks = newest_looks(lake, use_case, package_digest) if begin and end else []
    return f"{before}{looks_section(looks)}{after}" if looks else page
