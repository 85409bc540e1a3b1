"""What readers trust follows the files outside the lake: the platform's keys with their validity, and the policies in force."""

from datetime import timedelta

import msgspec
import pytest
from securesystemslib.signer import CryptoSigner, SSlibKey

from lake.documents import DocumentStore
from lake.errors import SettingError, VerificationError
from lake.home import Home
from lake.release.ledger import Ledger
from lake.release.policy import BUILT_IN, Key
from lake.release.signatures import TRUSTED, PlatformKey, public_text
from lake.release.trust import EVENT_TYPE, Trust
from lake.times import now_utc, rfc3339, utc
from tests.approvers import ADA, BOB, LONG_AGO, after, policy, put_policy, sign, to_sign
from tests.scenario import USE_CASE, decision

DAY = timedelta(days=1)
OLD, NEW = PlatformKey(CryptoSigner.generate_ed25519()), PlatformKey(CryptoSigner.generate_ed25519())
CHANGE = LONG_AGO + 30 * DAY


def listed(key: PlatformKey, **validity: object) -> Key:
    """The platform's key as a policy lists it."""
    return msgspec.convert({"public_key": public_text(key.public), "valid_from_utc": LONG_AGO, **validity}, Key)


def trust_file(home: Home, key: SSlibKey) -> None:
    """Copy a platform key to this machine, as somebody does for a server."""
    folder = home.keys / TRUSTED
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{key.keyid}.json").write_bytes(msgspec.json.encode(key.to_dict()))


def test_the_policy_of_a_moment_is_the_last_that_was_in_force(home: Home) -> None:
    first = put_policy(home, policy(ADA, BOB))
    second = put_policy(home, after(first, CHANGE), [ADA])
    trust = Trust.read(home)
    moments = [utc("1960-01-01T00:00:00Z"), LONG_AGO - DAY, LONG_AGO, CHANGE - timedelta.resolution, CHANGE, now_utc()]

    assert [trust.policy_at(moment) for moment in moments] == [BUILT_IN, BUILT_IN, first, first, second, second]


def test_changed_files_are_read_again_and_only_then(home: Home) -> None:
    put_policy(home, policy(ADA))
    trust = Trust.read(home)
    read_once = trust.policies
    trust.refresh()
    assert trust.policies is read_once

    key = PlatformKey.read_or_make(home.keys)
    put_policy(home, after(trust.policies.newest), [ADA])
    trust.refresh()

    assert trust.policies.newest.policy.version == 2
    assert trust.open_event(key.seal(b"event", EVENT_TYPE), "it") == (b"event", frozenset({key.public.keyid}))


def test_without_any_platform_key_it_says_where_one_belongs(home: Home) -> None:
    with pytest.raises(SettingError, match=r"trusted is 'empty', expected the platform's public key"):
        Trust.read(home).open_event(NEW.seal(b"event", EVENT_TYPE), "it")


def test_the_keys_of_the_home_sign_while_no_policy_lists_any(home: Home) -> None:
    trust_file(home, OLD.public)
    trust = Trust.read(home)

    trust.check_platform(frozenset({OLD.public.keyid}), now_utc(), "it")
    with pytest.raises(VerificationError, match="no valid signature"):
        trust.open_event(NEW.seal(b"event", EVENT_TYPE), "it")


def test_a_listed_platform_key_signs_in_its_time_alone_and_the_homes_own_no_more(home: Home) -> None:
    unlisted = PlatformKey(CryptoSigner.generate_ed25519())
    trust_file(home, unlisted.public)
    put_policy(home, policy(ADA, platform=(listed(OLD, valid_until_utc=CHANGE), listed(NEW, valid_from_utc=CHANGE))))
    trust = Trust.read(home)

    def may_sign(key: PlatformKey, days: int) -> bool:
        payload, keyids = trust.open_event(key.seal(b"event", EVENT_TYPE), "it")
        assert payload == b"event"
        try:
            trust.check_platform(keyids, CHANGE + days * DAY, "it")
        except VerificationError as error:
            assert "a platform key of policy version 1 that was valid at" in str(error)  # noqa: PT017 - both ways are expected
            return False
        return True

    assert [may_sign(OLD, -1), may_sign(OLD, 0)] == [True, False]
    assert [may_sign(NEW, -1), may_sign(NEW, 0)] == [False, True]
    assert [may_sign(unlisted, -1), may_sign(unlisted, 0)] == [False, False]


def test_the_platforms_key_is_rotated_by_a_version_of_the_policy(home: Home) -> None:
    """What the old key signed while it was the platform's stays valid; then only the new one adds to the ledger."""
    now = now_utc()
    earlier = now - DAY
    first = put_policy(home, policy(ADA, BOB, platform=(listed(OLD),)))
    clock = [earlier]
    ledger = Ledger(DocumentStore(home.lake), USE_CASE, Trust.read(home), home.heads, lambda: clock[0])
    decided = to_sign(decision(), first)
    ledger.append(decided, "cleo", rfc3339(earlier), OLD, sign(decided, ADA))

    keys = (listed(OLD, valid_until_utc=now), listed(NEW, valid_from_utc=now))
    second = put_policy(home, after(first, now, platform=keys), [ADA])
    clock[0] = now + timedelta(seconds=1)
    again = to_sign(decision(reason="again"), second)
    with pytest.raises(VerificationError, match="the signature of another key, expected a platform key of policy version 2"):
        ledger.append(again, "cleo", rfc3339(clock[0]), OLD, sign(again, ADA))
    ledger.append(again, "cleo", rfc3339(clock[0]), NEW, sign(again, ADA))

    restarted = Ledger(DocumentStore(home.lake), USE_CASE, Trust.read(home), clock=lambda: clock[0])
    restarted.poll()
    assert restarted.head.seq == 2


def test_the_platforms_signature_under_a_decision_stands_for_no_approver(home: Home) -> None:
    put_policy(home, policy(ADA, roles={"champion": 1}))
    trust_file(home, OLD.public)
    trust = Trust.read(home)
    decided = to_sign(decision(), trust.policies.newest)
    moment = now_utc()
    ledger = Ledger(DocumentStore(home.lake), USE_CASE, trust)

    with pytest.raises(VerificationError, match="it needs 1 signature of approvers and has 0"):
        ledger.append(decided, "cleo", rfc3339(moment), OLD)
    assert ledger.append(decided, "cleo", rfc3339(moment), OLD, sign(decided, ADA)).signers == ("ada",)
