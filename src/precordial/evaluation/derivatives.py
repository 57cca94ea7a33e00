"""How much each ECG moves a metric: the derivative of the metric by the ECG's weight, where all weights are 1.

Influences sum to 0, and the sum of their squares is the variance of the metric to first order (the infinitesimal
jackknife; Efron 1982, chapter 6). DeLong's variance of the AUC is made of them, and so is the acceleration of a
BCa interval. Each takes as long as sorting.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from precordial.evaluation.metrics import METRICS, Floats

Derivative = Callable[[Floats, Floats], Floats]  # truth (n,), score (n,) -> (n,)


def influences(metric: str, truth: Floats, score: Floats) -> Floats:
    """The influence of each ECG on a metric of `METRICS`: (n,), NaN where the metric is undefined.

    Args:
        metric: its name.
        truth, score: (n,) float64, as `precordial.evaluation.measure` takes them.
    """
    value = METRICS[metric](truth, score)(np.ones((1, len(truth))))[0] if len(truth) else np.nan
    if np.isnan(value) or np.isnan(score).any():
        return np.full(len(truth), np.nan)
    return OF_METRIC[metric](truth, score)


def _auc(truth: Floats, score: Floats) -> Floats:
    """For a case the share of controls that it beats, less the AUC, over the number of cases; likewise a control."""
    case = truth == 1
    share = np.empty(len(truth))
    share[case] = _share_below(np.sort(score[~case]), score[case])
    share[~case] = 1 - _share_below(np.sort(score[case]), score[~case])
    return np.asarray((share - share[case].mean()) / np.where(case, case.sum(), (~case).sum()))


def _share_below(others: Floats, score: Floats) -> Floats:
    """For each score the share of the others, which are sorted, that lie below it; ties count half."""
    at_least, above = (np.searchsorted(others, score, side=side) for side in ("left", "right"))
    return (at_least + above) / 2 / len(others)


def _average_precision(truth: Floats, score: Floats) -> Floats:
    """An ECG counts by itself, if it is a case, and in the precision at all cases with its score or a lower one."""
    case = truth == 1
    falling, at_cases = np.sort(-score), np.sort(-score[case])
    alarms = np.searchsorted(falling, at_cases, side="right")
    precision = np.searchsorted(at_cases, at_cases, side="right") / alarms

    def from_here_down(values: Floats) -> Floats:
        """For each ECG the sum of the values of all cases with its score or a lower one."""
        sums = np.append(np.cumsum(values[::-1])[::-1], 0.0)
        return np.asarray(sums[np.searchsorted(at_cases, -score, side="left")])

    out: Floats = -from_here_down(precision / alarms)
    own = precision[np.searchsorted(at_cases, -score[case], side="left")]
    out[case] += own - precision.mean() + from_here_down(1 / alarms)[case]
    return np.asarray(out / case.sum())


def _brier(truth: Floats, score: Floats) -> Floats:
    return _of_mean((score - truth) ** 2)


def _accuracy(truth: Floats, score: Floats) -> Floats:
    return _of_mean(((score > 0.5) == (truth == 1)).astype(float))


def _mae(truth: Floats, score: Floats) -> Floats:
    return _of_mean(np.abs(truth - score))


def _r2(truth: Floats, score: Floats) -> Floats:
    residual, square = (truth - score) ** 2, (truth - truth.mean()) ** 2
    return np.asarray((square * residual.sum() / square.sum() - residual) / square.sum())


def _of_mean(values: Floats) -> Floats:
    return np.asarray((values - values.mean()) / len(values))


OF_METRIC: dict[str, Derivative] = {
    "auc": _auc,
    "average_precision": _average_precision,
    "brier": _brier,
    "accuracy": _accuracy,
    "mae": _mae,
    "r2": _r2,
}
