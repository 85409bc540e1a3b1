"""What an erasure finds, and what it costs, in lines for a terminal."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.markup import escape

from lake.log.erasure import counted
from trainserve_assets.erasure.eraser import Sighting
from trainserve_assets.erasure.versions import ErasedVersion

_FOUND_BY = {
    "entity": "by its key",
    "features": "by their features",
    "raw": "refused requests whose body mentions it",
    "request": "for its predictions",
}


def lines_of_sighting(seen: Sighting, waiting: int, files: Sequence[Path]) -> Iterator[str]:
    """What there is of an entity."""
    for name, rows in seen.logged.items():
        by = ", ".join(f"{count:,} {_FOUND_BY[found_by]}" for found_by, count in counted(rows).items())
        yield f"{name:<12} {rows.height:,} rows{f' ({by})' if by else ''}"
    yield f"{'feedback':<12} {seen.feedback:,} rows"
    yield f"{'dataset':<12} {seen.examples:,} rows, and rows in {len(seen.versions)} of its versions"
    if waiting:
        yield f"{'spools':<12} {waiting:,} records of this machine mention it, and wait to be shipped"
    for path in files:
        yield f"{'unreadable':<12} {escape(str(path))} mentions it"
    yield from lines_of_loss(seen.versions, seen.tied)


def lines_of_loss(lost: Sequence[ErasedVersion], tied: int) -> Iterator[str]:
    """What can no longer be reproduced, and what an erasure does not reach."""
    for one in lost:
        yield f"dataset version {one.dataset_version} can no longer be read, so these can no longer be reproduced:"
        yield from (f"  package {digest}" for digest in one.packages)
        yield from (f"  evaluation {digest}" for digest in one.evaluations)
        if not one.packages and not one.evaluations:
            yield "  (nothing was trained or judged on it)"
    for digest in sorted({digest for one in lost for digest in one.samples_in}):
        yield f"[yellow]package {digest} has values of it[/] in its sealed samples or categories, which its digest covers:"
        yield "  revoke it, train again and remove its folder, if they may not stay"
    if tied:
        yield f"{tied:,} predictions about others were routed by its key, and keep its keyed hash: their proofs cover it"
