"""Whether arms got their planned shares: the sequential multinomial test, which may be looked at as often as one likes."""

from collections.abc import Sequence

import msgspec
import numpy as np

_CONCENTRATION = 1_000.0


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """How many units went to each arm while these shares were planned; the shares add up to 1."""

    units: tuple[int, ...]
    shares: tuple[float, ...]


def sample_ratio_probability(assignments: Sequence[Assignment]) -> float:
    """The probability, at most, that a true randomisation ever looks as uneven as this, however often it is looked at.

    One over the Bayes factor of a Dirichlet alternative centred on the plan, in log space, over all plans together. A
    unit in an arm whose planned share is 0 makes it 0.
    """
    from scipy.special import gammaln

    log_factor = 0.0
    for assignment in assignments:
        units, shares = np.array(assignment.units, dtype=float), np.array(assignment.shares, dtype=float)
        if (units[shares <= 0] > 0).any():
            return 0.0
        units, shares = units[shares > 0], shares[shares > 0]
        prior = _CONCENTRATION * shares
        log_factor += float(
            gammaln(prior.sum())
            - gammaln(prior.sum() + units.sum())
            + (gammaln(prior + units) - gammaln(prior) - units * np.log(shares)).sum()
        )
    return float(np.exp(min(0.0, -log_factor)))
