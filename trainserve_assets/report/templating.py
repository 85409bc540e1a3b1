"""Jinja's environments: for HTML, where everything but our own SVG is escaped, and for Markdown, where all text is."""

import re
from html import escape
from typing import TYPE_CHECKING

from lake.evaluation import Difference
from trainserve_assets.report.figures import figure_words, metric_words, reason_of, words_of
from trainserve_assets.report.judgement import Decided, Standing, standing

if TYPE_CHECKING:
    from jinja2 import Environment, Template

_TEMPLATES = "trainserve_assets.report"
# What Markdown would read as code, emphasis, a cell's end, a heading, or the middle of a link or picture.
_MARKDOWN_SIGNS = re.compile(r"[\\`*|#]|\](?=[(\[:])")
_LINE_ENDS = re.compile(r"\s*[\r\n]\s*")


def html_template(name: str) -> "Template":
    """A template whose text is escaped for HTML."""
    return _environment().get_template(name)


def markdown_template(name: str) -> "Template":
    """A template in which no value can be more than text: what Markdown or HTML would read as a sign is escaped."""
    environment = _environment()
    environment.finalize = _markdown
    return environment.get_template(name)


def _markdown(value: object) -> object:
    """A value as plain text of Markdown, on one line."""
    from jinja2.filters import do_mark_safe

    if not isinstance(value, str):
        return value
    on_one_line = _LINE_ENDS.sub(" ", escape(value, quote=False))
    return do_mark_safe(_MARKDOWN_SIGNS.sub(r"\\\g<0>", on_one_line))


def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "figure": figure_words,
        "metric": metric_words,
        "reason": _reason,
        "share": _share,
        "standing": _standing,
        "words": words_of,
    }
    return environment


def _reason(one: Decided) -> str:
    return reason_of(one.gate, one.verdict)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _standing(one: Difference) -> Standing:
    return standing(one.metric, one.low, one.high)
