"""The trust root: each version counts only as signed by those the one before named, and none that was seen goes away."""

import re
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from lake.documents import canonical
from lake.errors import SettingError, VerificationError
from lake.home import Home
from lake.release.approvers import POLICY_TYPE, Signature, Written, read_policies, read_written, signed, write_written
from lake.release.policy import BUILT_IN, Approver, Key, Policy, PolicyVersion
from lake.release.signatures import public_text
from tests.approvers import ADA, BOB, EVE, LONG_AGO, Person, after, policy, put_policy

DAY = timedelta(days=1)
KEY = public_text(ADA.key.public)
ENTRY = f"""
- policy:
    version: 1
    valid_from_utc: 2026-01-31T12:00:00Z
    approvers:
    - name: ada
      keys: [{{public_key: {KEY}, valid_from_utc: "2026-01-31T12:00:00Z"}}]
"""


def versions(home: Home) -> list[int]:
    """The numbers of the versions that count, as a reader that keeps heads finds them."""
    return [version.policy.version for version in read_policies(home.approvers, home.heads).versions]


def write(home: Home, text: str) -> None:
    home.approvers.parent.mkdir(parents=True, exist_ok=True)
    home.approvers.write_text(text)


def write_signed_by_anybody(home: Home, before: Written, text: dict[str, Any], signers: list[Person]) -> None:
    """Write the file with the signatures of these people, whether they count or not, as somebody by hand could."""
    signatures = (person.key.sign(canonical(text), POLICY_TYPE) for person in signers)
    marks = msgspec.convert(tuple(signatures), tuple[Signature, ...])
    write_written(home.approvers, [before, Written(policy=text, signatures=marks)])


def two_keys(person: Person, other: Person) -> Approver:
    """One approver who holds the keys of both."""
    return person.listed(keys=(*person.listed().keys, *other.listed().keys))


def test_without_a_file_the_built_in_policy_is_in_force(home: Home) -> None:
    policies = read_policies(home.approvers, home.heads)

    assert policies.newest == BUILT_IN
    assert policies.pending is None


def test_the_first_version_counts_as_it_stands_and_a_later_one_by_its_signatures(home: Home) -> None:
    first = put_policy(home, policy(ADA, BOB, quorum=2))
    second = put_policy(home, after(first, expired="refuse"), [ADA, BOB])
    put_policy(home, after(second), [BOB, ADA])

    assert versions(home) == [0, 1, 2, 3]
    assert read_policies(home.approvers).versions[2] == second


def test_a_version_without_its_quorum_waits_and_the_one_before_stays_in_force(home: Home) -> None:
    first = put_policy(home, policy(ADA, BOB, quorum=2))
    proposed = put_policy(home, after(first), [ADA])
    policies = read_policies(home.approvers, home.heads)

    assert policies.newest == first
    assert policies.pending == proposed
    assert policies.lacks == "1 of 2 signatures of approvers whom version 1 names"

    write_written(home.approvers, signed(read_written(home.approvers), BOB.key, home.approvers))

    assert read_policies(home.approvers, home.heads).newest == proposed
    assert read_policies(home.approvers, home.heads).pending is None


def test_a_version_after_one_that_waits_is_refused(home: Home) -> None:
    waiting = put_policy(home, after(put_policy(home, policy(ADA, BOB))))
    text = msgspec.to_builtins(after(waiting))
    write_written(home.approvers, [*read_written(home.approvers), Written(policy=text)])

    with pytest.raises(VerificationError, match=r"version 2 .*: found 0 of 1 signatures"):
        read_policies(home.approvers)


@pytest.mark.parametrize(
    ("first", "signers"),
    [
        pytest.param(policy(ADA, BOB, quorum=2), [ADA, EVE], id="a stranger"),
        pytest.param(policy(ADA, BOB, EVE.listed(until=LONG_AGO + DAY), quorum=2), [ADA, EVE], id="a retired key"),
        pytest.param(policy(ADA, BOB, EVE.listed(since=LONG_AGO + 2 * DAY), quorum=2), [ADA, EVE], id="a key of later"),
        pytest.param(policy(two_keys(ADA, EVE), BOB, quorum=2), [ADA, EVE], id="one person with two keys"),
        pytest.param(policy(ADA, BOB, quorum=2), [ADA, ADA], id="one key twice"),
    ],
)
def test_signatures_that_do_not_count_make_no_quorum(home: Home, first: Policy, signers: list[Person]) -> None:
    text = msgspec.to_builtins(after(put_policy(home, first)))
    [before] = read_written(home.approvers)
    write_signed_by_anybody(home, before, text, signers)
    policies = read_policies(home.approvers)

    assert [version.policy.version for version in policies.versions] == [0, 1]
    assert re.fullmatch("[01] of 2 signatures of approvers whom version 1 names", policies.lacks)


def test_signatures_of_strangers_do_not_hide_those_that_count(home: Home) -> None:
    text = msgspec.to_builtins(after(put_policy(home, policy(ADA, BOB))))
    [before] = read_written(home.approvers)
    write_signed_by_anybody(home, before, text, [EVE, BOB])

    assert versions(home) == [0, 1, 2]


