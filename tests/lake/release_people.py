"""The approvers of a release world: the keys that they have had, and the versions of the policy that they propose and sign."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from lake.errors import SettingError
from lake.home import Home
from lake.release.approvers import read_written, signed, write_written
from lake.release.policy import PolicyVersion
from lake.release.proposal import Proposal, proposed
from lake.release.signatures import public_text
from tests.approvers import ADA, BOB, EVE, Person, policy, put_policy

MALLORY = Person("mallory")


class People:
    """ada and bob decide on everything, eve on no champion; mallory is nobody. `pending` is the version that lacks signatures."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._keys = {person.name: [person] for person in (ADA, BOB, EVE, MALLORY)}
        self.pending: PolicyVersion | None = None

    def first_policy(self) -> PolicyVersion:
        """Two sign for a champion, one for a challenger, none for a shadow."""
        eve = EVE.listed(roles=("challenger", "shadow"))
        return put_policy(self._home, policy(ADA, BOB, eve, quorum=2, roles={"champion": 2, "challenger": 1}))

    def keys_of(self, name: str) -> list[Person]:
        """The keys that this person has had, the newest last."""
        return self._keys[name]

    def newest_keys(self) -> Iterator[Person]:
        """The newest key of each approver."""
        return (keys[-1] for name, keys in self._keys.items() if name != MALLORY.name)

    def new_key(self, name: str) -> str:
        """Make a key for this person; returns what `--add` takes."""
        person = Person(name)
        self._keys[name].append(person)
        return f"{name}={public_text(person.key.public)}"

    def propose(self, before: PolicyVersion, proposal: Proposal, start: datetime) -> None:
        """Write the next version, unless it would leave fewer people than it asks for."""
        with suppress(SettingError):
            self.pending = put_policy(self._home, proposed(before, proposal, start))

    def sign(self, name: str, before: PolicyVersion) -> PolicyVersion | None:
        """Sign what is pending with whichever key counts; returns it once as many have as the version before asks for."""
        for person in reversed(self.keys_of(name) if self.pending else []):
            with suppress(SettingError):
                written = signed(read_written(self._home.approvers), person.key, self._home.approvers)
                write_written(self._home.approvers, written)
                if len(written[-1].signatures) >= before.policy.quorum:
                    done, self.pending = self.pending, None
                    return done
        return None

    def take_back(self) -> None:
        """Take what is pending out of the file."""
        write_written(self._home.approvers, read_written(self._home.approvers)[:-1])
        self.pending = None
