"""AUC, average precision, Brier score, accuracy, mean absolute error and r², each for many weightings of the same ECGs.

A bootstrap resample is a weight per ECG: how often it was drawn. So a metric here is a function of truth and
score that does all that does not depend on the weights (for the AUC: sorting) and returns a function of the
weights, `(replicates, n) -> (replicates,)`. `measure` is the plain way to use one.

Truth and score: a binary target has truth 0 or 1 and a score that ranks; for accuracy and Brier score it is a
probability. A regression has both in the target's own unit (years for age).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]  # weights (replicates, n) -> (replicates,); NaN where undefined
Metric = Callable[[Floats, Floats], Statistic]  # truth (n,), score (n,)


def weighted_auc(truth: Floats, score: Floats) -> Statistic:
    """Area under the ROC curve: the weighted share of (case, control) pairs ranked rightly; ties count half."""
    cases, controls = _classes(truth)
    controls = controls[np.argsort(score[controls], kind="stable")]
    # Of the sorted controls, so many lie below each case; so many lie below or tie with it.
    below = np.searchsorted(score[controls], score[cases], side="left")
    not_above = np.searchsorted(score[controls], score[cases], side="right")
    weight_of_first = _cumulated(controls, np.concatenate([below, not_above, [len(controls)]]))

    def statistic(weights: Floats) -> Floats:
        of_cases = weights.take(cases, axis=1)
        first = weight_of_first(weights)
        beaten = (first[:, : len(cases)] + first[:, len(cases) : -1]) / 2
        return _ratio((of_cases * beaten).sum(axis=1), of_cases.sum(axis=1) * first[:, -1])

    return statistic


def weighted_average_precision(truth: Floats, score: Floats) -> Statistic:
    """Average precision: the mean over the cases of the PPV at each case's own score; undefined without a case."""
    cases, controls = (rows[np.argsort(-score[rows], kind="stable")] for rows in _classes(truth))
    # So many cases, and so many controls, lie above each case or tie with it.
    true_alarms = _cumulated(cases, np.searchsorted(-score[cases], -score[cases], side="right"))
    false_alarms = _cumulated(controls, np.searchsorted(-score[controls], -score[cases], side="right"))

    def statistic(weights: Floats) -> Floats:
        of_cases, right = weights.take(cases, axis=1), true_alarms(weights)
        precision = np.divide(right, right + false_alarms(weights), out=np.zeros(right.shape), where=right > 0)
        return _ratio((of_cases * precision).sum(axis=1), of_cases.sum(axis=1))

    return statistic


def weighted_brier(truth: Floats, score: Floats) -> Statistic:
    """Brier score: mean squared error of the probability."""
    return _mean((score - truth) ** 2)


def weighted_accuracy(truth: Floats, score: Floats) -> Statistic:
    """Share of ECGs whose probability lies on the right side of 0.5 (0.5 itself counts as a no)."""
    return _mean((score > 0.5) == (truth == 1))


def weighted_mae(truth: Floats, score: Floats) -> Statistic:
    """Mean absolute error, in the unit of the target."""
    return _mean(np.abs(truth - score))


def weighted_r2(truth: Floats, score: Floats) -> Statistic:
    """Coefficient of determination, 1 − residual / total sum of squares; undefined where truth is constant."""
    centred = truth - truth.mean()  # so that the total below loses no digits
    residual, square = (truth - score) ** 2, centred**2

    def statistic(weights: Floats) -> Floats:
        squares = weights @ square
        total = squares - _ratio((weights @ centred) ** 2, weights.sum(axis=1))
        total[~(total > 1e-12 * squares)] = 0.0  # what is left of a constant truth is rounding
        return 1.0 - _ratio(weights @ residual, total)

    return statistic


METRICS: dict[str, Metric] = {
    "auc": weighted_auc,
    "average_precision": weighted_average_precision,
    "brier": weighted_brier,
    "accuracy": weighted_accuracy,
    "mae": weighted_mae,
    "r2": weighted_r2,
}
BINARY = ("auc", "average_precision", "brier", "accuracy")
OF_PROBABILITIES = ("brier", "accuracy")


