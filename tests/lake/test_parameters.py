"""Parameters: version 0 from the environment, later versions by compare-and-set, every problem named."""

from typing import Any

import pytest

from lake.documents import DocumentStore
from lake.errors import Conflict, InvalidInput, SettingError, VerificationError
from lake.home import Home
from lake.parameters import (
    Arm,
    Parameters,
    check_parameters,
    find_copy,
    find_parameters,
    keep_copy,
    newest_parameters,
    parameters_from_environment,
    publish_parameters,
    read_parameters,
)
from tests.scenario import USE_CASE


def parameters(**changes: Any) -> Parameters:
    """Two arms, a tenth of the requests for the trial."""
    arms = {"champion": Arm(upstreams=("http://127.0.0.1:1",)), "trial": Arm(upstreams=("http://127.0.0.1:2",), share=0.1)}
    return Parameters(**{"use_case": USE_CASE, "arms": arms, **changes})


def test_nothing_is_stored_at_first(store: DocumentStore) -> None:
    assert newest_parameters(store, USE_CASE) is None
    assert find_parameters(store, USE_CASE, 1) is None


def test_a_change_is_the_next_version(store: DocumentStore) -> None:
    first = publish_parameters(store, parameters(changed_by="ada"), expected_version=0)
    second = publish_parameters(store, parameters(active=False), expected_version=1)

    assert (first.version, second.version) == (1, 2)
    assert newest_parameters(store, USE_CASE) == second
    assert read_parameters(store, USE_CASE, 1) == first
    assert find_parameters(store, USE_CASE, 2) == second


def test_the_newest_of_many_versions_is_found(store: DocumentStore) -> None:
    for version in range(11):
        publish_parameters(store, parameters(), expected_version=version)

    newest = newest_parameters(store, USE_CASE)
    assert newest is not None
    assert newest.version == 11


@pytest.mark.parametrize("expected_version", [0, 2])
def test_a_change_of_what_is_no_longer_the_newest_is_refused(store: DocumentStore, expected_version: int) -> None:
    publish_parameters(store, parameters(), expected_version=0)

    with pytest.raises(Conflict, match=f"expected version {expected_version}, found version 1"):
        publish_parameters(store, parameters(salt="2"), expected_version=expected_version)


