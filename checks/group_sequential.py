"""Looking often at a test whose longest duration is declared: the boundaries of a group-sequential design.

The chance of a wrong decision is spent as time passes (Lan and DeMets, Biometrika 1983), little at first and most at the
end, as O'Brien and Fleming's boundaries do. What is declared is what it costs little: such a design keeps nearly the power
of a test with one look at its end. Times are fractions of the longest duration; at each the standardised estimate is
that of a Brownian motion, whose probability to have stayed below all earlier boundaries is integrated numerically
(Armitage, McPherson and Rowe, 1969).
"""

from functools import cache

import numpy as np
import numpy.typing as npt

# A boundary further out than this is one that nothing crosses.
FURTHEST = 8.0
_LOWEST = -5.0
_NODES_FOR_ONE_STEP = 4.0
_BATCH_OF_NODES = 100

Floats = npt.NDArray[np.float64]


def spent(fractions: Floats, alpha: float) -> Floats:
    """How much of a one-sided `alpha` may have been spent by these fractions of the longest duration."""
    from scipy.special import ndtr, ndtri

    return np.asarray(2 * ndtr(ndtri(alpha / 2) / np.sqrt(fractions)))


@cache
def boundaries(fractions: tuple[float, ...], alpha: float) -> tuple[float, ...]:
    """For looks at these rising fractions the boundary that a standardised estimate exceeds by chance with `alpha` in all.

    One-sided: a boundary on either side with half of `alpha` each makes a two-sided test. A look that is left out only makes
    a wrong decision rarer.
    """
    to_spend = np.diff(spent(np.array(fractions), alpha), prepend=0.0)
    found: list[float] = []
    nodes, mass, before = np.zeros(1), np.ones(1), 0.0
    for fraction, chance in zip(fractions, to_spend, strict=True):
        step, root = float(np.sqrt(fraction - before)), float(np.sqrt(fraction))
        found.append(_boundary(nodes, mass, step, root, float(chance)))
        nodes, mass = _carried_on(nodes, mass, step, _LOWEST * root, found[-1] * root)
        before = fraction
    return tuple(found)


def daily_boundaries(first: int, last: int, alpha: float) -> tuple[float, ...]:
    """The one-sided boundaries of daily looks, from the first day that decides to the last."""
    return boundaries(tuple(day / last for day in range(first, last + 1)), alpha)


def conditional_power(estimate: float, effect: float, fraction: float, boundary: float) -> float:
    """The chance that a standardised estimate of now, if the truth is `effect`, exceeds the last boundary at the end.

    `effect` is standardised too: what the estimate is expected to be at the end of the longest duration.
    """
    from scipy.special import ndtr

    left = 1 - fraction
    if left <= 0:
        return float(estimate >= boundary)
    return float(ndtr((estimate * np.sqrt(fraction) + effect * left - boundary) / np.sqrt(left)))


def _boundary(nodes: Floats, mass: Floats, step: float, root: float, chance: float) -> float:
    """What the next look exceeds with this chance."""
    from scipy.optimize import brentq
    from scipy.special import ndtr

    def excess(boundary: float) -> float:
        return float(mass @ ndtr((nodes - boundary * root) / step)) - chance

    if not excess(0.0) > 0 > excess(FURTHEST):
        return FURTHEST
    return float(brentq(excess, 0.0, FURTHEST, xtol=1e-10))


def _carried_on(nodes: Floats, mass: Floats, step: float, low: float, high: float) -> tuple[Floats, Floats]:
    """Where the motion stands after another step, given that it is between the two: nodes, and the mass at each."""
    high = min(high, -low)
    places, weights = _quadrature(int(np.ceil((high - low) / step * _NODES_FOR_ONE_STEP / _BATCH_OF_NODES)) * _BATCH_OF_NODES)
    after = low + (places + 1) / 2 * (high - low)
    density = np.exp(-(((after[:, None] - nodes) / step) ** 2) / 2) @ mass / (step * np.sqrt(2 * np.pi))
    return after, weights * (high - low) / 2 * density


@cache
def _quadrature(number: int) -> tuple[Floats, Floats]:
    places, weights = np.polynomial.legendre.leggauss(number)
    return places, weights
