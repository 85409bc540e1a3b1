"""Erasing one entity: nothing of it is left, all other rows stay proven, and what can no longer be reproduced is named."""

import io
from pathlib import Path

import msgspec
import polars as pl
import pytest

from lake.commands.prove import prove
from lake.commands.verify import verify
from lake.delta import Table
from lake.errors import NotFound
from lake.evaluation import evaluations
from lake.log.audit import Audit, Counts, Scope
from lake.log.backlog import set_aside_folder
from lake.log.shipper import Shipper
from lake.log.slot import slots
from lake.tables import DATASET, ERASURES, FEEDBACK, LABELS, PREDICTIONS
from tests.erasable import ENTITY, ERASED, LOGGED, LOGGED_ABOUT_IT, OTHER, Parcels, all_there_is, log, traces
from tests.erase_command import CONFIRMED, Erase, Install, erase, installed
from tests.parcel_training import Platform, failures
from tests.scenario import USE_CASE
from trainserve_assets.digests import content_digest
from trainserve_assets.reproduce_command import reproduce
from trainserve_assets.training import read_note
from trainserve_assets.use_case import Retention

__all__ = ["erase", "installed"]

CANDIDATES = ("trees", "boosting", "line")


@pytest.fixture
def parcels(platform: Platform) -> Parcels:
    return Parcels(platform.home)


@pytest.fixture
def filled(platform: Platform, parcels: Parcels, installed: Install) -> Platform:
    """The trained platform with a log about the parcel and others, and feedback and a dataset that took it up."""
    installed(platform.use_case)
    log(platform.home, all_there_is(parcels))
    Shipper(platform.home).ship()
    result = platform.run(["feedback", "dataset"])
    assert result.success, failures(result)
    return platform


def counts(platform: Platform) -> Counts:
    """What an audit of the log has seen, which finds nothing."""
    audit = Audit(platform.home, Scope())
    assert list(audit.findings()) == []
    return audit.counts


def table(platform: Platform, name: str) -> Table:
    return Table(platform.home.lake, USE_CASE, name)


def heights(platform: Platform, *names: str) -> list[int]:
    """How many rows the newest versions of these tables have."""
    return [table(platform, name).scan().collect().height for name in names]


def files(platform: Platform) -> dict[Path, bytes]:
    """All that the home and its lake hold."""
    return {path: path.read_bytes() for path in platform.home.root.rglob("*") if path.is_file()}


def test_nothing_of_an_erased_entity_is_left_and_all_other_rows_are_proven(
    filled: Platform, parcels: Parcels, erase: Erase, capsys: pytest.CaptureFixture[str]
) -> None:
    before = heights(filled, FEEDBACK, DATASET)
    words = (f'{ERASED}"', f"'{ERASED}'", parcels.key_hash(ERASED))
    assert traces(filled.home, *words)
    assert counts(filled).rows == LOGGED

    said = erase(*CONFIRMED)

    assert said.status == 0, said
    assert traces(filled.home, *words) == []
    assert traces(filled.home, parcels.key_hash(OTHER))
    seen = counts(filled)
    assert (seen.rows, seen.erased) == (LOGGED - LOGGED_ABOUT_IT, LOGGED_ABOUT_IT)
    assert heights(filled, FEEDBACK, DATASET) == [before[0] - 1, before[1] - 2]
    assert heights(filled, PREDICTIONS, LABELS, ERASURES) == [4, 2, 9]
    assert "predictions  5 rows erased" in said.out
    assert "dataset      2 rows erased" in said.out
    assert "1 predictions about others were routed by its key" not in said.out
    assert verify(log=True) == 0
    assert "9 records have no row: they were erased on purpose" in capsys.readouterr().out


def test_each_erased_record_leaves_an_audit_row_that_says_who_asked_and_why(filled: Platform, erase: Erase) -> None:
    assert erase(*CONFIRMED).status == 0

    rows = table(filled, ERASURES).scan().collect()
    assert set(rows.select("asked_by", "why").rows()) == {("ada", "ticket 17")}
    assert sorted(rows.select("table", "found_by").rows()) == [
        (LABELS, "entity"),
        (LABELS, "request"),
        (LABELS, "request"),
        (LABELS, "request"),
        (PREDICTIONS, "entity"),
        (PREDICTIONS, "entity"),
        (PREDICTIONS, "entity"),
        (PREDICTIONS, "features"),
        (PREDICTIONS, "raw"),
    ]


