"""What people read of an evaluation: a page and a model card for each candidate, an overview of all, and a server of them."""

from trainserve_assets.report.block import release_block
from trainserve_assets.report.exhibit import Exhibit
from trainserve_assets.report.figures import HEADLINES, Row, meets_standard, reason_of
from trainserve_assets.report.files import write_files
from trainserve_assets.report.overview import evaluation_lines, evaluation_page, evaluation_summary

__all__ = [
    "HEADLINES",
    "Exhibit",
    "Row",
    "evaluation_lines",
    "evaluation_page",
    "evaluation_summary",
    "meets_standard",
    "reason_of",
    "release_block",
    "write_files",
]
