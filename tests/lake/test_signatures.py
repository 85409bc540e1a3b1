"""The platform's key signs, readers open only what a trusted key signed."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner

from lake.errors import SettingError, VerificationError
from lake.home import Home
from lake.signatures import PLATFORM_KEY, TRUSTED, PlatformKey, Trust, random_nonce

TYPE = "application/x"
KEY = PlatformKey(CryptoSigner.generate_ed25519())


def test_what_the_key_signed_is_opened_by_those_who_trust_it(home: Home) -> None:
    key = PlatformKey.read_or_make(home.keys)

    assert Trust.read(home.keys).open(key.seal(b"payload", TYPE), TYPE, "it") == b"payload"


def test_the_key_is_made_once_and_kept_from_everybody_else(home: Home) -> None:
    first = PlatformKey.read_or_make(home.keys)
    second = PlatformKey.read_or_make(home.keys)

    assert second.seal(b"x", TYPE) == first.seal(b"x", TYPE)
    assert (home.keys / PLATFORM_KEY).stat().st_mode & 0o777 == 0o600
    assert len(list((home.keys / TRUSTED).iterdir())) == 1


def test_a_key_that_others_can_read_is_not_used(home: Home) -> None:
    PlatformKey.read_or_make(home.keys)
    (home.keys / PLATFORM_KEY).chmod(0o640)

    with pytest.raises(SettingError, match="nobody but its owner may read it"):
        PlatformKey.read_or_make(home.keys)


def test_a_file_that_holds_no_key_is_named(home: Home) -> None:
    PlatformKey.read_or_make(home.keys)
    (home.keys / PLATFORM_KEY).write_bytes(b"no key")

    with pytest.raises(SettingError, match=PLATFORM_KEY):
        PlatformKey.read_or_make(home.keys)


def test_without_any_trusted_key_the_reader_is_told_where_it_comes_from(home: Home) -> None:
    with pytest.raises(SettingError, match="made by the first release, or copy it"):
        Trust.read(home.keys)


def test_a_foreign_signature_opens_nothing() -> None:
    foreign = PlatformKey(CryptoSigner.generate_ed25519())

    with pytest.raises(VerificationError, match="no valid signature"):
        KEY.trust.open(foreign.seal(b"payload", TYPE), TYPE, "it")


def test_a_signature_for_one_type_opens_no_other() -> None:
    with pytest.raises(VerificationError, match="payload type application/x"):
        KEY.trust.open(KEY.seal(b"payload", TYPE), "application/y", "it")


def test_relabelling_the_type_breaks_the_signature() -> None:
    with pytest.raises(VerificationError):
        KEY.trust.open({**KEY.seal(b"payload", TYPE), "payloadType": "application/y"}, "application/y", "it")


def test_signatures_of_others_do_not_hide_a_trusted_one() -> None:
    foreign = PlatformKey(CryptoSigner.generate_ed25519())
    both = KEY.seal(b"payload", TYPE)
    both["signatures"] = [*foreign.seal(b"payload", TYPE)["signatures"], *both["signatures"]]

    assert KEY.trust.open(both, TYPE, "it") == b"payload"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["payload", "payloadType", "signatures", "keyid", "sig"]), inner, max_size=5)
    ),
)


@given(JSON)
def test_whatever_is_no_envelope_is_refused_as_such(found: object) -> None:
    with pytest.raises(VerificationError):
        KEY.trust.open(found, TYPE, "it")


@given(st.sampled_from(["payload", "payloadType", "signatures"]), JSON)
def test_an_envelope_with_any_part_replaced_is_refused(part: str, found: object) -> None:
    with pytest.raises(VerificationError):
        KEY.trust.open({**KEY.seal(b"payload", TYPE), part: found}, TYPE, "it")


def test_opening_an_envelope_leaves_it_as_it_was() -> None:
    envelope = KEY.seal(b"payload", TYPE)
    before = msgspec.json.encode(envelope)
    KEY.trust.open(envelope, TYPE, "it")

    assert msgspec.json.encode(envelope) == before


def test_no_two_nonces_are_equal() -> None:
    nonces = {random_nonce() for _ in range(1000)}

    assert len(nonces) == 1000
    assert {len(nonce) for nonce in nonces} == {32}
