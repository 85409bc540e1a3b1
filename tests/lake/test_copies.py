"""The copy answers while the lake is away, hides nothing while it is there, ages, and never stands in the way."""

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from lake.copies import LATELY, CopiedLake
from lake.documents import DocumentStore
from lake.errors import NotFound, SettingError, Unavailable
from lake.home import Home
from tests.clocks import Hands
from tests.scenario import USE_CASE

EVENT = f"{USE_CASE}/releases/00000001.json"
PACKAGE = f"{USE_CASE}/packages/{'a' * 64}"


@pytest.fixture
def hands() -> Hands:
    hands = Hands()
    hands.now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    return hands


@pytest.fixture
def start(home: Home, hands: Hands) -> Callable[[], CopiedLake]:
    """Starts a server's reading, a day of age allowed."""
    return lambda: CopiedLake(home, USE_CASE, 86_400, hands)


def go_away(home: Home) -> Callable[[], None]:
    """Take the lake away; returns what brings it back."""
    lake, away = Path(home.lake), home.root / "away"
    lake.rename(away)
    return lambda: (away.rename(lake), None)[1]


def read_package(lake: CopiedLake) -> dict[str, bytes]:
    return {name: lake.get(f"{PACKAGE}/{name}") for name in lake.names(PACKAGE)}


@pytest.fixture
def filled(store: DocumentStore) -> DocumentStore:
    """A lake with an event and a package."""
    store.put_new(EVENT, b"event 1")
    for name in ("model.cbm", "manifest.json"):
        store.put(f"{PACKAGE}/{name}", name.encode())
    return store


@pytest.mark.usefixtures("filled")
def test_what_was_read_is_read_again_without_the_lake_also_by_a_new_server(home: Home, start: Callable[[], CopiedLake]) -> None:
    running = start()
    read = (running.get(EVENT), read_package(running))
    assert running.source == "lake"
    go_away(home)

    for server in (running, start()):
        assert (
            (server.get(EVENT), read_package(server))
            == read
            == (b"event 1", {"manifest.json": b"manifest.json", "model.cbm": b"model.cbm"})
        )
        assert server.find(f"{USE_CASE}/releases/00000002.json") is None, "no later event was seen"
        assert server.source == "copy"
        assert not server.status().reachable
        assert "its folder is not there" in server.alarms()[0]


@pytest.mark.usefixtures("filled")
def test_what_was_never_read_nobody_can_say(home: Home, start: Callable[[], CopiedLake]) -> None:
    start().get(EVENT)
    go_away(home)

    for ask in (start().names, start().get, start().find):
        with pytest.raises(Unavailable):
            ask(f"{PACKAGE}/model.cbm")


@pytest.mark.usefixtures("filled")
def test_a_package_that_was_copied_in_part_is_unavailable_not_damaged(home: Home, start: Callable[[], CopiedLake]) -> None:
    reader = start()
    reader.get(f"{PACKAGE}/{reader.names(PACKAGE)[0]}")
    go_away(home)

    assert start().names(PACKAGE) == ["manifest.json", "model.cbm"]
    with pytest.raises(Unavailable):
        start().get(f"{PACKAGE}/model.cbm")


def test_before_the_lake_was_ever_reached_it_is_unavailable(home: Home, start: Callable[[], CopiedLake]) -> None:
    with pytest.raises(Unavailable, match="its folder is not there"):
        start().names(f"{USE_CASE}/releases")
    assert not Path(home.lake).exists()
    assert start().status().copy_age_s is None


def test_a_lake_that_answers_is_always_believed(filled: DocumentStore, start: Callable[[], CopiedLake], home: Home) -> None:
    reader = start()
    assert reader.get(EVENT) == b"event 1"
    filled.put(EVENT, b"changed")
    assert reader.get(EVENT) == b"changed"
    Path(home.lake, EVENT).unlink()

    assert reader.find(EVENT) is None
    with pytest.raises(NotFound):
        start().get(EVENT)
    assert start().names(f"{USE_CASE}/releases") == []


def test_it_comes_back_by_itself_and_what_it_says_then_is_copied(
    filled: DocumentStore, start: Callable[[], CopiedLake], home: Home
) -> None:
    reader = start()
    reader.get(EVENT)
    back = go_away(home)
    assert reader.get(EVENT) == b"event 1"
    back()
    filled.put(EVENT, b"event 1, grown")

    assert reader.get(EVENT) == b"event 1, grown"
    assert (reader.source, reader.alarms()) == ("lake", [])
    go_away(home)
    assert start().get(EVENT) == b"event 1, grown"


