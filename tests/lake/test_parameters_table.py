"""The table of parameters: a row for each stored version, once, whoever brings it up to date."""

import polars as pl
from msgspec.structs import replace

from lake.delta import Table
from lake.documents import DocumentStore
from lake.home import Home
from lake.log.shipper import Pace, Shipper
from lake.parameters import publish_parameters
from lake.parameters.rules import Missing, Rule
from lake.parameters.table import ParametersTable
from lake.tables import LOG, PARAMETERS
from lake.times import utc
from tests.lake.test_parameters import parameters
from tests.scenario import USE_CASE


def rows(home: Home) -> pl.DataFrame:
    return Table(home.lake, LOG, PARAMETERS).scan().sort("use_case", "version").collect()


def test_every_version_is_a_row_with_who_when_why_and_what(home: Home, store: DocumentStore) -> None:
    first = parameters(changed_by="olga", changed_at_utc="2026-07-01T10:00:00.000Z", why="incident 7", timeout_s=1.0)
    publish_parameters(store, first, 0)
    publish_parameters(store, replace(first, rules=(Rule(name="r", when=Missing(field="stops")),), changed_by="oskar"), 1)
    store.put_new(f"{USE_CASE}/parameters/00000003.json", b"garbage")
    publish_parameters(store, replace(first, use_case="other", arms={}), 0)

    assert ParametersTable(home.lake).update() == 4
    found = rows(home)
    assert found.select("use_case", "version", "changed_by", "why").rows() == [
        (USE_CASE, 1, "olga", "incident 7"),
        (USE_CASE, 2, "oskar", "incident 7"),
        (USE_CASE, 3, None, None),
        ("other", 1, "olga", "incident 7"),
    ]
    assert found["changed_at_utc"][0] == utc("2026-07-01T10:00:00Z")
    assert found["changes"].to_list()[:2] == [[], ["rule 'r' added"]]
    assert found["document"][2] is None
    assert found["document"].str.contains("incident 7").to_list() == [True, True, None, True]


def test_whoever_brings_it_up_to_date_adds_what_is_new(home: Home, store: DocumentStore) -> None:
    first, second = ParametersTable(home.lake), ParametersTable(home.lake)
    publish_parameters(store, parameters(), 0)
    assert (first.update(), second.update(), first.update()) == (1, 0, 0)
    publish_parameters(store, parameters(), 1)
    assert (second.update(), first.update()) == (1, 0)
    assert rows(home)["version"].to_list() == [1, 2]


def test_two_at_once_add_each_version_once(home: Home, store: DocumentStore) -> None:
    publish_parameters(store, parameters(), 0)
    first, second = ParametersTable(home.lake), ParametersTable(home.lake)
    assert first.update() == 1
    second._known = {}  # noqa: SLF001 - it looked before the other one wrote
    assert second.update() == 0
    assert rows(home)["version"].to_list() == [1]


def test_the_shipper_keeps_it_up_to_date(home: Home, store: DocumentStore) -> None:
    import threading

    publish_parameters(store, parameters(), 0)
    stopped = threading.Event()
    running = threading.Thread(target=Shipper(home, Pace(freshness_s=0)).run, args=(stopped,))
    running.start()
    table = Table(home.lake, LOG, PARAMETERS)
    try:
        for _ in range(2000):
            if table.exists() and rows(home).height:
                break
            stopped.wait(0.01)
    finally:
        stopped.set()
        running.join()
    assert rows(home)["version"].to_list() == [1]
