"""Thresholds that are fixed on the validation set, and what they do on a test set."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from precordial.evaluation.estimate import Estimate
from precordial.evaluation.intervals import bootstrap_interval
from precordial.evaluation.metrics import Floats, _ratio, checked
from precordial.evaluation.proportions import proportion
from precordial.evaluation.resampling import resampled

Rule = Literal["sensitivity", "specificity", "youden"]
PROPORTIONS = ("sensitivity", "specificity", "ppv", "npv", "positive")


@dataclass(frozen=True)
class Threshold:
    """A score from which on an ECG counts as positive.

    Attributes:
        rule: what it was chosen for, and `target` the number to be reached; NaN for Youden's.
        value: the threshold; NaN if no threshold does it.
    """

    rule: Rule
    target: float
    value: float

    @property
    def name(self) -> str:
        """In words, such as "Sensitivity 99 %"."""
        return "Youden" if self.rule == "youden" else f"{self.rule.capitalize()} {100 * self.target:g} %"


@dataclass(frozen=True)
class OperatingPoint:
    """What a threshold does on one set of ECGs.

    Attributes:
        threshold: from which on an ECG is positive.
        tp, fp, fn, tn: counts of ECGs.
        sensitivity, specificity, ppv, npv: shares with exact intervals; `positive` is the share of positive ECGs.
        by_patient: the same names with percentile intervals from resampled patients, where a patient has several
            ECGs, of which an exact interval knows nothing, and none for a share of 0 or 1; empty where each has one.
    """

    threshold: float
    tp: int
    fp: int
    fn: int
    tn: int
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate
    positive: Estimate
    by_patient: dict[str, Estimate]


@dataclass(frozen=True, eq=False)
class Confusions:
    """Counts at each threshold that a set of scores can have, from the highest to the lowest.

    Attributes:
        thresholds: (k,) the distinct scores.
        tp, fp: (k,) cases and controls with that score or a higher one.
        cases, controls: of all.
    """

    thresholds: Floats
    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    cases: int
    controls: int


def confusions(truth: ArrayLike, score: ArrayLike) -> Confusions:
    """The counts at every threshold; scores (n,), truth (n,) 0 or 1.

    Raises:
        ValueError: see `precordial.evaluation.metrics.checked`; or a score is missing.
    """
    t, s = checked("auc", truth, score)
    if np.isnan(s).any():
        raise ValueError("some scores are missing")
    order = np.argsort(-s, kind="stable")
    last = np.append(np.flatnonzero(np.diff(s[order])), len(s) - 1) if len(s) else np.zeros(0, int)
    tp = np.cumsum(t[order], dtype=np.int64)[last]
    cases = int(t.sum())
    return Confusions(s[order][last], tp, 1 + last - tp, cases, len(t) - cases)


def find_threshold(truth: ArrayLike, score: ArrayLike, rule: Rule, target: float = math.nan) -> Threshold:
    """The threshold for a rule, found on the validation set.

    Args:
        truth: (n,) 0 or 1.
        score: (n,).
        rule: "sensitivity": the highest threshold that has at least the target; "specificity": the lowest one that
            has; "youden": the one with the largest sum of the two (Youden 1950), the highest of equals.
        target: between 0 and 1.

    Returns:
        The threshold, one of the scores; NaN where truth has one class only, or where no score has the specificity.

    >>> find_threshold([0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "sensitivity", 0.99).value
    0.3
    """
    at = confusions(truth, score)
    if not at.cases or not at.controls:
        return Threshold(rule, target, math.nan)
    sensitivity, specificity = at.tp / at.cases, 1 - at.fp / at.controls
    if rule == "youden":
        return Threshold(rule, target, float(at.thresholds[np.argmax(sensitivity + specificity)]))
    reached = np.flatnonzero((sensitivity if rule == "sensitivity" else specificity) >= target)
    if not len(reached):
        return Threshold(rule, target, math.nan)
    return Threshold(rule, target, float(at.thresholds[reached[0 if rule == "sensitivity" else -1]]))


def operate(
    truth: ArrayLike,
    score: ArrayLike,
    threshold: float,
    patients: ArrayLike | None = None,
    *,
    level: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
) -> OperatingPoint:
    """Sensitivity, specificity and predictive values of a threshold that was fixed elsewhere.

    Args:
        truth: (n,) 0 or 1.
        score: (n,) positive from the threshold on.
        threshold: see `find_threshold`.
        patients: (n,) ids; None takes each ECG for a patient of its own.
        level: of the intervals.
        replicates, seed: of the intervals by patient.
    """
    t, s = checked("auc", truth, score)
    yes, case = s >= threshold, t == 1
    tp, fp, fn, tn = (int((yes == a)[case == b].sum()) for a, b in ((1, 1), (1, 0), (0, 1), (0, 0)))
    counts = {
        "sensitivity": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "ppv": (tp, tp + fp),
        "npv": (tn, tn + fn),
        "positive": (tp + fp, len(t)),
    }
    exact = {name: proportion(k, n, level) for name, (k, n) in counts.items()}
    parts = {"sensitivity": (yes, case), "specificity": (~yes, ~case), "ppv": (case, yes), "npv": (~case, ~yes)}
    parts["positive"] = (yes, np.ones(len(t), bool))
    by_patient: dict[str, Estimate] = {}
    if patients is not None and len(np.unique(np.asarray(patients))) < len(t):
        group = np.unique(np.asarray(patients), return_inverse=True)[1]
        above = np.stack([np.bincount(group, has & among) for has, among in parts.values()], axis=1)
        below = np.stack([np.bincount(group, among) for _, among in parts.values()], axis=1)
        # Patients are drawn with their counts: far fewer weights than ECGs.
        drawn = resampled(
            lambda weights: _ratio(weights @ above, weights @ below), np.arange(len(above)), replicates, seed
        )
        for name, values in zip(parts, drawn.T, strict=True):
            low, high = bootstrap_interval("percentile", exact[name].value, values, level, np.zeros(0))
            if exact[name].value in (0, 1):  # no resample can have another share
                low = high = math.nan
            by_patient[name] = replace(exact[name], low=low, high=high, patients=len(above))
    return OperatingPoint(threshold, tp, fp, fn, tn, **exact, by_patient=by_patient)


def usual_thresholds(truth: ArrayLike, score: ArrayLike) -> list[Threshold]:
    """Those of the report: sensitivity 99 % and 95 %, specificity 90 %, and Youden's."""
    rules: Sequence[tuple[Rule, float]] = (
        ("sensitivity", 0.99),
        ("sensitivity", 0.95),
        ("specificity", 0.90),
        ("youden", math.nan),
    )
    make: Callable[..., Threshold] = find_threshold
    return [make(truth, score, rule, target) for rule, target in rules]
