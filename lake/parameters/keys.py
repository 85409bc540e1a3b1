"""Which keys each challenger has: places are handed out, so that a changed share moves keys between it and the champion alone.

No function of the shares alone can do that for three challengers: at half of the requests each, any two would have to
share all places, and the third as well. So each version of the parameters keeps the places that it inherits.
"""

from collections.abc import Iterable, Mapping

from lake.parameters.document import PLACES, Content, Spans
from lake.parameters.shares import greatest_planned_share

_ROUNDING = 1e-3  # of a place: shares are decimal fractions, and 0.29 of a million is not quite 290,000


def places(share: float) -> int:
    """How many places a share is. Of shares that add up to one, the places fit."""
    return int(share * PLACES + _ROUNDING)


def handed_out(content: Content, before: Mapping[str, Spans]) -> dict[str, Spans]:
    """The places of each arm: of those that it had the first that its share needs; what it lacks was the champion's.

    Only where the champion has too few does an arm get places that another one gives back in the same moment.
    """
    wanted = {name: places(greatest_planned_share(arm)) for name, arm in sorted(content.arms.items())}
    spans = {name: first(before.get(name, ()), count) for name, count in wanted.items()}
    former = [span for taken in before.values() for span in taken]
    for given_back in (former, []):
        for name, count in wanted.items():
            lacking = count - width(spans[name])
            if lacking:
                free = _free([*given_back, *(span for taken in spans.values() for span in taken)])
                spans[name] = _joined((*spans[name], *first(free, lacking)))
    return {name: taken for name, taken in spans.items() if taken}


def width(spans: Spans) -> int:
    """How many places they are."""
    return sum(end - start for start, end in spans)


def first(spans: Spans, count: int) -> Spans:
    """So many places of them, from the first on."""
    kept = []
    for start, end in spans:
        if count <= 0:
            break
        kept.append((start, min(end, start + count)))
        count -= end - start
    return tuple(kept)


def are_apart(spans: Iterable[tuple[int, int]]) -> bool:
    """Whether all are within the places, and none overlaps another."""
    last = 0
    for start, end in sorted(spans):
        if not last <= start < end <= PLACES:
            return False
        last = end
    return True


def _free(taken: Iterable[tuple[int, int]]) -> Spans:
    free, last = [], 0
    for start, end in sorted(taken):
        if last < start:
            free.append((last, start))
        last = max(last, end)
    if last < PLACES:
        free.append((last, PLACES))
    return tuple(free)


def _joined(spans: Spans) -> Spans:
    """The same places, in the same order, with neighbours as one."""
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return tuple(joined)
