"""What becomes of a label, from its delivery to the figures that rest on it: one that is late, repeated, changed or unknown."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from typing import Any

import polars as pl
import pytest

from lake.delta import Table
from lake.home import Home
from lake.log.audit import Audit, Scope
from lake.log.shipper import Shipper
from lake.tables import DATASET, LABELS, PREDICTIONS, WINDOWS
from serving.app import create_app
from tests.drops import delivered, put
from tests.erase_command import CONFIRMED, Erase, Install, erase, installed
from tests.parcel_log import write_history
from tests.parcel_training import parcel_use_case
from tests.proxied import parameters, proxied
from tests.scenario import USE_CASE, parcel, parcel_schema, records_body
from tests.served import PREDICT, Approver, Client, listening, toy
from trainserve_assets.erasure.again import erase_again
from trainserve_assets.feedback import feedback_rows
from trainserve_assets.logged import read_log
from trainserve_assets.resources import LakeResource
from trainserve_assets.windows.table import newest_windows
from trainserve_assets.windows.update import update_windows

__all__ = ["erase", "installed"]

SENT_AT = datetime(2013, 7, 1, 9, 30, tzinfo=timezone.utc)


class World:
    """A predictor behind a proxy. `ship` ends the proxy, as only a closed segment can be shipped; the next request starts one."""

    def __init__(self, home: Home, stack: ExitStack) -> None:
        self.home = home
        write_history(home.lake, days=2, per_day=20)
        dataset = Table(home.lake, USE_CASE, DATASET)
        dataset.replace(dataset.scan().collect(), "version 1, which the toy says that it was trained on")
        Approver(home).release(toy())
        self._url = stack.enter_context(listening(create_app(home, USE_CASE, "champion")))
        self._proxy = ExitStack()
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        if self._client is None:
            self._client = self._proxy.enter_context(proxied(self.home, parameters({"champion": self._url})))
        return self._client

    def ask(self, **changes: Any) -> str:
        """Ask about a parcel; gives the id of the request."""
        answer = self.client.post(PREDICT, content=records_body(parcel(**changes)))
        assert answer.status_code == 200, answer.text
        return str(answer.headers["trainserve-request-id"])

    def tell(self, label: int, **members: Any) -> None:
        """Deliver a label over HTTP."""
        answer = self.client.post(f"/models/{USE_CASE}/labels", json={"label": label, **members})
        assert (answer.status_code, answer.json()) == (202, {"accepted": 1})

    def ship(self) -> None:
        self._client = None
        self._proxy.close()
        Shipper(self.home).ship()

    def audit(self) -> list[str]:
        """What is wrong with the log."""
        return list(Audit(self.home, Scope()).findings())

    def known(self) -> list[tuple[str, float | None]]:
        """The logged requests with the labels that count, in the order of their arrival."""
        rows = read_log(self.home.lake, parcel_schema()).sort("received_at_utc", "row").select("request_id", "label").collect()
        return list(rows.iter_rows())

    def logged(self) -> int:
        """How many labels are in their table."""
        return Table(self.home.lake, USE_CASE, LABELS).scan().collect().height

    def figures(self) -> int:
        """Bring the windows up to date; returns how many figures were new."""
        return update_windows(self.home.lake, parcel_schema(), 92, 0.01).figures

    def figure(self, metric: str) -> float:
        windows = newest_windows(Table(self.home.lake, USE_CASE, WINDOWS))
        return float(windows.filter(metric=metric, arm="champion", slice="all")["value"].item())

    def feedback(self) -> list[float]:
        """The labels that the dataset will learn from."""
        return feedback_rows(read_log(self.home.lake, parcel_schema()), parcel_schema())["label"].to_list()


@pytest.fixture
def world(home: Home) -> Iterator[World]:
    with ExitStack() as stack:
        world = World(home, stack)
        stack.callback(world.ship)
        yield world


def entity(name: str = "P-1", at: datetime = SENT_AT) -> dict[str, Any]:
    return {"entity": {"parcel_id": name}, "event_time": at.isoformat()}


def test_a_label_by_request_is_about_that_row_alone_and_one_by_entity_about_all_rows_of_that_moment(world: World) -> None:
    first, second, later = world.ask(), world.ask(), world.ask(sent_at=(SENT_AT + timedelta(hours=1)).isoformat())
    world.tell(0, request_id=second)
    world.ship()
    assert world.known() == [(first, None), (second, 0.0), (later, None)]

    world.tell(1, **entity())
    world.ship()
    assert world.known() == [(first, 1.0), (second, 1.0), (later, None)], "the entity's label was received last"


def test_a_label_that_is_late_changes_figures_and_feedback_and_what_was_known_before_stays(world: World) -> None:
    request = world.ask()
    world.ship()
    assert world.figures() > 0
    assert world.figure("labelled") == 0.0

    world.tell(1, request_id=request, observed_at="2013-07-02T00:00:00Z")
    world.ship()

    assert world.figures() > 0
    assert world.figure("labelled") == 1.0
    assert world.feedback() == [1.0]
    kept = Table(world.home.lake, USE_CASE, WINDOWS).scan().filter(metric="labelled").sort("labels_as_of_utc").collect()
    assert kept["value"].to_list() == [0.0, 1.0]


@pytest.mark.parametrize("members", [{}, {"observed_at": "2013-07-02T00:00:00Z"}])
def test_a_label_that_is_repeated_is_logged_again_and_changes_nothing(world: World, members: dict[str, str]) -> None:
    request = world.ask()
    world.tell(1, request_id=request, **members)
    world.ship()
    assert world.figures() > 0
    known, feedback = world.known(), world.feedback()

    for _ in range(3):
        world.tell(1, request_id=request, **members)
    world.ship()

    assert world.logged() == 4
    assert (world.known(), world.feedback()) == (known, feedback)
    assert world.figures() == 0, "no figure is known from anything new"
    assert world.figure("labelled") == 1.0


def test_a_label_that_is_changed_counts_from_then_on(world: World) -> None:
    request = world.ask()
    world.tell(1, request_id=request)
    world.ship()
    world.figures()

    world.tell(0, request_id=request)
    world.ship()

    assert world.known() == [(request, 0.0)]
    assert world.feedback() == [0.0]
    assert world.figures() > 0
    assert world.figure("labelled") == 1.0
    assert world.figure("label_rate") == 0.0


def test_an_old_observation_that_was_held_up_or_is_retried_undoes_no_newer_one(world: World) -> None:
    request = world.ask()
    world.tell(1, request_id=request, observed_at="2013-07-02T00:00:00Z")
    world.tell(0, request_id=request, observed_at="2013-07-03T00:00:00Z")
    world.tell(1, request_id=request, observed_at="2013-07-02T00:00:00Z")
    world.tell(1, request_id=request, observed_at="2013-07-01T00:00:00Z")
    world.ship()

    assert world.known() == [(request, 0.0)]


def test_a_label_that_is_unknown_is_logged_and_counts_nowhere(world: World) -> None:
    request = world.ask()
    world.tell(1, request_id="01a20afc-00df-74a9-8fe9-48895b375d54")
    world.tell(1, request_id=request, row=7)
    world.tell(1, **entity("nobody"))
    world.tell(1, **entity(at=SENT_AT + timedelta(seconds=1)))
    world.ship()

    assert world.logged() == 4
    assert world.known() == [(request, None)]
    assert world.feedback() == []


def test_a_label_may_be_there_before_its_prediction(world: World) -> None:
    world.tell(1, **entity())
    world.ship()
    request = world.ask()
    world.ship()

    assert world.known() == [(request, 1.0)]
    assert world.feedback() == [1.0]


def test_a_label_of_a_row_that_was_retired_is_unknown(world: World) -> None:
    request = world.ask(parcel_id="P-2")
    world.ship()
    Table(world.home.lake, USE_CASE, PREDICTIONS).delete_before("received_at_utc", datetime.now(timezone.utc))
    again = world.ask(parcel_id="P-2")
    world.tell(0, request_id=request)
    world.ship()

    assert world.logged() == 1
    assert world.known() == [(again, None)]


def test_a_label_of_a_row_that_was_erased_is_unknown_and_is_erased_too(world: World, erase: Erase, installed: Install) -> None:
    request, other = world.ask(), world.ask(parcel_id="P-2")
    world.ship()
    use_case = parcel_use_case()
    installed(use_case)
    assert erase(*CONFIRMED, entity='{"parcel_id": "P-1"}').status == 0
    world.tell(1, request_id=request)
    world.tell(1, request_id=other)
    world.ship()

    assert world.logged() == 2
    assert world.known() == [(other, 1.0)]
    erase_again(LakeResource(root=str(world.home.root), address=world.home.lake), use_case)
    assert world.logged() == 1
    assert world.audit() == []


def test_a_label_of_a_drop_is_as_one_over_http(world: World) -> None:
    request, other = world.ask(), world.ask(parcel_id="P-2")
    world.tell(0, request_id=request, observed_at="2013-07-02T00:00:00Z")
    world.ship()
    at = pl.Series([datetime(2013, 7, 3, tzinfo=timezone.utc), datetime(2013, 7, 2, tzinfo=timezone.utc)])
    put(world.home, pl.DataFrame({"request_id": [request, other], "label": [1, 1], "observed_at": at}))

    [one] = delivered(world.home)

    assert (one.accepted, one.unknown) == (2, 0)
    assert world.audit() == []
    assert world.known() == [(request, 1.0), (other, 1.0)]
    world.tell(0, request_id=request, observed_at="2013-07-02T00:00:00Z")
    world.ship()
    assert world.known() == [(request, 1.0), (other, 1.0)]
