"""Resources: the lake that the assets read and write."""

from contextlib import AbstractContextManager
from pathlib import Path

import dagster as dg
from pydantic import Field

from lake.bucket import check_put_if_absent
from lake.delta import Table
from lake.documents import DocumentStore
from lake.home import Home
from lake.log.privacy import Privacy
from lake.log.unreadable import naming_files
from lake.release.ledger import Ledger
from lake.release.trust import Trust


class LakeResource(dg.ConfigurableResource[None]):
    """The lake of this installation; without values it is the one that the environment names."""

    root: str = Field(default="", description="The platform's home; empty: TRAINSERVE_HOME, else .trainserve")
    address: str = Field(default="", description="The lake, a folder or s3://...; empty: TRAINSERVE_LAKE, else lake/ in the home")

    @property
    def home(self) -> Home:
        """Where everything stands."""
        if not self.root:
            return Home.from_environment()
        return Home.at(Path(self.root), self.address or None)

    @property
    def store(self) -> DocumentStore:
        """The lake's documents. Raises SettingError, before a run does anything, for a lake that no run may write."""
        lake = self.home.lake
        check_put_if_absent(lake)
        return DocumentStore(lake)

    @property
    def privacy(self) -> Privacy:
        """What hashes keys and sensitive values of the rows of this lake."""
        return Privacy.open(self.home.keys, self.store)

    def table(self, use_case: str, name: str) -> Table:
        """One Delta table of a use case."""
        return Table(self.home.lake, use_case, name)

    def naming_files(self, use_case: str, *names: str) -> AbstractContextManager[None]:
        """Around what reads these tables of a use case: a data file that cannot be read is named, and what to do about it."""
        return naming_files(self.home.lake, *(self.table(use_case, name) for name in names))

    def ledger(self, use_case: str) -> Ledger:
        """The verified ledger of a use case, read to its end. Before the first release it is empty."""
        home = self.home
        ledger = Ledger(self.store, use_case, Trust.read(home), home.heads)
        ledger.poll()
        return ledger


def fixed(**resources: dg.ConfigurableResource[None]) -> dict[str, dg.ResourceDefinition]:
    """Resources that a run's config cannot change, so that the Launchpad shows an asset's own fields and nothing else."""
    return {name: dg.ResourceDefinition.hardcoded_resource(resource) for name, resource in resources.items()}