def test_of_two_operators_in_the_same_moment_one_is_told(store: DocumentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put_new = DocumentStore.put_new

    def after_a_competitor(self: DocumentStore, path: str, data: bytes) -> None:
        monkeypatch.setattr(DocumentStore, "put_new", put_new)
        publish_parameters(store, parameters(changed_by="quick"), expected_version=0)
        self.put_new(path, data)

    monkeypatch.setattr(DocumentStore, "put_new", after_a_competitor)
    with pytest.raises(Conflict):
        publish_parameters(store, parameters(changed_by="slow"), expected_version=0)
    assert read_parameters(store, USE_CASE, 1).changed_by == "quick"


def test_every_problem_of_a_document_is_named_and_nothing_is_stored(store: DocumentStore) -> None:
    arms = {
        "a": Arm(share=1.5),
        "b": Arm(share=-0.1, upstreams=("ftp://host", "http://fine")),
        "c": Arm(share=float("nan")),
    }

    with pytest.raises(InvalidInput) as refused:
        publish_parameters(store, parameters(arms=arms, timeout_s=0), expected_version=0)
    assert [problem.path for problem in refused.value.problems] == [
        "arms.a.share",
        "arms.b.share",
        "arms.c.share",
        "arms",
        "arms.b.upstreams",
        "timeout_s",
    ]
    assert newest_parameters(store, USE_CASE) is None


def test_shares_may_not_add_up_to_more_than_all_requests() -> None:
    with pytest.raises(InvalidInput, match=r"shares that add up to 1\.1"):
        check_parameters(parameters(arms={"a": Arm(share=0.6), "b": Arm(share=0.5)}))


def test_shares_that_add_up_to_one_on_paper_are_accepted() -> None:
    shares = [0.1, 0.2, 0.3, 0.15, 0.25]
    assert sum(shares) == 1
    for share in (shares, [0.4, 0.35, 0.15, 0.1], [0.1] * 10, [0.7, 0.1, 0.1, 0.1]):
        check_parameters(parameters(arms={f"arm{number}": Arm(share=value) for number, value in enumerate(share)}))


@pytest.mark.parametrize("timeout_s", [-1, 0, 601, float("nan"), float("inf")])
def test_a_timeout_is_within_reason(timeout_s: float) -> None:
    with pytest.raises(InvalidInput, match="timeout_s"):
        check_parameters(parameters(timeout_s=timeout_s))


@pytest.mark.parametrize(
    "content",
    [
        b"garbage",
        b"null",
        b'{"use_case":"late_parcel","version":1,"shares":{}}',
        b'{"use_case":"late_parcel","version":0}',
        b'{"use_case":"another","version":1}',
    ],
)
def test_a_stored_document_that_is_not_what_its_name_says_is_refused(store: DocumentStore, content: bytes) -> None:
    store.put(f"{USE_CASE}/parameters/00000001.json", content)

    for read in (read_parameters, find_parameters):
        with pytest.raises(VerificationError, match="version 1 of the parameters of 'late_parcel'"):
            read(store, USE_CASE, 1)


def test_the_environment_says_where_the_arms_are_and_what_they_get() -> None:
    documents = parameters_from_environment(
        {
            "PROXY_UPSTREAMS": " flights/champion=http://a:1/ ,flights/champion=http://b:1,flights/trial=http://c:1, taxis/one=http://d:1,",
            "PROXY_SHARES": "flights/trial=0.25",
            "PROXY_SALT": "s",
            "PROXY_TIMEOUT_S": "0.5",
        }
    )

    assert documents["flights"] == Parameters(
        use_case="flights",
        arms={"champion": Arm(upstreams=("http://a:1", "http://b:1")), "trial": Arm(upstreams=("http://c:1",), share=0.25)},
        salt="s",
        timeout_s=0.5,
    )
    assert documents["taxis"].arms == {"one": Arm(upstreams=("http://d:1",))}
    assert {document.version for document in documents.values()} == {0}


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"PROXY_UPSTREAMS": ""}, "PROXY_UPSTREAMS is ''"),
        ({"PROXY_UPSTREAMS": "champion=http://a:1"}, "PROXY_UPSTREAMS is 'champion=http://a:1', expected use_case/arm=value"),
        ({"PROXY_UPSTREAMS": "flights/champion"}, "expected use_case/arm=value"),
        ({"PROXY_UPSTREAMS": "flights/=http://a:1"}, "expected use_case/arm=value"),
        ({"PROXY_SHARES": "flights/trail=0.1"}, "PROXY_SHARES is 'flights/trail', expected only arms that PROXY_UPSTREAMS names"),
        ({"PROXY_SHARES": "flights/trial=much"}, "PROXY_SHARES is 'much', expected a number"),
        ({"PROXY_TIMEOUT_S": "2s"}, "PROXY_TIMEOUT_S is '2s', expected a number"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(variables: dict[str, str], complaint: str) -> None:
    environment = {"PROXY_UPSTREAMS": "flights/champion=http://a:1,flights/trial=http://b:1", **variables}

    with pytest.raises(SettingError, match=complaint):
        parameters_from_environment(environment)


@pytest.mark.parametrize("variables", [{"PROXY_SHARES": "flights/trial=1.5"}, {"PROXY_TIMEOUT_S": "nan"}])
def test_version_0_is_held_to_the_same_rules(variables: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        parameters_from_environment({"PROXY_UPSTREAMS": "flights/trial=http://b:1", **variables})


def test_a_local_copy_is_kept_for_a_start_without_the_lake(home: Home) -> None:
    assert find_copy(home.copies, USE_CASE) is None

    keep_copy(home.copies, parameters(version=3))

    assert find_copy(home.copies, USE_CASE) == parameters(version=3)