def test_without_a_yes_it_is_shown_what_would_go_and_nothing_is_written(filled: Platform, erase: Erase) -> None:
    before = files(filled)

    said = erase()

    assert said.status == 0
    assert files(filled) == before
    counted = "5 rows (3 by its key, 1 by their features, 1 refused requests whose body mentions it)"
    assert f"predictions  {counted}" in said.out
    assert "labels       4 rows (1 by its key, 3 for its predictions)" in said.out
    assert "feedback     1 rows" in said.out
    assert "dataset      2 rows, and rows in 2 of its versions" in said.out
    assert read_note(filled.lake.store, USE_CASE, "trees").package_digest in said.out
    assert "Nothing was erased. To erase it: the same again with --yes --by NAME --why REASON" in said.out


def test_what_was_made_of_an_erased_version_is_named_and_cannot_be_reproduced_even_where_it_was_released(
    filled: Platform, erase: Erase
) -> None:
    assert filled.release().success
    packages = [read_note(filled.lake.store, USE_CASE, candidate).package_digest for candidate in CANDIDATES]
    judged = evaluations(filled.home.lake, USE_CASE)["evaluation_id"].to_list()

    said = erase(*CONFIRMED)

    assert said.status == 0
    assert "dataset version 0 can no longer be read" in said.out
    assert all(f"  package {digest}\n" in said.out for digest in packages)
    assert all(f"  evaluation {evaluation}\n" in said.out for evaluation in judged)
    assert "has values of it" not in said.out
    with pytest.raises(NotFound, match=r"dataset/0'\. It held an entity that was erased"):
        reproduce(packages[0])
    result = filled.run(["maintenance"], {"ops": {f"{USE_CASE}__maintenance": {"config": {"thorough": True}}}})
    assert result.success, failures(result)
    assert verify(USE_CASE) == 0


def test_a_package_whose_sealed_samples_have_a_row_of_it_is_named_apart(filled: Platform, erase: Erase) -> None:
    """The first training row is always sealed."""
    digest = read_note(filled.lake.store, USE_CASE, "line").package_digest

    said = erase(*CONFIRMED, entity='{"parcel_id": "2013-04-01-0"}')

    assert said.status == 0
    assert f"package {digest} has values of it in its sealed samples or categories" in said.out


def test_versions_that_never_held_it_stay_and_what_was_trained_on_them_is_reproduced(filled: Platform, erase: Erase) -> None:
    without = table(filled, DATASET).scan().filter(pl.col("parcel_id") != ERASED).collect()[1:]
    clean = table(filled, DATASET).replace(without, content_digest(without))
    result = filled.run(["candidate_line"])
    assert result.success, failures(result)
    table(filled, DATASET).replace(without[1:], content_digest(without[1:]))
    newest = read_note(filled.lake.store, USE_CASE, "line").package_digest

    said = erase(*CONFIRMED)

    assert said.status == 0
    assert newest not in said.out
    assert table(filled, DATASET).scan(clean).collect().height == without.height
    assert reproduce(newest) == 0


def test_erasing_again_finds_nothing_and_does_no_harm(filled: Platform, erase: Erase) -> None:
    assert erase(*CONFIRMED).status == 0
    before = heights(filled, PREDICTIONS, LABELS, ERASURES, FEEDBACK, DATASET)

    said = erase(*CONFIRMED)

    assert (said.status, heights(filled, PREDICTIONS, LABELS, ERASURES, FEEDBACK, DATASET)) == (0, before)
    assert counts(filled).erased == LOGGED_ABOUT_IT
    assert "predictions  0 rows erased" in said.out
    assert "Nothing is known of this entity" in erase().out


def test_a_label_that_comes_after_the_rows_it_names_goes_too(filled: Platform, erase: Erase) -> None:
    assert erase(*CONFIRMED).status == 0
    [late] = [one for one in all_there_is(Parcels(filled.home))[2] if one.request_id.endswith("1")]  # type: ignore[union-attr]
    log(filled.home, [[late]])

    assert erase(*CONFIRMED).status == 0
    assert heights(filled, LABELS, ERASURES) == [2, 10]
    assert counts(filled).erased == LOGGED_ABOUT_IT + 1


def test_rows_of_others_that_were_routed_by_its_key_stay_proven_and_are_counted(
    filled: Platform, parcels: Parcels, erase: Erase
) -> None:
    log(filled.home, [[parcels.asked(20, ERASED), parcels.asked(20, OTHER, row=1, routing_key_hash=parcels.key_hash(ERASED))]])

    said = erase(*CONFIRMED)

    assert said.status == 0
    assert "1 predictions about others were routed by its key, and keep its keyed hash: their proofs cover it" in said.out
    assert counts(filled).rows == LOGGED - LOGGED_ABOUT_IT + 1