def test_nobody_signs_whose_signature_would_not_count(home: Home) -> None:
    put_policy(home, after(put_policy(home, policy(ADA, BOB.listed(until=LONG_AGO + DAY)))))
    written = read_written(home.approvers)

    for person in (EVE, BOB):
        with pytest.raises(SettingError, match="expected a key of an approver whom version 1 names"):
            signed(written, person.key, home.approvers)


def test_the_first_version_is_not_signed(home: Home) -> None:
    put_policy(home, policy(ADA))

    with pytest.raises(SettingError, match="a second one to sign"):
        signed(read_written(home.approvers), ADA.key, home.approvers)
    with pytest.raises(SettingError, match="a second one to sign"):
        signed((), ADA.key, home.approvers)


def test_signing_again_changes_nothing(home: Home) -> None:
    put_policy(home, after(put_policy(home, policy(ADA, BOB))), [ADA])
    once = read_written(home.approvers)

    assert signed(once, ADA.key, home.approvers) == once


def test_a_signature_that_is_damaged_does_not_count_and_is_replaced(home: Home) -> None:
    put_policy(home, after(put_policy(home, policy(ADA, BOB))))
    first, second = read_written(home.approvers)
    damaged = Signature(keyid=ADA.key.public.keyid, sig="not base64")
    write_written(home.approvers, [first, msgspec.structs.replace(second, signatures=(damaged,))])

    assert read_policies(home.approvers).lacks.startswith("0 of 1 signatures")
    write_written(home.approvers, signed(read_written(home.approvers), ADA.key, home.approvers))
    assert versions(home) == [0, 1, 2]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"version": 3}, r"version 2 of .*: found version 3, expected version 2"),
        ({"version": 1}, r"version 2 of .*: found version 1, expected version 2"),
        ({"previous": "1" * 64}, "found a link to 111111111111"),
        ({"previous": None}, "found a link to None"),
        ({"valid_from_utc": LONG_AGO}, "expected a later moment than the version before"),
        ({"valid_from_utc": LONG_AGO - DAY}, "expected a later moment than the version before"),
    ],
)
def test_a_version_that_does_not_follow_is_refused(home: Home, changes: dict[str, Any], complaint: str) -> None:
    put_policy(home, msgspec.structs.replace(after(put_policy(home, policy(ADA, BOB))), **changes))

    with pytest.raises(VerificationError, match=complaint):
        read_policies(home.approvers)


def test_the_first_version_is_version_1(home: Home) -> None:
    put_policy(home, policy(ADA, version=2))

    with pytest.raises(VerificationError, match=r"version 1 of .*: found version 2, expected version 1"):
        read_policies(home.approvers)


@pytest.mark.parametrize("seen", [True, False])
def test_a_changed_old_version_breaks_the_link_to_it(home: Home, *, seen: bool) -> None:
    put_policy(home, after(put_policy(home, policy(ADA, BOB))), [ADA])
    if seen:
        versions(home)
    first, second = read_written(home.approvers)
    write_written(home.approvers, [msgspec.structs.replace(first, policy=first.policy | {"expired": "refuse"}), second])

    with pytest.raises(VerificationError, match=r"version 2 of .*: found a link to"):
        read_policies(home.approvers, home.heads)


def test_a_changed_signed_version_loses_its_signatures(home: Home) -> None:
    put_policy(home, after(put_policy(home, policy(ADA, BOB))), [ADA])
    assert read_policies(home.approvers).pending is None
    first, second = read_written(home.approvers)
    write_written(home.approvers, [first, msgspec.structs.replace(second, policy=second.policy | {"quorum": 2})])

    assert read_policies(home.approvers).lacks.startswith("0 of 1 signatures")


@pytest.mark.parametrize("kept", [0, 1])
def test_a_file_that_lost_a_version_is_noticed_also_after_a_restart(home: Home, kept: int) -> None:
    put_policy(home, after(put_policy(home, policy(ADA, BOB))), [ADA])
    whole = read_written(home.approvers)
    assert versions(home) == [0, 1, 2]
    write_written(home.approvers, whole[:kept])

    for _ in range(2):
        with pytest.raises(VerificationError, match=rf"found {kept} versions that hold, expected at least 2, as were seen"):
            read_policies(home.approvers, home.heads)
    write_written(home.approvers, whole)
    assert versions(home) == [0, 1, 2], "it is accepted again once it is whole"


def test_a_file_that_is_gone_is_noticed(home: Home) -> None:
    put_policy(home, policy(ADA))
    versions(home)
    home.approvers.unlink()

    with pytest.raises(VerificationError, match="found 0 versions that hold"):
        read_policies(home.approvers, home.heads)


def test_another_story_of_the_same_length_is_refused(home: Home) -> None:
    put_policy(home, policy(ADA))
    versions(home)
    home.approvers.unlink()
    put_policy(home, policy(EVE))

    with pytest.raises(VerificationError, match="found another version 1, expected the one seen before"):
        read_policies(home.approvers, home.heads)


