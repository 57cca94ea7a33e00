"""What each ECG adds to a statistic, and from it standard errors by patient without any resampling.

A statistic such as the AUC changes by about `influence[i]` if one more ECG like the i-th is seen. The sum of the
squares is its variance; summed by patient before they are squared, ECGs of one patient may depend on one another
(Obuchowski 1997). With one ECG for each patient, the variance of an AUC is DeLong's (DeLong et al. 1988).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from precordial.evaluation.estimate import Estimate
from precordial.evaluation.intervals import NORMAL, normal_p_value
from precordial.evaluation.metrics import Floats, checked

Scale = Literal["plain", "logit", "log"]


@dataclass(frozen=True, eq=False)
class Measured:
    """A statistic of n ECGs.

    Attributes:
        value: the statistic; NaN where it is undefined.
        influence: (n,) what each ECG adds to it; NaN where it is undefined.
    """

    value: float
    influence: Floats

    def __sub__(self, other: Measured) -> Measured:
        return Measured(self.value - other.value, self.influence - other.influence)


def measured_auc(truth: ArrayLike, score: ArrayLike, strata: ArrayLike | None = None) -> Measured:
    """The AUC, or that within strata: how surely a case is ranked above a control of its own stratum.

    The latter is the covariate-adjusted AUC of Janes and Pepe (2009): strata count by their cases. Cases of a stratum
    without controls have nobody to be compared with and are left out.

    Args:
        truth: (n,) 0 or 1.
        score: (n,) higher for a more probable 1.
        strata: (n,) of each ECG; one for all by default.
    """
    t, s = checked("auc", truth, score)
    stratum: NDArray[np.generic] = np.zeros(len(t)) if strata is None else np.asarray(strata)
    if stratum.shape != t.shape:
        raise ValueError(f"strata of shape {stratum.shape} for {len(t)} ECGs")
    influence, parts, cases_in_all, total = np.zeros(len(t)), [], 0, 0.0
    for name in np.unique(stratum):
        cases, controls = (np.flatnonzero((stratum == name) & (t == label)) for label in (1, 0))
        if len(cases) and len(controls):
            of_cases = _placed(s[cases], s[controls])
            parts.append((cases, controls, of_cases, 1 - _placed(s[controls], s[cases])))
            cases_in_all += len(cases)
            total += of_cases.sum()
    if not parts or np.isnan(s).any():
        return Measured(math.nan, np.full(len(t), np.nan))
    value = total / cases_in_all
    for cases, controls, of_cases, of_controls in parts:
        m, n = len(cases), len(controls)
        influence[cases] = (of_cases - value) / cases_in_all * _unbiased(cases_in_all)
        influence[controls] = (of_controls - of_cases.mean()) * (m / cases_in_all) / n * _unbiased(n)
    return Measured(float(value), influence)


def measured_mean(values: ArrayLike, among: ArrayLike | None = None) -> Measured:
    """The mean of values (n,), of the rows `among` (n,) alone."""
    x = np.asarray(values, np.float64)
    where = np.ones(len(x), bool) if among is None else np.asarray(among, bool)
    n = int(where.sum())
    if not n:
        return Measured(math.nan, np.full(len(x), np.nan))
    mean = float(x[where].mean())
    return Measured(mean, np.where(where, x - mean, 0.0) / n * _unbiased(n))


def covariance(measured: Sequence[Measured], patients: ArrayLike | None = None) -> Floats:
    """Sampling covariance (k, k) of k statistics of the same n ECGs.

    Args:
        measured: the statistics.
        patients: (n,) ids, whose ECGs may depend on one another; each ECG by itself if None.
    """
    influence = np.stack([one.influence for one in measured])
    if patients is not None:
        ids: NDArray[np.generic] = np.asarray(patients)
        if ids.shape != influence.shape[1:]:
            raise ValueError(f"patients of shape {ids.shape} for {influence.shape[1]} ECGs")
        unique, of_row = np.unique(ids, return_inverse=True)
        influence = np.stack([np.bincount(of_row, row, len(unique)) for row in influence])
    return np.asarray(influence @ influence.T, np.float64)


def estimated(
    measured: Measured,
    truth: ArrayLike,
    patients: ArrayLike | None = None,
    *,
    level: float = 0.95,
    scale: Scale = "plain",
) -> Estimate:
    """The statistic with a normal interval, computed on a scale on which it has no bounds, and brought back.

    Args:
        measured: of the n ECGs.
        truth: (n,) 0 or 1: who has the outcome.
        patients: see `covariance`.
        level: of the interval.
        scale: "logit" for what lies between 0 and 1, "log" for what is above 0. At such a bound there is no interval.

    >>> truth, score = [0, 0, 0, 1, 1, 1], [1, 2, 4, 3, 5, 6]
    >>> print(estimated(measured_auc(truth, score), truth, scale="logit"))
    0.889 (0.261–0.995)
    """
    t = np.asarray(truth, np.float64)
    error = math.sqrt(covariance([measured], patients)[0, 0])
    low, high = interval(measured.value, error, level, scale)
    people = None if patients is None else len(np.unique(np.asarray(patients)))
    return Estimate(measured.value, low, high, level, len(t), int(t.sum()), people)


def interval(value: float, error: float, level: float = 0.95, scale: Scale = "plain") -> tuple[float, float]:
    """A normal interval from a value and its standard error; see `estimated`."""
    if not 0 < level < 1:
        raise ValueError(f"a level of {level} is not between 0 and 1")
    z = NORMAL.inv_cdf((1 + level) / 2)
    if scale == "plain":
        return value - z * error, value + z * error
    if not value > 0 or (scale == "logit" and not value < 1):
        return math.nan, math.nan
    if scale == "log":
        return value * math.exp(-z * error / value), value * math.exp(z * error / value)
    step, odds = z * error / (value * (1 - value)), value / (1 - value)
    low, high = (odds * math.exp(sign * min(step, 700.0)) for sign in (-1, 1))
    return low / (1 + low), high / (1 + high)


def p_of_difference(difference: Measured, patients: ArrayLike | None = None) -> float:
    """Two-sided p that a statistic is 0, by its standard error; NaN where there is none."""
    error = math.sqrt(covariance([difference], patients)[0, 0])
    return normal_p_value(difference.value / error) if error > 0 else math.nan


def p_of_chi_square(value: float, freedom: int) -> float:
    """How often a χ² with so many degrees of freedom is larger."""
    from scipy.special import chdtrc

    return float(chdtrc(freedom, value)) if freedom > 0 and not math.isnan(value) else math.nan


def _placed(these: Floats, among: Floats) -> Floats:
    """Share of `among` that each of these is above; ties count half."""
    there = np.sort(among)
    below, not_above = (np.searchsorted(there, these, side=side) for side in ("left", "right"))
    return np.asarray((below + not_above) / (2 * len(there)), np.float64)


def _unbiased(n: int) -> float:
    """Makes the sum of squares of n deviations that of the unbiased variance; one alone has none, and counts as 0."""
    return math.sqrt(n / (n - 1)) if n > 1 else 0.0