def test_bytes_that_nobody_could_read_and_that_mention_it_are_removed(filled: Platform, parcels: Parcels, erase: Erase) -> None:
    aside = set_aside_folder(filled.home)
    aside.mkdir()
    [slot] = slots(filled.home.spools)
    mine, torn = aside / "slot-000-1.segment", slot / f"{1:020}.torn"
    mine.write_bytes(b"\xc1 torn " + parcels.key_hash(ERASED).encode())
    torn.write_bytes(b'{"parcel_id":"' + ERASED.encode())
    others = aside / "slot-000-2.segment"
    others.write_bytes(b"\xc1 torn " + parcels.key_hash(OTHER).encode())
    assert f"unreadable   {mine} mentions it" in erase().out

    said = erase(*CONFIRMED)

    assert said.status == 0
    assert [path.exists() for path in (mine, torn, others)] == [False, False, True]
    assert f"unreadable   {torn} removed" in said.out


def test_a_legal_hold_refuses_and_is_named_and_nothing_is_written(filled: Platform, erase: Erase, installed: Install) -> None:
    for hold, named in (("labels",), "labels"), (True, "predictions, labels, feedback, dataset"):
        installed(msgspec.structs.replace(filled.use_case, retention=Retention(legal_hold=hold)))
        before = files(filled)

        said = erase(*CONFIRMED)

        assert said.status == 1
        assert f"expected none on {named}: what is on hold loses neither rows nor files" in said.err
        assert files(filled) == before


@pytest.mark.parametrize(
    ("entity", "words"),
    [
        ("P-1", "entity: found 'P-1' (JSON is malformed"),
        ('["P-1"]', "expected a JSON object with parcel_id"),
        ('{"parcel": "P-1"}', "entity: found ['parcel'], expected ['parcel_id']"),
        ('{"parcel_id": 1}', "entity.parcel_id: found 1, expected text of at most 256 characters"),
        ('{"parcel_id": 1, "depot": "north"}', "['parcel_id']; entity.parcel_id: found 1, expected text"),
    ],
)
def test_an_entity_that_cannot_be_is_refused_with_every_problem_named(
    platform: Platform, installed: Install, erase: Erase, entity: str, words: str
) -> None:
    installed(platform.use_case)
    said = erase(*CONFIRMED, entity=entity)

    assert said.status == 1
    assert words in said.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--yes", "--why", "ticket 17"), "--by is '', expected who asks for the erasure"),
        (("--yes", "--by", "ada"), "--why is '', expected why it is asked for, to be kept"),
        (("--yes", "--by", "ada", "--why", f"so asked {ERASED}."), "expected words that do not name the entity: they are kept"),
    ],
)
def test_who_asks_and_why_is_said_without_naming_the_entity(
    platform: Platform, installed: Install, erase: Erase, arguments: tuple[str, ...], words: str
) -> None:
    installed(platform.use_case)
    before = files(platform)
    said = erase(*arguments)

    assert said.status == 1
    assert words in said.err
    assert files(platform) == before


def test_an_entity_that_was_never_seen_is_said_to_be_none(filled: Platform, erase: Erase) -> None:
    said = erase(entity='{"parcel_id": "P-404"}')
    assert (said.status, "Nothing is known of this entity" in said.out) == (0, True)

    before = heights(filled, PREDICTIONS, LABELS, FEEDBACK, DATASET)
    said = erase(*CONFIRMED, entity='{"parcel_id": "P-404"}')
    assert (said.status, "Nothing was known of this entity here" in said.out) == (0, True)
    assert heights(filled, PREDICTIONS, LABELS, FEEDBACK, DATASET) == before


def test_the_entity_can_come_from_the_standard_input(filled: Platform, erase: Erase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(ENTITY))
    assert "predictions  5 rows (3 by its key" in erase(entity="-").out
    assert filled.home.lake


def test_a_proof_of_an_erased_request_is_refused_with_the_reason(filled: Platform, erase: Erase) -> None:
    assert erase(*CONFIRMED).status == 0
    with pytest.raises(NotFound, match=r"Its rows were erased on purpose, by erasure [0-9a-f]{32} of 'late_parcel': ticket 17"):
        prove("00000000-0000-7000-8000-000000000001", out=filled.home.root)
