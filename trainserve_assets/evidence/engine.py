"""The engine that will serve a package, and what it costs: the same bits as the trained model's, within the budget."""

from collections.abc import Sequence
from statistics import median
from time import perf_counter

import msgspec

from lake.engines import Engine, Row
from lake.evaluation import Finding
from lake.package import Package
from trainserve_assets.parity import differing, edge_rows
from trainserve_assets.use_case import Budget

MOST_ROWS = 100
_ROUND = 5


class AskedAlone(msgspec.Struct, frozen=True, kw_only=True):
    """Rows, what the engine answered to each of them alone, and the typical time that this took."""

    rows: Sequence[Row]
    scores: list[list[float]]
    latency_us: float


def ask_alone(engine: Engine, rows: Sequence[Row]) -> AskedAlone:
    """Ask the engine for one row at a time. The latency is the best of the medians of five.

    When five in a row are slow and others are not, something else had the processor.
    """
    scores, times = [], []
    for row in rows:
        start = perf_counter()
        [answer] = engine.scores([row])
        times.append(perf_counter() - start)
        scores.append(answer)
    best = min(median(times[start : start + _ROUND]) for start in range(0, len(times), _ROUND))
    return AskedAlone(rows=rows, scores=scores, latency_us=best * 1e6)


def engine_findings(package: Package, engine: Engine, alone: AskedAlone, holdout: Sequence[Row]) -> list[Finding]:
    """Whether the engine gives the sealed predictions, and answers rows alone as in a batch, to the bit.

    Where it is not the trained model's own, that one is asked for the holdout and for the rows at the model's edges too.
    """
    different = sum(tuple(score.hex() for score in engine.scores([sample.row])[0]) != sample.scores for sample in package.samples)
    apart = sum(one != other for one, other in zip(alone.scores, engine.scores(alone.rows), strict=True))
    findings = [
        _finding("the sealed predictions of the trained model are given bit for bit", different, len(package.samples)),
        _finding("a row alone is answered as in a batch, bit for bit", apart, len(alone.rows)),
    ]
    manifest = package.manifest
    if manifest.engine != manifest.reference:
        reference = package.reference()
        rows = [*holdout, *edge_rows(holdout, manifest, reference.borders())]
        claim = f"{manifest.engine} answers the holdout and the edges of the model as {manifest.reference} does, bit for bit"
        different = differing(engine, manifest.features, rows, reference.scores(rows))
        findings.append(_finding(claim, different, len(rows)))
    return findings


def budget_findings(package: Package, alone: AskedAlone, budget: Budget) -> list[Finding]:
    """Whether latency and size are within the budget.

    A latency is never the same twice, and equal packages are to have equal documents: on which side of the budget it is
    is all that is said of it.
    """
    size = sum(map(len, package.files.values()))
    fast = alone.latency_us <= budget.latency_us
    return [
        Finding(
            topic="budget",
            claim=f"one row is answered within {budget.latency_us:,} us",
            passed=fast,
            found="the median is within it" if fast else "the median is over it",
            n=len(alone.rows),
        ),
        Finding(
            topic="budget",
            claim=f"the package has at most {budget.package_bytes:,} bytes",
            passed=size <= budget.package_bytes,
            found=f"{size:,} bytes",
            n=1,
        ),
    ]


def _finding(claim: str, different: int, n: int) -> Finding:
    return Finding(topic="engine", claim=claim, passed=not different, found=f"{different:,} of {n:,} answers differ", n=n)
