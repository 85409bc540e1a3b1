"""A predictor serves what its ledger shows live on its arm, as that changes, and nothing that it could not verify."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from litestar.testing import TestClient

from lake.documents import NO_FOLDER, canonical, write_file
from lake.errors import VerificationError
from lake.home import Home
from lake.package import SAMPLES, package_digest
from lake.release.signatures import TRUSTED
from serving.app import create_app
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, Client, eventually, scores_of, toy, varied

Start = Callable[[], Client]


@pytest.fixture
def start(home: Home) -> Iterator[Start]:
    """Starts the champion's predictor on the home of this test, in the place of the one before."""
    running: list[Client] = []

    def stop() -> None:
        while running:
            running.pop().__exit__()

    def restart() -> Client:
        stop()
        client = TestClient(create_app(home, USE_CASE, "champion"))
        running.append(client.__enter__())
        return client

    yield restart
    stop()


def served(client: Client) -> str | None:
    """The digest of the package that answers, or None while nothing does."""
    answer = client.post(PREDICT, content=records_body(parcel()))
    if answer.status_code == 503:
        assert answer.headers["content-type"] == "application/problem+json"
        return None
    assert answer.status_code == 200, answer.text
    return str(answer.json()["provenance"]["package_digest"])


def alarm(client: Client) -> str:
    """What is wrong, as readiness says it."""
    return str(client.get("/health/ready").json()["alarm"])


def packages(approver: Approver) -> tuple[str, str]:
    """Two packages, sealed and not yet released, that answer otherwise."""
    assert toy(1).score(parcel()) != toy(2).score(parcel())
    return approver.seal(toy(1)), approver.seal(toy(2))


