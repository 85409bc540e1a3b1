"""With a credentials file a key of the right role is asked for, and stands by its owner's name in the row."""

import time
from collections.abc import Iterator

import pytest

from lake.credentials import CredentialRole, add_credential
from lake.documents import write_file
from lake.home import Home
from lake.interface.strangers import STRANGERS_PER_S
from tests.proxied import NOBODY, labels, logged, parameters, predictions, proxied
from tests.proxy.test_operation import metrics
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import INFER, PREDICT, Approver, Client, eventually

LABELS = f"/models/{USE_CASE}/labels"
PARAMETERS = f"/parameters/{USE_CASE}"
ROLES: tuple[CredentialRole, ...] = ("client", "labeller", "operator", "monitor")
A_LABEL = b'{"labels": [{"request_id": "r", "label": 1}]}'


@pytest.fixture
def keys(home: Home) -> dict[str, str]:
    """A key for each role."""
    return {role: add_credential(home.credentials, f"the {role}", (role,)) for role in ROLES}


@pytest.fixture
def client(home: Home, keys: dict[str, str]) -> Iterator[Client]:
    """A proxy that asks for these keys, and has no released model: who is let in gets 503."""
    assert home.credentials.exists(), keys
    Approver(home)
    with proxied(home, parameters({"champion": NOBODY})) as client:
        yield client


@pytest.mark.parametrize("path", [PREDICT, INFER, LABELS, PARAMETERS])
def test_without_a_known_key_nobody_is_let_in(client: Client, home: Home, keys: dict[str, str], path: str) -> None:
    key = keys["client"]
    for header in (
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Basic {key}",
        key,
        f"Bearer{key}",
        f"Bearer {key}x",
        "Bearer é",
    ):
        headers = [] if header is None else [(b"authorization", header.encode("latin-1"))]
        answer = client.request("GET" if path == PARAMETERS else "POST", path, content=A_LABEL, headers=headers)

        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json"), header
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "Authorization: Bearer" in answer.json()["detail"]
    assert labels(home) == []
    rows = predictions(home)
    assert len(rows) == (10 if path in (PREDICT, INFER) else 0)
    assert {(row.outcome, row.status, row.client_id, row.raw, row.arm) for row in rows} <= {("refused", 401, None, None, None)}


def test_strangers_leave_rows_up_to_a_limit_and_are_counted_beyond_it(client: Client, home: Home) -> None:
    began = time.monotonic()
    statuses = [client.post(PREDICT, content=records_body(parcel())).status_code for _ in range(300)]
    elapsed_s = time.monotonic() - began

    assert statuses == [401] * 300
    assert 10 <= len(predictions(home)) <= STRANGERS_PER_S * (elapsed_s + 11) < 300  # ten seconds are saved
    assert metrics(client)["trainserve_proxy_requests_not_logged_total", "401"] == 300 - len(predictions(home))


def test_who_has_not_the_role_leaves_a_row_with_the_name_of_the_key(client: Client, home: Home, keys: dict[str, str]) -> None:
    answer = client.post(PREDICT, content=b"{", headers={"authorization": f"Bearer {keys['labeller']}"})

    [row] = predictions(home)
    assert row.request_id == answer.json()["request_id"] == answer.headers["trainserve-request-id"]
    assert (row.outcome, row.status, row.client_id, row.raw) == ("refused", 403, "the labeller", None)


def test_a_body_that_is_too_long_leaves_a_row(client: Client, home: Home, keys: dict[str, str]) -> None:
    answer = client.post(PREDICT, content=b" " * 10_000_001, headers={"authorization": f"Bearer {keys['client']}"})

    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    [row] = predictions(home)
    assert (row.outcome, row.status, row.client_id, row.raw) == ("refused", 413, "the client", None)


def test_a_model_that_is_not_here_leaves_no_row_and_is_counted(client: Client, home: Home, keys: dict[str, str]) -> None:
    known = {"authorization": f"Bearer {keys['client']}"}
    answers = [client.post("/models/other/predict", content=b"{}", headers=headers) for headers in ({}, known)]

    assert [answer.status_code for answer in answers] == [401, 404], "who has no key is not told which models are here"
    assert logged(home) == []
    assert [metrics(client)["trainserve_proxy_requests_not_logged_total", status] for status in ("401", "404")] == [1, 1]


