"""`trainserve reproduce`: trains a package again, and says whether it comes out the same."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from lake.delta import Table
from lake.documents import DocumentStore
from lake.errors import NotFound
from lake.home import Home
from lake.package import Package
from lake.tables import DATASET
from trainserve_assets.erasure.versions import find_erased_version
from trainserve_assets.reproduction import Circumstance, Comparison, circumstances, compare, find_package, read_rows, train_again


def reproduce(package_digest: str, *, use_case: str | None = None) -> int:
    """Train a package again from its manifest alone, and compare. Status 0 if it is reproduced, 1 if not.

    A CatBoost package has to come out with the same digest; one of scikit-learn has to give the same answers, to the
    bit, on the sealed samples and on the whole holdout. Nothing is written into the lake.

    Parameters
    ----------
    package_digest
        The package's digest, or at least its first 8 digits.
    use_case
        Where to look for it; everywhere if not given.

    """
    home = Home.from_environment()
    store = DocumentStore(home.lake, make=False)
    console = Console(soft_wrap=True, highlight=False)
    package = find_package(store, package_digest, use_case)
    manifest = package.manifest
    console.print(f"[bold]{escape(manifest.use_case)}/{escape(manifest.candidate)}[/], package {package.digest}")
    dataset = Table(home.lake, manifest.use_case, DATASET)
    console.print(_beside(list(circumstances(store, dataset, manifest))))
    with console.status(f"reading version {manifest.dataset_version} of the dataset"):
        try:
            rows = read_rows(dataset, manifest)
        except NotFound as gone:
            if (erased := find_erased_version(store, manifest.use_case, manifest.dataset_version)) is None:
                raise
            do = f"It held an entity that was erased (named at {erased.named_at_utc}), so nothing trained on it can be again."
            raise NotFound("dataset version", f"{manifest.use_case}/dataset/{manifest.dataset_version}", do) from gone
    console.print(f"{rows.known.height:,} rows to train on, {rows.holdout.height:,} in the holdout")
    with console.status(f"training {manifest.trainer} again"):
        again = train_again(manifest, rows)
    with console.status("comparing"):
        comparison = compare(package, again, rows)
    console.print(_verdict(package, comparison))
    return int(bool(comparison.differences))


def _beside(found: list[Circumstance]) -> RichTable:
    table = RichTable("", "in the manifest", "here", "", box=None, padding=(0, 2, 0, 0))
    for column in table.columns[:-1]:
        column.no_wrap = True
    for one in found:
        here = "the same" if one.here == one.then else escape(one.here)
        table.add_row(one.what, escape(one.then), here, f"[yellow]{escape(one.note)}[/]" if one.note else "")
    return table


def _verdict(package: Package, comparison: Comparison) -> str:
    if comparison.differences:
        lines = [f"  - {escape(difference)}" for difference in comparison.differences]
        return "\n".join(["[bold red]Not reproduced:[/]", *lines])
    if comparison.digest == package.digest:
        return "[bold green]Reproduced:[/] trained again, the package has the same digest."
    return (
        f"[bold green]Reproduced:[/] trained again, the model gives the same bits on all {comparison.samples} sealed samples "
        f"and all {comparison.holdout_rows:,} rows of the holdout."
    )