def measure(metric: str, truth: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None) -> float:
    """One metric of `METRICS` on one set of ECGs.

    Args:
        metric: its name.
        truth: (n,) see the head of this file.
        score: (n,) as truth.
        weights: (n,) not negative; all 1 by default.

    Returns:
        The metric; NaN where it is undefined.

    Raises:
        ValueError: unknown metric, shapes that differ, truth missing, a binary truth
            other than 0 and 1, or accuracy or Brier score of scores that are no probabilities.

    >>> measure("mae", [60.0, 70.0], [61.0, 73.0])
    2.0
    """
    statistic = prepare(metric, *checked(metric, truth, score))
    rows = np.shape(truth)[0]
    weight = np.ones(rows) if weights is None else np.asarray(weights, np.float64)
    if weight.shape != (rows,) or not (weight >= 0).all():
        raise ValueError(f"weights of shape {weight.shape} for {rows} ECGs, or one of them negative or NaN")
    return float(statistic(weight[None])[0])


def auc(truth: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Area under the ROC curve; ties count half; NaN where there is one class only.

    Args:
        truth: (n,) 0 or 1.
        score: (n,) higher for a more probable 1: logits and probabilities do equally well.
        weights: (n,) not negative; all 1 by default.

    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    return measure("auc", truth, score, weights)


def prepare(metric: str, truth: Floats, score: Floats) -> Statistic:
    """The metric as a function of the weights alone; undefined for any weights if a score is NaN."""
    if np.isnan(score).any() or not len(score):
        return lambda weights: np.full(len(weights), np.nan)
    return METRICS[metric](truth, score)


def checked(metric: str, truth: ArrayLike, score: ArrayLike) -> tuple[Floats, Floats]:
    """Truth and score as (n,) float64, or a ValueError that says what is wrong with them."""
    if metric not in METRICS:
        raise ValueError(f"unknown metric {metric!r}: there are {', '.join(METRICS)}")
    t, s = np.asarray(truth, np.float64), np.asarray(score, np.float64)
    if t.ndim != 1 or t.shape != s.shape:
        raise ValueError(f"truth of shape {t.shape} and score of shape {s.shape} should both be (n,)")
    if np.isnan(t).any():
        raise ValueError("truth is missing for some ECGs: leave them out first")
    if metric in BINARY and not np.isin(t, (0, 1)).all():
        raise ValueError(f"{metric} takes a truth of 0 and 1 only")
    if metric in OF_PROBABILITIES and ((s < 0) | (s > 1)).any():
        raise ValueError(f"{metric} takes probabilities, and some scores lie outside 0 to 1")
    return t, s


def _classes(truth: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row numbers of the cases, and of the controls."""
    return np.flatnonzero(truth == 1), np.flatnonzero(truth == 0)


def _cumulated(rows: NDArray[np.intp], ends: NDArray[np.intp]) -> Statistic:
    """A function of weights (b, n): the total weight of the first so many of `rows`, for each of ends (b, ends).

    Few ends cut the rows into few pieces, so that most of the work is one sum of each piece.
    """
    if not len(rows):
        return lambda weights: np.zeros((len(weights), len(ends)))
    cuts, place = np.unique(np.concatenate([[0, len(rows)], ends]), return_inverse=True)

    def cumulate(weights: Floats) -> Floats:
        totals = np.zeros((len(weights), len(cuts)))
        pieces = np.add.reduceat(weights.take(rows, axis=1), cuts[:-1], axis=1)
        np.cumsum(pieces, axis=1, out=totals[:, 1:])
        return totals.take(place[2:], axis=1)

    return cumulate


def _mean(values: NDArray[np.bool_] | Floats) -> Statistic:
    column = values.astype(np.float64)
    return lambda weights: _ratio(weights @ column, weights.sum(axis=1))


def _ratio(above: Floats, below: Floats) -> Floats:
    """above / below, NaN where below is zero."""
    out = np.full(np.shape(above), np.nan)
    np.divide(above, below, out=out, where=below > 0)
    return out
