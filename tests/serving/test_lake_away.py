"""With the lake away the predictor goes on, and starts, from its verified copy, up to an age, and says so."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lake.documents import NO_FOLDER
from lake.home import Home
from serving.app import create_app
from tests.clocks import Hands
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, Client, eventually, scores_of, toy
from tests.serving.test_following import damage
from tests.serving.test_operation import metric

A_DAY_S = 86_400.0
Start = Callable[[], Client]


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def start(home: Home, hands: Hands) -> Iterator[Start]:
    """Starts the champion's predictor, whose copy is good for a day, in the place of the one before."""
    with ExitStack() as stack:

        def restart() -> Client:
            stack.close()
            return stack.enter_context(Client(create_app(home, USE_CASE, "champion", greatest_copy_age_s=A_DAY_S, clock=hands)))

        yield restart


@pytest.fixture
def digest(approver: Approver, start: Start) -> str:
    """A released package that a predictor has served before."""
    released = approver.release(toy())
    assert served(start()) == [toy().score(parcel())]
    return released


def served(client: Client) -> list[float] | None:
    """The scores, or None where nothing answers."""
    answer = client.post(PREDICT, content=records_body(parcel()))
    assert answer.status_code in (200, 503), answer.text
    return scores_of(answer.content) if answer.status_code == 200 else None


def ready(client: Client) -> dict[str, Any]:
    return dict(client.get("/health/ready").json())


def go_away(home: Home) -> Path:
    return Path(home.lake).rename(home.root / "away")


@pytest.mark.usefixtures("digest")
def test_it_starts_from_the_copy_and_says_so(home: Home, start: Start, hands: Hands) -> None:
    go_away(home)
    hands.move(hours=2)
    client = start()

    assert served(client) == [toy().score(parcel())]
    page = ready(client)
    assert (page["ready"], page["package_source"], page["lake"]["reachable"]) == (True, "copy", False)
    assert page["lake"]["copy_age_s"] == pytest.approx(7200, abs=60)
    assert page["alarm"] == f"the lake at {home.lake} is not available: its folder is not there. {NO_FOLDER}"
    assert metric(client, "trainserve_predictor_lake_reachable") == 0
    assert metric(client, "trainserve_predictor_copy_age_seconds") == pytest.approx(7200, abs=60)
    assert metric(client, "trainserve_predictor_package_source", source="copy") == 1
    assert metric(client, "trainserve_predictor_package_source", source="lake") == 0
    assert not Path(home.lake).exists()


@pytest.mark.usefixtures("digest")
def test_it_follows_the_lake_again_once_that_is_back(home: Home, start: Start, approver: Approver) -> None:
    away = go_away(home)
    client = start()
    away.rename(home.lake)
    approver.release(toy(2))

    eventually(lambda: served(client) == [toy(2).score(parcel())])
    eventually(lambda: metric(client, "trainserve_predictor_lake_reachable") == 1)
    assert (ready(client)["package_source"], ready(client)["alarm"]) == ("lake", None)


@pytest.mark.usefixtures("digest")
def test_beyond_its_age_nothing_is_answered_until_the_lake_is_back(home: Home, start: Start, hands: Hands) -> None:
    client = start()
    reached_at = ready(client)["lake"]["reached_at_utc"]
    away = go_away(home)
    eventually(lambda: not ready(client)["lake"]["reachable"])
    hands.move(seconds=A_DAY_S)
    assert served(client) is not None
    hands.move(seconds=1)

    assert served(client) is None
    problem = client.post(PREDICT, content=records_body(parcel())).json()["detail"]
    why = f"the lake was last reached at {reached_at}, and what was read then holds for 86400 s (TRAINSERVE_GREATEST_COPY_AGE_S)"
    assert problem == f"model 'late_parcel' is not available: {why}. It answers again once the lake is back."
    assert (client.get("/health/ready").status_code, ready(client)["alarm"]) == (503, why)
    restarted = start()
    assert served(restarted) is None
    assert why in ready(restarted)["alarm"]
    away.rename(home.lake)
    eventually(lambda: served(restarted) is not None)


def test_what_the_copy_holds_is_verified_as_if_it_came_from_the_lake(home: Home, start: Start, digest: str) -> None:
    go_away(home)
    model = home.copies / "lake" / USE_CASE / "packages" / digest / "model.cbm"
    event = home.copies / "lake" / USE_CASE / "releases" / "00000001.json"
    for path in (model, event):
        damage(path)
        client = start()
        assert served(client) is None
        assert "does not verify" in ready(client)["alarm"]
        assert metric(client, "trainserve_predictor_unverified") == 1
        damage(path)  # the same bit again
        eventually(lambda: metric(client, "trainserve_predictor_unverified") == 0)  # noqa: B023 - called before the next starts
        assert served(client) is not None


def test_a_copy_that_lost_its_newest_event_is_refused(home: Home, start: Start, approver: Approver, digest: str) -> None:
    client = start()
    approver.decide("revoke", digest)
    eventually(lambda: served(client) is None)
    go_away(home)
    (home.copies / "lake" / USE_CASE / "releases" / "00000002.json").unlink()

    restarted = start()

    assert served(restarted) is None
    assert "found 1 events, expected at least 2, as were seen before" in ready(restarted)["alarm"]


def test_while_the_lake_answers_the_copy_hides_no_changed_byte(home: Home, start: Start, digest: str) -> None:
    damage(Path(home.lake, USE_CASE, "packages", digest, "model.cbm"))

    client = start()

    assert served(client) is None
    assert f"package {digest[:12]} does not verify" in ready(client)["alarm"]


def test_without_a_copy_the_lake_is_waited_for(home: Home, start: Start, approver: Approver) -> None:
    approver.release(toy())
    away = go_away(home)
    client = start()
    assert served(client) is None
    assert "its folder is not there" in ready(client)["alarm"]

    away.rename(home.lake)

    eventually(lambda: served(client) is not None)


def test_a_home_that_cannot_be_written_hampers_nothing_and_is_said(
    home: Home, start: Start, approver: Approver, hands: Hands
) -> None:
    home.copies.write_text("a file in the folder's place")
    approver.release(toy())

    client = start()

    assert served(client) == [toy().score(parcel())]
    assert "the copy of the lake" in ready(client)["lake"]["copy_failing"]
    assert metric(client, "trainserve_predictor_alarm") == 1
    home.copies.unlink()
    hands.move(seconds=10)
    eventually(lambda: ready(client)["alarm"] is None)