def test_the_schemes_name_may_be_written_small(client: Client, keys: dict[str, str]) -> None:
    assert client.get(PARAMETERS, headers={"authorization": f"bearer {keys['operator']}"}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "role", "status"),
    [
        ("POST", PREDICT, "client", 503),
        ("POST", INFER, "client", 400),
        ("POST", LABELS, "labeller", 202),
    ],
)
def test_each_door_opens_to_its_role_alone(
    client: Client, keys: dict[str, str], method: str, path: str, role: str, status: int
) -> None:
    body = A_LABEL if path == LABELS else records_body(parcel())
    answers = {
        other: client.request(method, path, content=body, headers={"authorization": f"Bearer {key}"})
        for other, key in keys.items()
    }

    assert {other: answer.status_code for other, answer in answers.items()} == {
        other: status if other == role else 403 for other in ROLES
    }
    other = next(other for other in ROLES if other != role)
    assert answers[other].json()["detail"] == f"The key of 'the {other}' has no role '{role}'; it has ['{other}']."


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("PUT", 428)])
def test_parameters_open_to_operators_and_monitors(client: Client, keys: dict[str, str], method: str, status: int) -> None:
    answers = {role: client.request(method, PARAMETERS, headers={"authorization": f"Bearer {key}"}) for role, key in keys.items()}

    assert {role: answer.status_code for role, answer in answers.items()} == {
        "client": 403,
        "labeller": 403,
        "operator": status,
        "monitor": status,
    }
    assert answers["client"].json()["detail"] == "The key of 'the client' has no role 'operator'; it has ['client']."


def test_the_row_names_whose_key_it_was(client: Client, home: Home, keys: dict[str, str]) -> None:
    client.post(PREDICT, content=records_body(parcel()), headers={"authorization": f"Bearer {keys['client']}"})
    client.post(LABELS, content=A_LABEL, headers={"authorization": f"Bearer {keys['labeller']}"})

    assert [row.client_id for row in predictions(home)] == ["the client"]
    assert [row.client_id for row in labels(home)] == ["the labeller"]


@pytest.mark.parametrize("path", ["/health/live", "/metrics", "/schema", "/v2"])
def test_what_says_nothing_of_anybody_needs_no_key(client: Client, path: str) -> None:
    assert client.get(path).status_code == 200


@pytest.mark.usefixtures("approver")
def test_without_the_file_no_key_is_asked_for(home: Home) -> None:
    with proxied(home, parameters({"champion": NOBODY})) as client:
        assert client.post(LABELS, content=A_LABEL).status_code == 202
        assert client.get(PARAMETERS, headers={"authorization": "Bearer any"}).status_code == 200


@pytest.mark.usefixtures("approver")
def test_the_file_is_followed_as_it_changes_and_nothing_opens_by_accident(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    with proxied(home, parameters({"champion": NOBODY})) as proxy:

        def status(key: str | None = None) -> int:
            headers = {} if key is None else {"authorization": f"Bearer {key}"}
            return int(proxy.get(PARAMETERS, headers=headers).status_code)

        assert status() == 200, "no file, no key"
        olga = add_credential(home.credentials, "olga", ("operator",))
        eventually(lambda: status() == 401)
        assert status(olga) == 200
        oskar = add_credential(home.credentials, "oskar", ("operator",))
        eventually(lambda: status(oskar) == 200)

        whole = home.credentials.read_bytes()
        write_file(home.credentials, b"credentials: [")
        eventually(lambda: "credentials not usable" in capsys.readouterr().out + str(status()))
        assert (status(), status(olga)) == (401, 200), "an unreadable file leaves what was known"
        home.credentials.unlink()
        eventually(lambda: "credentials are gone" in capsys.readouterr().out + str(status()))
        assert (status(), status(olga)) == (401, 200), "so does one that is gone"
        only_olga = whole[: whole.index(b"- id: oskar")] + whole[whole.index(b"format_version") :]
        write_file(home.credentials, only_olga)
        eventually(lambda: status(oskar) == 401)
        assert status(olga) == 200
