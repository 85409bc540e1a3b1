"""The page and the card of a candidate: whole for each task, with and without evidence, and harmless whatever is named in it."""

import re
from html.parser import HTMLParser

import msgspec
import pytest

from lake.evaluation import Card, Difference, Finding
from lake.input_schema import Task
from tests.approvers import ADA, BOB, policy
from tests.exhibits import FIRST_METRIC, TASKS, exhibit
from trainserve_assets.report import Exhibit
from trainserve_assets.report.card import model_card
from trainserve_assets.report.page import report_page

HOSTILE = "<script>alert(1)</script>"
HOSTILE_MARKDOWN = "[click](javascript:alert(1)) ![](http://elsewhere/x.png) | `code` **loud**"
ALWAYS = ("card", "headline", "comparison", "experiment", "time", "calibration", "ranking")
THEN = ("slices", "leakage", "importances", "behaviour")
AT_THE_END = ("skew", "looks", "reproduce", "standard", "release")
FETCHING = {"src", "href", "srcset", "data", "action", "poster", "background", "xlink:href"}


class Elements(HTMLParser):
    """The elements of a page: their names, the ids of its sections, what attributes would fetch, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.sections: list[str] = []
        self.fetched: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        for name, value in attrs:
            if tag == "section" and name == "id":
                self.sections.append(str(value))
            if name in FETCHING:
                self.fetched.append(str(value))
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_data(self, data: str) -> None:
        self.text += data


def changed(found: Exhibit, **changes: object) -> Exhibit:
    """The exhibit with another evaluation."""
    return msgspec.structs.replace(found, evaluation=msgspec.structs.replace(found.evaluation, **changes))


@pytest.mark.parametrize("full", [True, False], ids=["with all evidence", "with figures alone"])
@pytest.mark.parametrize("task", TASKS)
def test_every_section_is_there_for_every_task_and_draws_or_says_what_is_missing(task: Task, full: bool) -> None:  # noqa: FBT001 - a parameter
    page = report_page(exhibit(task, full=full))
    elements = Elements(page)
    threshold = ("threshold",) if task == "binary" else ()
    assert elements.sections == [*ALWAYS, *threshold, *THEN, *AT_THE_END]
    for section in re.split(r"<section ", page)[1:]:
        content = Elements(f"<section {section}")
        assert content.names & {"svg", "table", "pre", "p"}, section[:200]
    assert ("No claim about leakage was tried" in elements.text) is not full
    assert ("There is no champion" in elements.text) is not full
    assert ("The document holds no importances" in elements.text) is not full


@pytest.mark.parametrize("task", TASKS)
def test_a_page_loads_nothing_and_runs_nothing(task: Task) -> None:
    page = report_page(exhibit(task))
    elements = Elements(page)
    assert [target for target in elements.fetched if not target.startswith("#")] == []
    assert elements.handlers == []
    assert not elements.names & {"script", "iframe", "object", "embed", "link", "img", "form", "image", "use"}
    assert re.findall(r"url\((?!#)|@import", page) == []
    assert "default-src 'none'" in page


def test_names_are_text_wherever_they_stand() -> None:
    card = Card(title=HOSTILE, intended_use=HOSTILE, known_limits=(HOSTILE,), owner=HOSTILE)
    found = exhibit("binary", card=card, depots=(HOSTILE, "north"))
    finding = Finding(topic="leakage", claim=HOSTILE, passed=False, found=HOSTILE, n=1)
    found = changed(found, trainer=HOSTILE, model_version=HOSTILE, findings=(finding,))
    samples = {HOSTILE if name == "trees" else name: sample for name, sample in found.samples.items()}
    elements = Elements(report_page(msgspec.structs.replace(found, samples=samples)))
    assert "script" not in elements.names
    # Title, header, card, slice table, slice chart, legends, finding: each shows the name as it is.
    assert elements.text.count(HOSTILE) > 10


def test_a_card_shows_names_as_text() -> None:
    card = Card(title=HOSTILE, intended_use=HOSTILE_MARKDOWN, known_limits=(f"one\n\n# two {HOSTILE}",))
    text = model_card(exhibit("binary", card=card, depots=(HOSTILE_MARKDOWN, "north")))
    assert "<script" not in text
    assert re.findall(r"(?<!\\)\]\(", text) == []
    assert "\n- one \\# two &lt;script&gt;" in text
    [row] = [line for line in text.splitlines() if "depot=[click" in line and line.startswith("|")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 4


@pytest.mark.parametrize("task", TASKS)
def test_a_card_has_the_headings_of_model_cards_and_the_figures_of_the_document(task: Task) -> None:
    found = exhibit(task)
    text = model_card(found)
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert headings == [
        "Model details",
        "Intended use",
        "Known limits",
        "Metrics",
        "Slices",
        "Release standard",
        "Training data",
        "Reproduce",
        "Contact",
    ]
    whole = found.evaluation.find(FIRST_METRIC[task])
    assert whole is not None
    assert f"{whole.value:.4f} [{whole.low:.4f}, {whole.high:.4f}]" in text
    assert f"    trainserve reproduce {found.evaluation.package_digest}" in text


def against(evaluation_differences: tuple[Difference, ...], low: float, high: float) -> tuple[Difference, ...]:
    """The differences, each with this interval."""
    return tuple(msgspec.structs.replace(one, value=(low + high) / 2, low=low, high=high) for one in evaluation_differences)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-0.2, -0.1, "it is better than the baseline and the champion"),
        (0.1, 0.2, "it is worse than the baseline and the champion"),
        (-0.1, 0.1, "it is not proven better or worse than the baseline and the champion"),
        (-0.1, 0.0, "it is not proven better or worse than the baseline and the champion"),
    ],
)
def test_what_the_interval_does_not_show_is_not_proven(low: float, high: float, words: str) -> None:
    found = exhibit("binary")
    said = changed(found, differences=against(found.evaluation.differences, low, high))
    assert words in Elements(report_page(said)).text
    assert words in model_card(said)


def test_more_is_better_for_some_metrics_and_worse_for_others() -> None:
    found = exhibit("binary")
    page = report_page(changed(found, differences=against(found.evaluation.differences, 0.1, 0.2)))
    rows = {row.group(1): row.group(2) for row in re.finditer(r"<tr><td>([^<]+)</td><td>baseline.*?badge \w+\">([^<]+)<", page)}
    assert rows == {"log loss": "worse", "AUC": "better", "calibration error": "worse"}


def test_a_lead_that_many_looks_undo_is_said_to_be_undone() -> None:
    found = exhibit("binary")
    one_look = against(found.evaluation.differences, -0.2, -0.1)
    undone = tuple(msgspec.structs.replace(one, family_low=-0.3, family_high=0.01) for one in one_look)
    assert "better for one look, not proven for all of them" in Elements(report_page(changed(found, differences=undone))).text
    kept = tuple(msgspec.structs.replace(one, family_low=-0.3, family_high=-0.01) for one in one_look)
    assert "still better" in Elements(report_page(changed(found, differences=kept))).text


def test_a_failing_blocking_gate_is_in_the_first_sentence() -> None:
    found = exhibit("binary")
    strict = tuple(msgspec.structs.replace(gate, blocking=True) for gate in found.use_case.release_standard)
    use_case = msgspec.structs.replace(found.use_case, release_standard=strict)
    page = report_page(msgspec.structs.replace(found, use_case=use_case))
    verdict = page[page.index('<div class="verdict') :][:400]
    assert "It may not be released unless each is waived by name: next_to_perfect. 1 of 2 gates pass." in verdict
    assert '<div class="verdict bad">' in verdict


def test_the_worst_slice_and_what_regressed_are_named() -> None:
    text = Elements(report_page(exhibit("binary", depots=("north", "south")))).text
    assert re.search(r"Worst by log loss: depot=(north|south), 0\.\d{4} \[", text)
    assert "Worse than the champion, proven by the interval:" in text


@pytest.mark.parametrize("revision", ["unknown", f"{'0' * 40}-dirty"])
def test_code_that_no_commit_holds_is_said_to_be_untraceable(revision: str) -> None:
    found = exhibit("binary")
    dirty = msgspec.structs.replace(found, manifest=msgspec.structs.replace(found.manifest, source_revision=revision))
    assert "cannot be traced to a commit" in report_page(dirty)
    assert "cannot be traced to a commit" in model_card(dirty)
    assert "cannot be traced to a commit" not in report_page(found)


def test_above_the_block_to_paste_stands_whose_word_a_release_is_and_how_long_it_lasts() -> None:
    page = report_page(exhibit("binary"))
    assert page.index("claimed in the run&#39;s config, not proven") < page.index("late_parcel__release:")
    assert "expires after 365 days" in page
    assert "signatures:" not in page


def test_where_signatures_are_asked_for_the_block_has_the_command_that_makes_them() -> None:
    signing = policy(ADA, BOB, roles={"champion": 2, "shadow": 1})
    found = msgspec.structs.replace(exhibit("binary"), policy=signing)
    page = report_page(found)
    assert "A release needs signatures of approvers: 2 for a champion, 1 for a shadow." in page
    assert f"trainserve sign {found.evaluation.evaluation_id[:12]} --key KEY_FILE" in page
    assert "claimed in the run" not in page


def test_the_cheapest_threshold_is_the_one_that_costs_least() -> None:
    found = exhibit("binary")
    sample, cost = found.sample, found.use_case.cost
    assert cost is not None
    spent = {}
    for step in range(101):
        flagged = sample.scores[:, 0] >= step / 100
        wrong = (flagged & (sample.labels == 0)).sum() * cost.false_positive
        spent[step] = wrong + (~flagged & (sample.labels == 1)).sum() * cost.false_negative
    cheapest = min(spent, key=lambda step: spent[step])
    text = Elements(report_page(found)).text
    assert f"The cheapest threshold on this holdout is {cheapest / 100:.2f}:" in text
    assert f"1,000 rows cost {spent[cheapest] / sample.labels.size * 1000:,.1f} there" in text