@pytest.mark.usefixtures("filled")
def test_a_copy_is_good_up_to_its_age_also_over_a_restart(home: Home, start: Callable[[], CopiedLake], hands: Hands) -> None:
    reader = start()
    reader.get(EVENT)
    hands.move(hours=1)
    reader.get(EVENT)
    back = go_away(home)
    hands.move(hours=24)

    for server in (reader, start()):
        assert server.get(EVENT) == b"event 1"
        assert server.status().copy_age_s == 86_400
        assert server.too_old() is None
    hands.move(seconds=1)
    for server in (reader, start()):
        with pytest.raises(
            Unavailable, match=r"last reached at 2026-01-01T01:00:00\.000Z.*holds for 86400 s.*once the lake is back"
        ):
            server.get(EVENT)
        assert server.too_old()
    back()
    assert reader.get(EVENT) == start().get(EVENT) == b"event 1"
    assert reader.too_old() is None


@pytest.mark.usefixtures("filled")
def test_a_server_that_was_killed_knows_to_the_minute_when_the_lake_was_reached(
    home: Home, start: Callable[[], CopiedLake], hands: Hands
) -> None:
    killed = start()
    for _ in range(100):
        killed.get(EVENT)
        hands.move(seconds=30)
    go_away(home)

    assert 30 <= (start().status().copy_age_s or 0) <= 90


@pytest.mark.usefixtures("filled")
def test_a_clock_that_was_ahead_makes_no_copy_young_for_ever(home: Home, start: Callable[[], CopiedLake], hands: Hands) -> None:
    hands.move(days=365)
    start().get(EVENT)
    go_away(home)
    hands.move(days=-365)

    with pytest.raises(Unavailable, match="last reached at 2027"):
        start().get(EVENT)


@pytest.mark.usefixtures("filled")
def test_nothing_is_written_again_that_has_not_changed(home: Home, start: Callable[[], CopiedLake]) -> None:
    start().get(EVENT)
    copy = next((home.copies / "lake").rglob("00000001.json"))
    written = copy.stat().st_ino

    reader = start()
    for _ in range(3):
        reader.get(EVENT)

    assert copy.stat().st_ino == written
    copy.unlink()
    reader.get(EVENT)
    assert copy.read_bytes() == b"event 1"


@pytest.mark.usefixtures("filled")
def test_a_home_that_cannot_be_written_hampers_nothing(home: Home, start: Callable[[], CopiedLake], hands: Hands) -> None:
    home.root.mkdir(exist_ok=True)
    home.copies.write_text("a file where the folder should be")
    reader = start()

    assert (reader.get(EVENT), len(read_package(reader))) == (b"event 1", 2)
    [alarm] = reader.alarms()
    assert f"the copy of the lake in {home.copies / 'lake'} cannot be written" in alarm

    home.copies.unlink()
    hands.move(seconds=6)
    reader.find(f"{USE_CASE}/releases/00000002.json")
    assert reader.alarms() == []
    go_away(home)
    assert (start().get(EVENT), len(read_package(start()))) == (b"event 1", 2)


@pytest.mark.usefixtures("filled")
def test_packages_that_are_neither_needed_nor_were_read_lately_are_removed(
    home: Home, start: Callable[[], CopiedLake], hands: Hands
) -> None:
    reader = start()
    read_package(reader)
    folder = home.copies / "lake" / PACKAGE

    reader.forget_packages([])
    assert folder.exists(), "it was read just now"
    hands.move(seconds=LATELY.total_seconds() + 1)
    reader.forget_packages(["a" * 64])
    assert folder.exists(), "it is needed"
    reader.forget_packages(["b" * 64])
    assert not folder.exists()
    reader.forget_packages([])
    assert reader.get(EVENT) == b"event 1"
    assert len(read_package(reader)) == 2, "the lake has it still, and it is copied again"
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "model.cbm", "names#"]


@pytest.mark.parametrize("age_s", [0.0, -1.0, float("nan")])
def test_an_age_that_is_none_is_refused(home: Home, age_s: float) -> None:
    with pytest.raises(SettingError, match="TRAINSERVE_GREATEST_COPY_AGE_S"):
        CopiedLake(home, USE_CASE, age_s)
