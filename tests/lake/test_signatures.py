"""The platform's key signs, readers open only what a trusted key signed."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner

from lake.errors import SettingError, VerificationError
from lake.home import Home
from lake.release.signatures import (
    PLATFORM_KEY,
    TRUSTED,
    ApproverKey,
    PlatformKey,
    merged,
    opened,
    public_key,
    public_text,
    random_nonce,
    read_trusted,
)

TYPE = "application/x"
KEY = PlatformKey(CryptoSigner.generate_ed25519())
TRUSTED_KEYS = {KEY.public.keyid: KEY.public}


def opened_by_key(envelope: object, payload_type: str, what: str) -> bytes:
    """The payload, trusting one key alone."""
    return opened(envelope, payload_type, TRUSTED_KEYS, what)[0]


def test_what_the_key_signed_is_opened_by_those_who_trust_it(home: Home) -> None:
    key = PlatformKey.read_or_make(home.keys)

    assert opened(key.seal(b"payload", TYPE), TYPE, read_trusted(home.keys), "it") == (b"payload", frozenset({key.public.keyid}))


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


def test_a_trusted_key_that_is_none_is_named(home: Home) -> None:
    assert read_trusted(home.keys) == {}
    (home.keys / TRUSTED).mkdir(parents=True)
    (home.keys / TRUSTED / "odd.json").write_text("[]")

    with pytest.raises(SettingError, match=r"odd\.json"):
        read_trusted(home.keys)


def test_an_approvers_key_opens_with_its_passphrase_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "ada.key"
    made = ApproverKey.make(path, "correct horse")

    assert ApproverKey.read(path, "correct horse").public.keyid == made.public.keyid
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED" in path.read_bytes()
    with pytest.raises(SettingError, match="the passphrase it was made with"):
        ApproverKey.read(path, "battery staple")
    with pytest.raises(SettingError, match="keys are never overwritten"):
        ApproverKey.make(path, "correct horse")
    with pytest.raises(SettingError, match="the passphrase"):
        ApproverKey.make(tmp_path / "other.key", "")


def test_a_public_key_is_written_as_its_32_bytes() -> None:
    text = public_text(KEY.public)

    assert public_key(text).keyid == KEY.public.keyid
    for wrong in ("", "AAAA", text[:-4], "not base64!"):
        with pytest.raises(ValueError, match="is not base64 of the 32 bytes"):
            public_key(wrong)


def test_signatures_of_two_are_merged_over_one_payload_alone() -> None:
    foreign = PlatformKey(CryptoSigner.generate_ed25519())
    both = merged([KEY.seal(b"payload", TYPE), foreign.seal(b"payload", TYPE)])
    trusted = {key.public.keyid: key.public for key in (KEY, foreign)}

    assert opened(both, TYPE, trusted, "it") == (b"payload", frozenset(trusted))
    with pytest.raises(VerificationError, match="two different decisions"):
        merged([KEY.seal(b"payload", TYPE), foreign.seal(b"another", TYPE)])


def test_a_foreign_signature_opens_nothing() -> None:
    foreign = PlatformKey(CryptoSigner.generate_ed25519())

    with pytest.raises(VerificationError, match="no valid signature"):
        opened_by_key(foreign.seal(b"payload", TYPE), TYPE, "it")


def test_a_signature_for_one_type_opens_no_other() -> None:
    with pytest.raises(VerificationError, match="payload type application/x"):
        opened_by_key(KEY.seal(b"payload", TYPE), "application/y", "it")


def test_relabelling_the_type_breaks_the_signature() -> None:
    with pytest.raises(VerificationError):
        opened_by_key({**KEY.seal(b"payload", TYPE), "payloadType": "application/y"}, "application/y", "it")


def test_signatures_of_others_do_not_hide_a_trusted_one() -> None:
    foreign = PlatformKey(CryptoSigner.generate_ed25519())
    both = KEY.seal(b"payload", TYPE)
    both["signatures"] = [*foreign.seal(b"payload", TYPE)["signatures"], *both["signatures"]]

    assert opened(both, TYPE, TRUSTED_KEYS, "it")[0] == b"payload"


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
        opened_by_key(found, TYPE, "it")


@given(st.sampled_from(["payload", "payloadType", "signatures"]), JSON)
def test_an_envelope_with_any_part_replaced_is_refused(part: str, found: object) -> None:
    with pytest.raises(VerificationError):
        opened_by_key({**KEY.seal(b"payload", TYPE), part: found}, TYPE, "it")


def test_opening_an_envelope_leaves_it_as_it_was() -> None:
    envelope = KEY.seal(b"payload", TYPE)
    before = msgspec.json.encode(envelope)
    opened_by_key(envelope, TYPE, "it")

    assert msgspec.json.encode(envelope) == before


def test_no_two_nonces_are_equal() -> None:
    nonces = {random_nonce() for _ in range(1000)}

    assert len(nonces) == 1000
    assert {len(nonce) for nonce in nonces} == {32}
