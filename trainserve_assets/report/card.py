"""The model card of one candidate, in Markdown: the page's facts in short, under the headings that model cards have."""

from trainserve_assets.report.content import content
from trainserve_assets.report.exhibit import Exhibit
from trainserve_assets.report.templating import markdown_template


def model_card(exhibit: Exhibit) -> str:
    """The card as Markdown."""
    return markdown_template("model_card.md.j2").render(**content(exhibit))
