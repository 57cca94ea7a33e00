"""Bootstrap intervals, resampling patients, for one score or for the difference of two.

The paper's interval is the basic one (Wehrens et al. 2000), with B = 1000: (2θ − q97.5, 2θ − q2.5), where θ is
the metric on the set itself and q are quantiles over the resamples. It may pass the metric's own bounds
(an AUC above 1); that is its definition, and it is kept. The paper does not say what is resampled. Here it is
patients, so that the ECGs of one patient are drawn together; without groups it is ECGs.

Which patients a resample draws depends on the seed and on the sorted patient ids alone, neither on the order of the
rows nor on the scores. So runs scored on the same patients meet the same resamples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from precordial.evaluation.estimate import Estimate
from precordial.evaluation.metrics import BINARY, Floats, Statistic, checked, prepare

CHUNK = 2**18  # weights in memory at once (2 MB): they stay in the processor's cache


def bootstrap(
    metric: str,
    truth: ArrayLike,
    score: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """A metric with its basic bootstrap interval.

    Args:
        metric: a name of `precordial.evaluation.METRICS`.
        truth: (n,) 0 and 1, or the regressed quantity.
        score: (n,) see `precordial.evaluation.metrics`.
        groups: (n,) what is resampled, as a rule patient ids; each ECG by itself, in row order, if None.
        replicates: B.
        level: confidence level.
        seed: of the resampling.

    Returns:
        The estimate. Resamples without a case or without a control have no AUC and are left out; if they are
        more than 1 − level of all (as they are with fewer than three patients of a class), the interval is NaN.

    Raises:
        ValueError: arrays of different shapes, an impossible truth, level or number of replicates.
    """
    t, s = checked(metric, truth, score)
    statistic = prepare(metric, t, s)
    return _estimate(metric, t, statistic, groups, replicates, level, seed)


def bootstrap_auc(
    truth: ArrayLike,
    score: ArrayLike,
    patients: ArrayLike | None = None,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The AUC with its basic bootstrap interval, as in the paper's Table III.

    Args:
        truth: (n,) 0 or 1.
        score: (n,) logits or probabilities.
        patients: (n,) patient ids, to resample patients; ECGs are resampled if None.
        replicates: B, 1000 in the paper.
        level: confidence level.
        seed: of the resampling.

    >>> rng = np.random.default_rng(1)
    >>> infarction = rng.random(2000) < 0.06
    >>> print(bootstrap_auc(infarction, rng.normal(size=2000) + 1.2 * infarction))
    0.786 (0.744–0.829)
    """
    return bootstrap("auc", truth, score, patients, replicates=replicates, level=level, seed=seed)


def bootstrap_difference(
    metric: str,
    truth: ArrayLike,
    score_a: ArrayLike,
    score_b: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The paired difference of a metric, a − b: two scores of the same ECGs, on the same resamples.

    Arguments, result and errors as for `bootstrap`.
    """
    t, a = checked(metric, truth, score_a)
    _, b = checked(metric, truth, score_b)
    of_a, of_b = prepare(metric, t, a), prepare(metric, t, b)
    return _estimate(metric, t, lambda weights: of_a(weights) - of_b(weights), groups, replicates, level, seed)


def resampled(statistic: Statistic, group_of_row: NDArray[np.intp], replicates: int, seed: int) -> Floats:
    """The statistic on each resample: (replicates,), NaN where it is undefined.

    Args:
        statistic: function of weights (b, n).
        group_of_row: (n,) number of each row's group, 0 … groups − 1.
        replicates: B.
        seed: resample i draws the same groups whatever the number of replicates.
    """
    rng = np.random.default_rng(seed)
    groups = int(group_of_row.max()) + 1
    rows = max(1, CHUNK // len(group_of_row))
    values = []
    for start in range(0, replicates, rows):
        b = min(rows, replicates - start)
        drawn = rng.integers(groups, size=(b, groups)) + groups * np.arange(b)[:, None]
        times = np.bincount(drawn.ravel(), minlength=b * groups).reshape(b, groups)
        values.append(statistic(times.take(group_of_row, axis=1).astype(np.float64)))
    return np.concatenate(values)


def basic_interval(value: float, values: Floats, level: float) -> tuple[float, float]:
    """(2θ − q_high, 2θ − q_low) from θ and its resampled values; NaN where too many of these are undefined."""
    defined = values[~np.isnan(values)]
    if np.isnan(value) or len(values) - len(defined) > (1 - level) * len(values):
        return float("nan"), float("nan")
    q_low, q_high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(2 * value - q_high), float(2 * value - q_low)


def _estimate(
    metric: str,
    truth: Floats,
    statistic: Statistic,
    groups: ArrayLike | None,
    replicates: int,
    level: float,
    seed: int,
) -> Estimate:
    if replicates < 1 or not 0 < level < 1:
        raise ValueError(f"{replicates} replicates at level {level}: at least 1, and between 0 and 1")
    n = len(truth)
    group_of_row, patients = _groups(groups, n)
    value = float(statistic(np.ones((1, n)))[0])
    low = high = float("nan")
    if not np.isnan(value):
        low, high = basic_interval(value, resampled(statistic, group_of_row, replicates, seed), level)
    events = int(truth.sum()) if metric in BINARY else None
    return Estimate(value, low, high, level, n, events, patients)


def _groups(groups: ArrayLike | None, n: int) -> tuple[NDArray[np.intp], int | None]:
    """Each row's group as a number in the order of the sorted ids, and how many groups there are."""
    if groups is None:
        return np.arange(n), None
    ids: NDArray[np.generic] = np.asarray(groups)
    if ids.shape != (n,):
        raise ValueError(f"groups of shape {ids.shape} for {n} ECGs")
    unique, group_of_row = np.unique(ids, return_inverse=True)
    return group_of_row, len(unique)
