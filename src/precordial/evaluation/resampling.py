"""Bootstrap intervals, resampling patients, for one score or for the difference of two.

The paper's interval is the basic one with B = 1000; `precordial.evaluation.intervals` has others. The paper does not
say what is resampled. Here it is patients, so that the ECGs of one patient are drawn together; without groups it is
ECGs.

Which patients a resample draws depends on the seed and on the sorted patient ids alone, neither on the order of the
rows nor on the scores. So runs scored on the same patients meet the same resamples. Stratified, the patients with an
event and those without are drawn by themselves, so that every resample has as many of each as the set itself; then the
resamples depend on the truth as well, which two runs of one cohort share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from precordial.evaluation.derivatives import influences
from precordial.evaluation.estimate import Estimate
from precordial.evaluation.intervals import IntervalName, bootstrap_interval, bootstrap_p_value
from precordial.evaluation.metrics import BINARY, Floats, Statistic, checked, prepare

CHUNK = 2**16  # weights in memory at once (0.5 MB): what is made of them stays in the processor's cache
Whole = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Resamples:
    """A metric, or a difference, with its values on all resamples: what every interval is made of.

    Attributes:
        value: on the set itself.
        values: (B,) on the resamples; NaN where undefined.
        influence: (units,) of each resampled patient or ECG on the value.
        n, events, patients: see `Estimate`.
    """

    value: float
    values: Floats
    influence: Floats
    n: int
    events: int | None
    patients: int | None

    @property
    def standard_error(self) -> float:
        """Standard deviation over the resamples in which the metric is defined; NaN for fewer than two."""
        defined = self.values[~np.isnan(self.values)]
        return float(defined.std(ddof=1)) if len(defined) > 1 else float("nan")

    def estimate(self, interval: IntervalName = "basic", level: float = 0.95) -> Estimate:
        """The value with its interval of that name."""
        if not 0 < level < 1:
            raise ValueError(f"level {level}: between 0 and 1")
        low, high = bootstrap_interval(interval, self.value, self.values, level, self.influence)
        return Estimate(self.value, low, high, level, self.n, self.events, self.patients)

    def p_value(self, interval: IntervalName = "basic") -> float:
        """Two-sided p-value of a true value of 0, see `precordial.evaluation.intervals.bootstrap_p_value`."""
        return bootstrap_p_value(interval, self.value, self.values, self.influence)


def bootstrap(
    metric: str,
    truth: ArrayLike,
    score: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    interval: IntervalName = "basic",
    stratify: bool = False,
) -> Estimate:
    """A metric with its bootstrap interval.

    Args:
        metric: a name of `precordial.evaluation.METRICS`.
        truth: (n,) 0 and 1, or the regressed quantity.
        score: (n,) see `precordial.evaluation.metrics`.
        groups: (n,) what is resampled, as a rule patient ids; each ECG by itself, in row order, if None.
        replicates: B.
        level: confidence level.
        seed: of the resampling.
        interval: "basic" (the paper's), "percentile" or "bca".
        stratify: draw patients with an event, and those without, by themselves; for 0 and 1 alone.

    Returns:
        The estimate. Resamples without a case or without a control have no AUC and are left out; if they are
        more than 1 − level of all (as they are with fewer than three patients of a class), the interval is NaN.

    Raises:
        ValueError: arrays of different shapes, an impossible truth, level or number of replicates.
    """
    drawn = resample_metric(metric, truth, [score], groups, replicates=replicates, seed=seed, stratify=stratify)
    return drawn.estimate(interval, level)


def bootstrap_auc(
    truth: ArrayLike,
    score: ArrayLike,
    patients: ArrayLike | None = None,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    interval: IntervalName = "basic",
    stratify: bool = False,
) -> Estimate:
    """The AUC with its bootstrap interval, by default the basic one, as in the paper's Table III.

    Args:
        truth: (n,) 0 or 1.
        score: (n,) logits or probabilities.
        patients: (n,) patient ids, to resample patients; ECGs are resampled if None.
        replicates, level, seed, interval, stratify: see `bootstrap`.

    >>> rng = np.random.default_rng(1)
    >>> infarction = rng.random(2000) < 0.06
    >>> score = rng.normal(size=2000) + 1.2 * infarction
    >>> print(bootstrap_auc(infarction, score))
    0.786 (0.744–0.829)
    >>> print(bootstrap_auc(infarction, score, interval="bca", stratify=True))
    0.786 (0.741–0.828)
    """
    return bootstrap(
        "auc",
        truth,
        score,
        patients,
        replicates=replicates,
        level=level,
        seed=seed,
        interval=interval,
        stratify=stratify,
    )


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
    interval: IntervalName = "basic",
    stratify: bool = False,
) -> Estimate:
    """The paired difference of a metric, a − b: two scores of the same ECGs, on the same resamples.

    Arguments, result and errors as for `bootstrap`.
    """
    scores = (score_a, score_b)
    drawn = resample_metric(
        metric, truth, scores, groups, coefficients=(1, -1), replicates=replicates, seed=seed, stratify=stratify
    )
    return drawn.estimate(interval, level)


def resample_metric(
    metric: str,
    truth: ArrayLike,
    scores: Sequence[ArrayLike],
    groups: ArrayLike | None = None,
    *,
    coefficients: Sequence[float] = (1.0,),
    replicates: int = 1000,
    seed: int = 0,
    stratify: bool = False,
) -> Resamples:
    """A metric on all resamples, or a sum over the metrics of several scores of the same ECGs.

    Args:
        metric, truth, groups, replicates, seed, stratify: see `bootstrap`.
        scores: each (n,).
        coefficients: of each score's metric in the sum: (1, −1) for a difference, (1/3, 1/3, 1/3) for a mean.

    Raises:
        ValueError: as `bootstrap`.
    """
    pairs = [checked(metric, truth, score) for score in scores]
    t = pairs[0][0]
    n = len(t)
    if replicates < 1:
        raise ValueError(f"{replicates} replicates: at least 1")
    if stratify and metric not in BINARY:
        raise ValueError(f"only a truth of 0 and 1 makes strata, and {metric} has another")
    statistics = [prepare(metric, t, score) for _, score in pairs]

    def statistic(weights: Floats) -> Floats:
        parts = [c * one(weights) for c, one in zip(coefficients, statistics, strict=True)]
        return np.asarray(sum(parts[1:], start=parts[0]))

    group_of_row, patients = numbered(groups, n)
    value = float(statistic(np.ones((1, n)))[0])
    events = int(t.sum()) if metric in BINARY else None
    if np.isnan(value):
        return Resamples(value, np.full(replicates, np.nan), np.full(0, np.nan), n, events, patients)
    of_row = [c * influences(metric, t, score) for c, (_, score) in zip(coefficients, pairs, strict=True)]
    influence = np.bincount(group_of_row, np.sum(of_row, axis=0)).astype(np.float64)
    strata = np.bincount(group_of_row, t) > 0 if stratify else np.zeros(len(influence), bool)
    for stratum in (strata, ~strata):
        influence[stratum] -= influence[stratum].mean() if stratum.any() else 0.0
    values = resampled(statistic, group_of_row, replicates, seed, strata)
    return Resamples(value, values, influence, n, events, patients)


def resampled(
    statistic: Statistic,
    group_of_row: Whole,
    replicates: int,
    seed: int,
    strata: NDArray[np.bool_] | None = None,
) -> Floats:
    """The statistic on each resample: (replicates,), NaN where it is undefined.

    Args:
        statistic: function of weights (b, n).
        group_of_row: (n,) number of each row's group, 0 … groups − 1.
        replicates: B.
        seed: resample i draws the same groups whatever the number of replicates.
        strata: (groups,) which of two strata each group is in; each is drawn by itself. One stratum if None.
    """
    groups = int(group_of_row.max()) + 1
    strata = np.zeros(groups, bool) if strata is None else strata
    draws = [
        (np.flatnonzero(strata == stratum), np.random.default_rng([seed, 1] if stratum else seed))
        for stratum in (False, True)
        if (strata == stratum).any()
    ]
    rows = max(1, CHUNK // len(group_of_row))
    alone = np.array_equal(group_of_row, np.arange(groups))  # each row is a group of its own
    values = []
    for start in range(0, replicates, rows):
        b = min(rows, replicates - start)
        times = np.zeros((b, groups))
        for members, rng in draws:
            drawn = rng.integers(len(members), size=(b, len(members)))
            drawn += len(members) * np.arange(b)[:, None]
            counts = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
            times[:, members if len(draws) > 1 else slice(None)] = counts
        values.append(statistic(times if alone else times.take(group_of_row, axis=1)))
    return np.concatenate(values)


def numbered(groups: ArrayLike | None, n: int) -> tuple[Whole, int | None]:
    """Each row's group as a number in the order of the sorted ids, and how many groups there are.

    Without groups each row is one, and how many there are is None.
    """
    if groups is None:
        return np.arange(n), None
    ids: NDArray[np.generic] = np.asarray(groups)
    if ids.shape != (n,):
        raise ValueError(f"groups of shape {ids.shape} for {n} ECGs")
    unique, group_of_row = np.unique(ids, return_inverse=True)
    return group_of_row, len(unique)
