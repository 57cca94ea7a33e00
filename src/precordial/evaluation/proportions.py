"""Shares with exact intervals."""

from __future__ import annotations

import math

from precordial.evaluation.estimate import Estimate


def proportion(count: int, n: int, level: float = 0.95) -> Estimate:
    """A share with its exact interval (Clopper and Pearson 1934), which covers at least as often as it says.

    Args:
        count: how many of n have it.
        n: 0 gives NaN.
        level: of the interval.

    Returns:
        The share; `n` and `events` of the estimate are n and count.

    Raises:
        ValueError: count is not between 0 and n, or level not between 0 and 1.

    >>> print(proportion(3, 349))
    0.009 (0.002–0.025)
    """
    from scipy.special import betaincinv

    if not 0 <= count <= n or not 0 < level < 1:
        raise ValueError(f"{count} of {n} at level {level}: a count lies between 0 and n, a level between 0 and 1")
    if not n:
        return Estimate(math.nan, math.nan, math.nan, level, 0, 0)
    tail = (1 - level) / 2
    low = float(betaincinv(count, n - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, n - count, 1 - tail)) if count < n else 1.0
    return Estimate(count / n, low, high, level, n, count)
