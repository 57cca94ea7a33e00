"""ROC and precision–recall curves, and their bands over bootstrap resamples of patients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from precordial.evaluation.resampling import resampled

Floats = NDArray[np.float64]
POINTS = 101  # where a band is known


@dataclass(frozen=True)
class Band:
    """The middle share of the resampled curves, point by point; not of whole curves.

    Attributes:
        x: (points,) false positive rate, or recall.
        low, high: (points,) true positive rate, or precision.
    """

    x: Floats
    low: Floats
    high: Floats


def roc(truth: Floats, score: Floats) -> tuple[Floats, Floats]:
    """False and true positive rates at every threshold, from (0, 0) to (1, 1).

    Args:
        truth: (n,) 0 or 1, both there.
        score: (n,), equal scores move together.

    >>> [rates.tolist() for rates in roc(np.array([0.0, 1, 0, 1]), np.array([0.1, 0.4, 0.4, 0.8]))]
    [[0.0, 0.0, 0.5, 1.0], [0.0, 0.5, 1.0, 1.0]]
    """
    positive, negative = (counts[0] for counts in _counts(truth, score)(np.ones((1, len(truth)))))
    return np.append(0, negative / negative[-1]), np.append(0, positive / positive[-1])


def precision_recall(truth: Floats, score: Floats) -> tuple[Floats, Floats]:
    """Recall and precision at every threshold, from the highest score down.

    Args:
        truth: (n,) 0 or 1, a 1 among them.
        score: (n,), equal scores move together.

    >>> [rates.tolist() for rates in precision_recall(np.array([0.0, 1, 0, 1]), np.array([0.1, 0.4, 0.4, 0.8]))]
    [[0.5, 1.0, 1.0], [1.0, 0.6666666666666666, 0.5]]
    """
    positive, negative = (counts[0] for counts in _counts(truth, score)(np.ones((1, len(truth)))))
    return positive / positive[-1], positive / (positive + negative)


def roc_band(
    truth: Floats, score: Floats, patients: NDArray[np.str_], replicates: int, level: float, seed: int
) -> Band:
    """The band of a ROC curve: percentiles of the true positive rate at each false positive rate.

    Args:
        truth, score: (n,) as of `roc`.
        patients: (n,) what is resampled.
        replicates, level, seed: as of `precordial.evaluation.bootstrap`.
    """

    def curve(positive: Floats, negative: Floats, at: Floats) -> Floats:
        found: Floats = np.interp(at, np.append(0, negative / negative[-1]), np.append(0, positive / positive[-1]))
        return found

    return _band(curve, np.linspace(0, 1, POINTS), truth, score, patients, replicates, level, seed)


def precision_band(
    truth: Floats, score: Floats, patients: NDArray[np.str_], replicates: int, level: float, seed: int
) -> Band:
    """The band of a precision–recall curve: percentiles of the precision where so much recall is reached.

    Arguments as of `roc_band`.
    """

    def curve(positive: Floats, negative: Floats, at: Floats) -> Floats:
        first = np.searchsorted(positive, at * positive[-1] - 1e-9)
        found: Floats = positive[first] / (positive[first] + negative[first])
        return found

    return _band(curve, np.linspace(0, 1, POINTS)[1:], truth, score, patients, replicates, level, seed)


def _counts(truth: Floats, score: Floats) -> Callable[[Floats], tuple[Floats, Floats]]:
    """Weights (b, n) → weight of the 1s and of the 0s at and above each threshold: (b, thresholds) each."""
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    cases = truth[order] == 1

    def counts(weights: Floats) -> tuple[Floats, Floats]:
        of = weights[:, order]
        return tuple(np.cumsum(of * which, axis=1)[:, last] for which in (cases, ~cases))  # type: ignore[return-value]

    return counts


def _band(
    curve: Callable[[Floats, Floats, Floats], Floats],
    x: Floats,
    truth: Floats,
    score: Floats,
    patients: NDArray[np.str_],
    replicates: int,
    level: float,
    seed: int,
) -> Band:
    counts = _counts(truth, score)

    def statistic(weights: Floats) -> Floats:
        out = np.full((len(weights), len(x)), np.nan)
        for line, (positive, negative) in enumerate(zip(*counts(weights), strict=True)):
            if positive[-1] > 0 and negative[-1] > 0:
                out[line] = curve(positive, negative, x)
        return out

    group = np.unique(patients, return_inverse=True)[1]
    values = resampled(statistic, group, replicates, seed)
    values = values[~np.isnan(values[:, 0])]
    if not len(values):
        return Band(x, np.full(len(x), np.nan), np.full(len(x), np.nan))
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Band(x, low, high)
