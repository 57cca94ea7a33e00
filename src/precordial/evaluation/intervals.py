"""Intervals and p-values from resampled values of a statistic.

θ is the statistic on the set itself, q are quantiles of its values over the resamples.

- basic: (2θ − q97.5, 2θ − q2.5), the paper's (Wehrens et al. 2000). It may pass the bounds of the metric (an AUC above
  1); that is its definition, and it is kept.
- percentile: (q2.5, q97.5).
- bca: percentiles at levels shifted for the bias and the skewness of the statistic (Efron 1987; Davison and Hinkley
  1997, equation 5.21). The acceleration comes from the influences of what was resampled.

Resamples in which the statistic is undefined, such as those without a case, are left out; if they are more than
1 − level of all, there is no interval.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Literal

import numpy as np

from precordial.evaluation.metrics import Floats

IntervalName = Literal["basic", "percentile", "bca"]
NORMAL = NormalDist()
NONE = (float("nan"), float("nan"))


def bootstrap_interval(
    name: IntervalName, value: float, values: Floats, level: float, influence: Floats
) -> tuple[float, float]:
    """The interval of that name; NaN where there is none.

    Args:
        name: "basic", "percentile" or "bca".
        value: the statistic itself.
        values: (B,) its values on the resamples, NaN where undefined.
        level: such as 0.95.
        influence: (units,) of each unit that is resampled, see `precordial.evaluation.derivatives`; for BCa alone.

    >>> bootstrap_interval("basic", 0.9, np.linspace(0, 1, 1001), 0.9, np.zeros(0))
    (0.85, 1.75)
    """
    defined = values[~np.isnan(values)]
    if np.isnan(value) or len(values) - len(defined) > (1 - level) * len(values):
        return NONE
    shares: tuple[float, float] = ((1 - level) / 2, (1 + level) / 2)
    if name == "bca":
        if (defined == value).all():  # nothing varies, as between two equal scores
            return value, value
        bias, acceleration = _shape(value, defined, influence)
        if not math.isfinite(bias + acceleration):
            return NONE
        shares = tuple(_shifted(NORMAL.inv_cdf(share), bias, acceleration) for share in shares)  # type: ignore[assignment]
    low, high = (float(q) for q in np.quantile(defined, shares))
    if name == "basic":
        low, high = 2 * value - high, 2 * value - low
    return low, high


def bootstrap_p_value(name: IntervalName, value: float, values: Floats, influence: Floats) -> float:
    """Two-sided p-value of a true value of 0: 1 less the level at which the interval of that name just reaches 0.

    Arguments as for `bootstrap_interval`. The smallest p-value that B resamples can give is 2 / (B + 1); it is NaN
    where more than 5 % of them are undefined, and 1 where nothing varies about 0.
    """
    defined = values[~np.isnan(values)]
    if np.isnan(value) or len(values) - len(defined) > 0.05 * len(values):
        return float("nan")
    if value == 0 and not defined.any():
        return 1.0
    null = 2 * value if name == "basic" else 0.0  # a basic interval reaches 0 where a percentile reaches 2θ
    b = len(defined)
    below = float((np.count_nonzero(defined < null) + np.count_nonzero(defined == null) / 2 + 0.5) / (b + 1))
    if name == "bca":
        bias, acceleration = _shape(value, defined, influence)
        if not math.isfinite(bias + acceleration):
            return float("nan")
        # The inverse of `_shifted`.
        away = NORMAL.inv_cdf(below) - bias
        below = NORMAL.cdf(away / (1 + acceleration * away) - bias) if 1 + acceleration * away > 0 else 0.0
    return float(min(max(2 * min(below, 1 - below), 2 / (b + 1)), 1.0))


def normal_p_value(z: float) -> float:
    """Two-sided p-value of a standard normal deviate, exact also far out: 2e-23 for 10."""
    return math.erfc(abs(z) / math.sqrt(2))


def _shape(value: float, defined: Floats, influence: Floats) -> tuple[float, float]:
    """Bias correction (z0) and acceleration of a BCa interval; NaN where they are not to be had."""
    share = (np.count_nonzero(defined < value) + np.count_nonzero(defined == value) / 2) / len(defined)
    spread = (influence**2).sum() ** 1.5
    if not 0 < share < 1 or not spread > 0:
        return NONE
    return NORMAL.inv_cdf(share), float((influence**3).sum() / (6 * spread))


def _shifted(z: float, bias: float, acceleration: float) -> float:
    """The share of the resamples at which a BCa interval has its end, for the normal quantile of that end."""
    shift = bias + z
    return NORMAL.cdf(bias + shift / (1 - acceleration * shift)) if acceleration * shift < 1 else float(shift > 0)
