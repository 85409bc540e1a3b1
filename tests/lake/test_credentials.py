"""API keys: known by their hash, shown once, open to all only where there is no file."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from lake.credentials import Credentials, add_credential, remove_credential
from lake.errors import SettingError
from lake.home import Home


def test_without_a_file_no_key_is_asked_for(home: Home) -> None:
    known = Credentials.read(home.credentials)

    assert known.open_to_all
    assert known.find("anything") is None


def test_a_key_is_found_by_its_owner_alone(home: Home) -> None:
    shop = add_credential(home.credentials, "shop", ("client", "labeller"))
    night = add_credential(home.credentials, "night shift", ("operator",))
    known = Credentials.read(home.credentials)

    found = known.find(shop)
    assert found is not None
    assert (found.id, found.roles) == ("shop", ("client", "labeller"))
    other = known.find(night)
    assert other is not None
    assert (other.id, other.roles) == ("night shift", ("operator",))
    for wrong in ("", shop + "x", shop[:-1], shop.swapcase(), found.sha256):
        assert known.find(wrong) is None


def test_the_file_holds_no_key_and_is_its_owners_alone(home: Home) -> None:
    key = add_credential(home.credentials, "shop", ("client",))

    assert key not in home.credentials.read_text()
    assert home.credentials.stat().st_mode & 0o777 == 0o600


def test_with_a_file_no_longer_everybody_comes_in(home: Home) -> None:
    home.credentials.parent.mkdir()
    home.credentials.write_text("credentials: []\n")
    known = Credentials.read(home.credentials)

    assert not known.open_to_all
    assert known.find("") is None


def test_a_name_is_given_once(home: Home) -> None:
    add_credential(home.credentials, "shop", ("client",))
    before = home.credentials.read_bytes()

    with pytest.raises(SettingError, match="'shop', expected one that the file does not have yet"):
        add_credential(home.credentials, "shop", ("operator",))
    assert home.credentials.read_bytes() == before


def test_of_keys_made_and_taken_back_at_once_none_is_lost(home: Home) -> None:
    add_credential(home.credentials, "old", ("client",))
    names = [f"shop {number}" for number in range(16)]

    with ThreadPoolExecutor(len(names)) as pool:
        keys = dict(zip(names, pool.map(lambda name: add_credential(home.credentials, name, ("client",)), names), strict=True))
        taken = [pool.submit(remove_credential, home.credentials, name) for name in ("old", "shop 0")]
        assert sorted(one.result() for one in taken) == [15, 16]

    known = Credentials.read(home.credentials)
    found = {name: known.find(key) for name, key in keys.items()}
    assert {name for name, one in found.items() if one is not None and one.id == name} == {*names} - {"shop 0"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "credentials: [",
        "credentials: {}",
        "keys: []",
        "credentials: [{id: shop, sha256: ab, roles: [admin]}]",
        "credentials: [{id: shop, roles: [client]}]",
        "credentials: [{id: shop, sha256: secret, roles: [client]}]",
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_lets_nobody_in(home: Home, text: str) -> None:
    home.credentials.parent.mkdir()
    home.credentials.write_text(text)

    with pytest.raises(SettingError, match=r"credentials\.yaml"):
        Credentials.read(home.credentials)
