"""What is live is a fold over the ledger: the same for every reader, with at most one champion."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.release.ledger import Entry, Event
from lake.release.live import Live, fold, released_version, revoked
from lake.times import utc
from tests.scenario import decision

PACKAGES = tuple(letter * 64 for letter in "abcd")
A, B, C, D = PACKAGES


def entries(*decisions: dict[str, Any]) -> list[Entry]:
    """Verified entries with these decisions, in order."""
    return [
        Entry(
            event=Event(seq=seq, previous="", at_utc=f"2026-01-01T00:00:{seq:02}Z", launcher="ada", decision={}),
            decision=decision(**{"nonce": str(seq), **facts}),
            digest="",
        )
        for seq, facts in enumerate(decisions, start=1)
    ]


def approve(package: str, arm: str = "champion", role: str = "champion") -> dict[str, Any]:
    return {"decision": "approve", "package_digest": package, "arm": arm, "role": role}


def revoke(package: str, arm: str = "champion") -> dict[str, Any]:
    return {**approve(package, arm), "decision": "revoke"}


def roll_back(package: str, arm: str = "champion", role: str = "champion") -> dict[str, Any]:
    return {**approve(package, arm, role), "decision": "roll back"}


def served(*decisions: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """For each arm the package it serves, and in which role."""
    return {arm: (release.package_digest, release.role) for arm, release in fold(entries(*decisions)).releases.items()}


def test_nothing_is_live_before_the_first_approval() -> None:
    live = fold([])

    assert live == Live({})
    assert live.champion is None
    assert live.on("champion") is None


def test_an_approval_is_live_with_the_facts_of_its_event() -> None:
    [entry] = entries({**approve(A), "greatest_share": 0.5, "model_version": "parcels 1.0.0-7.1"})
    release = fold([entry]).champion

    assert release is not None
    assert (release.seq, release.at_utc, release.approver) == (1, entry.event.at_utc, "ada")
    assert (release.package_digest, release.model_version, release.greatest_share) == (A, "parcels 1.0.0-7.1", 0.5)


def test_an_approval_replaces_what_its_arm_served() -> None:
    assert served(approve(A), approve(B)) == {"champion": (B, "champion")}


def test_champion_and_challengers_stand_beside_each_other() -> None:
    assert served(approve(A), approve(B, "trial", "challenger"), approve(C, "dark", "shadow")) == {
        "champion": (A, "champion"),
        "dark": (C, "shadow"),
        "trial": (B, "challenger"),
    }


def test_a_new_champion_ends_the_champion_of_another_arm() -> None:
    assert served(approve(A, "one"), approve(B, "two")) == {"two": (B, "champion")}


def test_a_revoked_package_is_taken_off_every_arm() -> None:
    assert served(approve(A), approve(A, "trial", "challenger"), approve(B, "dark", "shadow"), revoke(A)) == {
        "dark": (B, "shadow")
    }


def test_a_revocation_falls_back_to_what_the_arm_served_before() -> None:
    assert served(approve(A), approve(B), revoke(B)) == {"champion": (A, "champion")}
    assert served(approve(A), approve(B), approve(C), revoke(B), revoke(C)) == {"champion": (A, "champion")}


def test_a_revocation_never_falls_back_to_a_champion_that_another_arm_has_ended() -> None:
    decisions = [approve(A, "one"), approve(B, "one", "challenger"), approve(C, "two"), revoke(B)]

    assert served(*decisions) == {"two": (C, "champion")}


def test_a_revoked_package_comes_back_by_a_new_approval_only() -> None:
    assert served(approve(A), revoke(A), roll_back(A)) == {}
    assert served(approve(A), revoke(A), approve(A)) == {"champion": (A, "champion")}


def test_a_roll_back_makes_an_earlier_approval_live_again() -> None:
    assert served(approve(A), approve(B), roll_back(A)) == {"champion": (A, "champion")}
    assert served(approve(A, "one"), approve(B, "two"), roll_back(A, "one")) == {"one": (A, "champion")}


@pytest.mark.parametrize("place", [{"package": B}, {"arm": "trial"}, {"role": "challenger"}])
def test_a_roll_back_to_what_was_never_approved_there_does_nothing(place: dict[str, str]) -> None:
    assert served(approve(A), roll_back(**{"package": A, **place})) == {"champion": (A, "champion")}


def test_a_rejection_changes_nothing() -> None:
    assert served(approve(A), {**approve(B), "decision": "reject"}) == {"champion": (A, "champion")}


def test_only_approvals_are_counted_by_the_version() -> None:
    version = {"model_version": "trees 0.2.1-7.1"}
    decided = [approve(A) | version, {**approve(B), "decision": "reject"}, approve(B) | version]
    rolled_back = [*decided, roll_back(A) | version]

    assert [release.model_version for release in fold(entries(*decided)).releases.values()] == ["trees 2.2.1-7.1"]
    assert [release.model_version for release in fold(entries(*rolled_back)).releases.values()] == ["trees 1.2.1-7.1"]
    assert released_version("unversioned", 3) == "unversioned"


def test_a_roll_back_never_lasts_longer_nor_reaches_further_than_the_approval() -> None:
    [first, second, again] = entries(approve(A) | {"greatest_share": 0.2}, approve(B), roll_back(A))
    terms = [
        msgspec.structs.replace(first, expires_at_utc="2026-02-01T00:00:00Z"),
        second,
        msgspec.structs.replace(again, expires_at_utc="2026-03-01T00:00:00Z"),
    ]
    champion = fold(terms).champion

    assert champion is not None
    assert (champion.expires_at_utc, champion.greatest_share) == ("2026-02-01T00:00:00Z", 0.2)
    assert champion.expired(utc("2026-02-01T00:00:00Z"))
    assert not champion.expired(utc("2026-01-31T23:59:59Z"))


def test_a_roll_back_to_a_roll_back_lasts_no_longer_than_the_approval() -> None:
    decided = entries(approve(A), approve(B), roll_back(A), approve(B), roll_back(A))
    terms = [
        msgspec.structs.replace(entry, expires_at_utc=f"2026-{month:02}-01T00:00:00Z")
        for entry, month in zip(decided, (2, 3, 4, 5, 6), strict=True)
    ]
    champion = fold(terms).champion

    assert champion is not None
    assert (champion.seq, champion.expires_at_utc) == (5, "2026-02-01T00:00:00Z")


def test_a_new_approval_begins_a_new_term_that_a_roll_back_returns_to() -> None:
    first, second, other, again = entries(approve(A), approve(A), approve(B), roll_back(A))
    terms = [
        msgspec.structs.replace(first, expires_at_utc="2026-02-01T00:00:00Z"),
        msgspec.structs.replace(second, expires_at_utc="2026-04-01T00:00:00Z"),
        other,
        msgspec.structs.replace(again, expires_at_utc="2026-05-01T00:00:00Z"),
    ]
    champion = fold(terms).champion

    assert champion is not None
    assert champion.expires_at_utc == "2026-04-01T00:00:00Z"


def test_who_signed_stands_in_the_release_else_who_claims_to_have_decided() -> None:
    [claimed] = entries(approve(A))
    signed = msgspec.structs.replace(
        claimed, signers=("ada", "bob"), event=msgspec.structs.replace(claimed.event, identity="signed")
    )
    releases = [fold([entry]).champion for entry in (claimed, signed)]

    assert [(one.approver, one.identity) for one in releases if one] == [("ada", "claimed"), ("ada and bob", "signed")]


def test_a_package_is_revoked_until_it_is_approved_again() -> None:
    assert revoked(entries(approve(A), revoke(A), approve(B))) == {A}
    assert revoked(entries(approve(A), revoke(A), roll_back(A))) == {A}
    assert revoked(entries(approve(A), revoke(A), approve(A, "trial", "challenger"))) == set()


DECISIONS = st.lists(
    st.fixed_dictionaries(
        {
            "decision": st.sampled_from(["approve", "revoke", "roll back", "reject"]),
            "package_digest": st.sampled_from(PACKAGES),
            "arm": st.sampled_from(["one", "two", "three"]),
            "role": st.sampled_from(["champion", "challenger", "shadow"]),
        }
    ),
    max_size=20,
)


@given(DECISIONS)
def test_whatever_was_decided_there_is_one_champion_at_most_and_nothing_revoked_is_live(decisions: list[dict[str, Any]]) -> None:
    live = fold(entries(*decisions))
    approved: set[tuple[str, str, str]] = set()
    for one in decisions:
        if one["decision"] == "approve":
            approved.add((one["package_digest"], one["arm"], one["role"]))
        elif one["decision"] == "revoke":
            approved = {place for place in approved if place[0] != one["package_digest"]}

    assert sum(release.role == "champion" for release in live.releases.values()) <= 1
    for arm, release in live.releases.items():
        assert release.arm == arm
        assert (release.package_digest, arm, release.role) in approved


@given(DECISIONS, st.sampled_from(PACKAGES))
def test_the_newest_approval_is_always_live(decisions: list[dict[str, Any]], approved: str) -> None:
    assert served(*decisions, approve(approved, "one"))["one"] == (approved, "champion")


@given(DECISIONS)
def test_nothing_revoked_is_live(decisions: list[dict[str, Any]]) -> None:
    decided = entries(*decisions)

    assert revoked(decided).isdisjoint(release.package_digest for release in fold(decided).releases.values())