def test_a_longer_story_that_leaves_what_was_seen_is_refused(home: Home) -> None:
    put_policy(home, policy(ADA))
    versions(home)
    home.approvers.unlink()
    put_policy(home, after(put_policy(home, policy(EVE))), [EVE])

    with pytest.raises(VerificationError, match="found another version 1"):
        read_policies(home.approvers, home.heads)


def test_a_version_that_waits_may_be_taken_back(home: Home) -> None:
    put_policy(home, after(put_policy(home, policy(ADA, BOB))))
    assert versions(home) == [0, 1]
    write_written(home.approvers, read_written(home.approvers)[:1])

    assert versions(home) == [0, 1]
    assert read_policies(home.approvers).pending is None


def test_who_was_added_signs_the_next_version_and_who_was_retired_does_not(home: Home) -> None:
    first = put_policy(home, policy(ADA, BOB))
    change = first.policy.valid_from_utc + DAY
    second = put_policy(home, after(first, approvers=(ADA.listed(until=change), BOB.listed(), EVE.listed(since=change))), [ADA])
    put_policy(home, after(second))
    written = read_written(home.approvers)

    with pytest.raises(SettingError, match="whom version 2 names"):
        signed(written, ADA.key, home.approvers)
    write_written(home.approvers, signed(written, EVE.key, home.approvers))

    assert versions(home) == [0, 1, 2, 3], "what ada signed while her key was valid still counts"


@pytest.mark.parametrize(
    ("moment", "valid"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00+00:00"),
        ("'2026-01-31T12:00:00Z'", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31 14:00:00+02:00", "2026-01-31T14:00:00+02:00"),
    ],
)
def test_times_are_read_with_quotes_and_without(home: Home, moment: str, valid: str) -> None:
    write(home, ENTRY.replace("2026-01-31T12:00:00Z", moment, 1))

    assert read_policies(home.approvers).newest.policy.valid_from_utc.isoformat() == valid


def test_a_time_means_the_same_version_with_quotes_and_without(home: Home) -> None:
    found: list[PolicyVersion] = []
    for moment in ("2026-01-31T12:00:00Z", '"2026-01-31T12:00:00Z"'):
        write(home, ENTRY.replace("2026-01-31T12:00:00Z", moment, 1))
        found.append(read_policies(home.approvers).newest)

    assert found[0] == found[1]


@pytest.mark.parametrize("moment", ["2026-01-31T12:00:00", "2026-01-31 12:00:00", "2026-01-31", "soon", "1"])
def test_a_time_without_its_offset_is_refused(home: Home, moment: str) -> None:
    write(home, ENTRY.replace("2026-01-31T12:00:00Z", moment, 1))

    with pytest.raises(SettingError, match=r"valid_from_utc"):
        read_policies(home.approvers)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "null, where a list is expected"),
        ("policy: {}", "an object, where a list is expected"),
        ("- policy: [", "no YAML at line 2, column 1: did not find expected node content"),
        ("- policy: {}\n  colour: blue", "unknown member `colour`"),
        ("- signatures: []", "without the member `policy`"),
        ("- policy: {}\n  signatures: [5]", "an integer at \\[0\\].signatures\\[0\\], where an object is expected"),
        ("- policy: {}\n  signatures: [{keyid: x}]", "without the member `sig`"),
        ("- policy: {1: one}", "an integer at a name in .*, where text is expected"),
        ("- policy: {}", "without the member `version`"),
        ("- policy: !!python/object/apply:os.getcwd []", "python/object"),
        (ENTRY.replace("name: ada", "name: ada\n      colour: blue"), "unknown member `colour`"),
        (ENTRY.replace(KEY, "short"), "public_key is 'short', expected base64 of the 32 bytes"),
        (ENTRY.replace("version: 1", "version: 1\n    quorum: 2"), "quorum is 2, expected at most 1"),
    ],
)
def test_a_file_that_cannot_be_read_says_what_is_wrong(home: Home, text: str, complaint: str) -> None:
    write(home, text)

    with pytest.raises(SettingError, match=complaint):
        read_policies(home.approvers)


def test_bytes_that_are_no_text_are_told_from_a_missing_file(home: Home) -> None:
    home.approvers.parent.mkdir(parents=True)
    home.approvers.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(SettingError, match=r"approvers\.yaml"):
        read_policies(home.approvers)


def test_a_key_may_be_rotated_by_its_owner_alone_where_one_signature_is_enough(home: Home) -> None:
    renewed = Person("ada")
    first = put_policy(home, policy(ADA))
    change = LONG_AGO + 10 * DAY
    keys = (
        Key(public_key=KEY, valid_from_utc=LONG_AGO, valid_until_utc=change),
        Key(public_key=public_text(renewed.key.public), valid_from_utc=change),
    )
    second = put_policy(home, after(first, change, approvers=(ADA.listed(keys=keys),)), [ADA])
    put_policy(home, after(second), [renewed])

    assert versions(home) == [0, 1, 2, 3]
