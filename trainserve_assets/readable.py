"""Numbers as people read them in Dagit: they stay numbers, which it draws over time, but of six digits."""

import math

_DIGITS = 6  # enough for a plot, and few enough to be read


def readable(value: float) -> float:
    """A number to six significant digits; what is no number, or infinite, is as it was."""
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else value