def damage(path: Path) -> None:
    """Flip one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def in_lake(home: Home, *parts: str) -> Path:
    return Path(home.lake, USE_CASE, *parts)


def test_before_a_release_there_is_no_answer_and_the_reason_is_named(approver: Approver, start: Start) -> None:
    approver.seal(toy())
    client = start()

    assert served(client) is None
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert alarm(client) == "nothing is released on arm 'champion' of 'late_parcel'"
    assert "An approver releases one" in client.post(PREDICT, content=records_body(parcel())).json()["detail"]
    assert client.get("/health/live").status_code == 200


def test_an_empty_lake_is_no_error(start: Start, home: Home) -> None:
    Path(home.lake).mkdir(parents=True)
    client = start()

    assert served(client) is None
    assert alarm(client) == "nothing is released on arm 'champion' of 'late_parcel'"


def test_a_lake_that_is_away_at_the_start_is_not_made_and_is_followed_once_it_is_there(home: Home, start: Start) -> None:
    client = start()

    assert served(client) is None
    assert alarm(client) == f"the lake at {home.lake} is not available: its folder is not there. {NO_FOLDER}"
    assert not Path(home.lake).exists()
    released = Approver(home).release(toy())
    eventually(lambda: served(client) == released)


def test_a_release_that_appears_is_served_without_a_restart(approver: Approver, start: Start) -> None:
    client = start()
    first, second = packages(approver)

    def score() -> list[float]:
        return scores_of(client.post(PREDICT, content=records_body(parcel())).content)

    approver.decide("approve", first)
    eventually(lambda: served(client) == first)
    assert score() == [toy(1).score(parcel())]

    approver.decide("approve", second)
    eventually(lambda: served(client) == second)
    assert score() == [toy(2).score(parcel())]


def test_a_release_on_another_arm_is_not_served_here(approver: Approver, start: Start) -> None:
    first, second = packages(approver)
    approver.decide("approve", first)
    client = start()
    approver.decide("approve", second, "challenger")
    approver.decide("reject", second)
    approver.decide("approve", first)  # seen by this predictor, so what was decided before it was seen too

    eventually(lambda: client.get("/health/ready").json()["release_seq"] == 4)
    assert served(client) == first


def test_a_roll_back_brings_the_former_release_back(approver: Approver, start: Start) -> None:
    first, second = packages(approver)
    approver.decide("approve", first)
    approver.decide("approve", second)
    client = start()
    assert served(client) == second

    approver.decide("roll back", first)

    eventually(lambda: served(client) == first)


def test_a_revoked_release_stops_being_served(approver: Approver, start: Start) -> None:
    first, second = packages(approver)
    approver.decide("approve", first)
    approver.decide("approve", second)
    client = start()

    approver.decide("revoke", second)
    eventually(lambda: served(client) == first)
    approver.decide("revoke", first)
    eventually(lambda: served(client) is None)
    assert served(start()) is None


def test_an_answer_is_of_one_model_while_it_is_swapped(approver: Approver, start: Start) -> None:
    first, second = packages(approver)
    approver.decide("approve", first)
    client = start()
    rows = varied(400)
    truth = {digest: [toy.score(row) for row in rows] for digest, toy in approver.toys.items()}
    answered_by = []

    def ask() -> str:
        answer = client.post(PREDICT, content=records_body(*rows))
        digest = answer.json()["provenance"]["package_digest"]
        assert scores_of(answer.content) == truth[digest]
        answered_by.append(digest)
        return str(digest)

    with ThreadPoolExecutor(1) as elsewhere:
        swapping = elsewhere.submit(approver.decide, "approve", second)
        eventually(lambda: ask() == second)
        swapping.result()
    assert answered_by[0] == first


@pytest.mark.parametrize("name", ["model.cbm", "manifest.json", "samples.json"])
def test_a_changed_byte_of_a_package_is_refused_and_the_verified_release_goes_on(
    approver: Approver, start: Start, home: Home, name: str
) -> None:
    first, second = packages(approver)
    approver.decide("approve", first)
    client = start()
    damage(in_lake(home, "packages", second, name))

    approver.decide("approve", second)

    eventually(lambda: f"package {second[:12]} does not verify: found bytes with digest" in alarm(client))
    assert served(client) == first
    assert served(start()) is None


def test_a_package_that_is_whole_again_is_served(approver: Approver, start: Start, home: Home) -> None:
    _, second = packages(approver)
    path = in_lake(home, "packages", second, "model.cbm")
    damage(path)
    approver.decide("approve", second)
    client = start()
    assert served(client) is None

    damage(path)  # the same bit again

    eventually(lambda: served(client) == second)
    eventually(lambda: alarm(client) == "None")


@pytest.mark.parametrize("change", ["a file more", "a file less", "nothing left"])
def test_a_package_with_other_files_is_refused(approver: Approver, start: Start, home: Home, change: str) -> None:
    first, _ = packages(approver)
    folder = in_lake(home, "packages", first)
    if change == "a file more":
        (folder / "notes.txt").write_text("harmless")
    else:
        for path in sorted(folder.iterdir())[: 1 if change == "a file less" else None]:
            path.unlink()
    approver.decide("approve", first)
    client = start()

    assert served(client) is None
    assert first[:12] in alarm(client)


def test_a_package_whose_model_does_not_give_its_sealed_bits_is_refused(approver: Approver, start: Start, home: Home) -> None:
    first, _ = packages(approver)
    files = {path.name: path.read_bytes() for path in in_lake(home, "packages", first).iterdir()}
    samples = msgspec.json.decode(files[SAMPLES])
    sealed = samples[1]["scores"][0]
    samples[1]["scores"] = [sealed.replace("p", "1p")]  # one more hexadecimal digit: another bit of the same number
    files[SAMPLES] = canonical(samples)
    digest = package_digest(files)
    for name, data in files.items():
        write_file(in_lake(home, "packages", digest, name), data)
    approver.decide("approve", digest)
    client = start()

    assert served(client) is None
    assert f"a sealed sample of package {digest[:12]} does not verify" in alarm(client)


@pytest.mark.parametrize("part", ["payload", "signatures"])
def test_a_changed_event_is_refused_and_what_was_verified_goes_on(
    approver: Approver, start: Start, home: Home, part: str
) -> None:
    first, second = packages(approver)
    approver.decide("approve", first)
    approver.decide("approve", second)
    path = in_lake(home, "releases", "00000002.json")
    event = msgspec.json.decode(path.read_bytes())
    if part == "payload":
        event["payload"] = b64encode(b64decode(event["payload"]).replace(b"at_utc", b"at_UTC", 1)).decode()
    else:
        event["signatures"] = []
    path.write_bytes(msgspec.json.encode(event))
    client = start()

    assert served(client) == first
    assert "event 2 of the ledger of 'late_parcel' does not verify" in alarm(client)


def test_an_entry_that_does_not_verify_hides_no_revocation_before_it(approver: Approver, start: Start, home: Home) -> None:
    first, second = packages(approver)
    approver.decide("approve", first)
    approver.decide("approve", second)
    client = start()
    write_file(in_lake(home, "releases", "00000004.json"), b"not an event")

    with pytest.raises(VerificationError, match="event 4"):  # the approver reads on behind what was written
        approver.decide("revoke", second)

    eventually(lambda: served(client) == first)
    assert "event 4 of the ledger of 'late_parcel' does not verify" in alarm(client)


def test_a_revoked_package_stops_although_its_successor_does_not_verify(approver: Approver, start: Start, home: Home) -> None:
    first, second = packages(approver)
    approver.decide("approve", first)
    client = start()
    damage(in_lake(home, "packages", second, "model.cbm"))
    approver.decide("approve", second)
    eventually(lambda: "does not verify" in alarm(client))
    assert served(client) == first

    approver.decide("revoke", first)

    eventually(lambda: served(client) is None)
    assert f"package {second[:12]} does not verify" in alarm(client)


def test_whoever_can_write_to_the_lake_but_holds_no_trusted_key_releases_nothing(
    approver: Approver, start: Start, home: Home, tmp_path: Path
) -> None:
    first, second = packages(approver)
    approver.decide("approve", first)
    client = start()
    intruder = Approver(Home.at(tmp_path / "elsewhere"))
    intruder.decide("approve", first)
    intruder.decide("approve", second)
    forged = Path(intruder.store.root, USE_CASE, "releases", "00000002.json")

    write_file(in_lake(home, "releases", "00000002.json"), forged.read_bytes())

    eventually(lambda: "event 2 of the ledger of 'late_parcel' does not verify: found no valid signature" in alarm(client))
    assert served(client) == first


def test_without_a_trusted_key_nothing_is_served_until_it_is_there(approver: Approver, start: Start, home: Home) -> None:
    first, _ = packages(approver)
    approver.decide("approve", first)
    [key] = (home.keys / TRUSTED).iterdir()
    kept = key.rename(home.root / key.name)
    client = start()

    assert served(client) is None
    assert str(home.keys / TRUSTED) in alarm(client)
    kept.rename(key)
    eventually(lambda: served(client) == first)


def test_an_unreadable_key_is_named_and_the_predictor_lives_on(approver: Approver, start: Start, home: Home) -> None:
    first, _ = packages(approver)
    approver.decide("approve", first)
    [key] = (home.keys / TRUSTED).iterdir()
    data = key.read_bytes()
    key.write_bytes(b"{}")
    client = start()

    assert served(client) is None
    assert alarm(client) != "None"
    key.write_bytes(data)
    eventually(lambda: served(client) == first)


def test_while_the_lake_is_away_the_release_goes_on(approver: Approver, start: Start, home: Home) -> None:
    first, second = packages(approver)
    approver.decide("approve", first)
    client = start()
    lake = Path(home.lake)
    away = lake.rename(home.root / "away")

    eventually(lambda: "lake" in alarm(client))
    assert served(client) == first
    assert alarm(client) == f"the lake at {lake} is not available: its folder is not there. {NO_FOLDER}"

    away.rename(lake)
    approver.decide("approve", second)
    eventually(lambda: served(client) == second)
    assert alarm(client) == "None"


@pytest.mark.parametrize("left", [0, 1])
def test_a_ledger_whose_tail_was_cut_is_noticed_after_a_restart(approver: Approver, start: Start, home: Home, left: int) -> None:
    first, second = packages(approver)
    approver.decide("approve", first)
    approver.decide("approve", second)
    assert served(start()) == second
    for path in sorted(in_lake(home, "releases").iterdir())[left:]:
        path.unlink()

    client = start()

    assert served(client) is None
    assert f"found {left} events, expected at least 2, as were seen before" in alarm(client)
