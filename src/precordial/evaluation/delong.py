"""DeLong's variance of the AUC, its intervals, and the test of two AUCs on the same ECGs; patients as clusters.

DeLong, DeLong and Clarke-Pearson (1988) take the variance from placements: for a case the share of controls with a
lower score, for a control the share of cases with a higher one. By sorting that is O(n log n) (Sun and Xu 2014).
Obuchowski (1997) sums the placements of each patient first, for patients with several ECGs, who may have cases and
controls among them; with one ECG of each patient her formula is DeLong's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from precordial.evaluation.derivatives import influences
from precordial.evaluation.estimate import Estimate
from precordial.evaluation.intervals import NONE, NORMAL, normal_p_value
from precordial.evaluation.metrics import Floats, auc, checked
from precordial.evaluation.resampling import numbered


@dataclass(frozen=True)
class PairedTest:
    """A difference with its interval, and its test.

    Attributes:
        difference: a − b, with its interval.
        z: the difference over its standard error; NaN where that is 0 or unknown.
        p: two-sided p-value; 1 for two equal rankings, NaN where it is unknown.
    """

    difference: Estimate
    z: float
    p: float


def delong_variance(truth: ArrayLike, *scores: ArrayLike, patients: ArrayLike | None = None) -> Floats:
    """The covariance matrix of the AUCs of k scores of the same ECGs: (k, k).

    Args:
        truth: (n,) 0 or 1.
        scores: each (n,): logits or probabilities.
        patients: (n,) ids, where patients have several ECGs (Obuchowski 1997); None: each ECG stands alone (DeLong).

    Returns:
        The matrix; NaN with fewer than two patients with a case, or two with a control.

    Raises:
        ValueError: see `precordial.evaluation.measure`; or patients of another shape.

    >>> delong_variance([0, 0, 0, 1, 1], [0.1, 0.4, 0.3, 0.35, 0.8]).round(5)
    array([[0.05556]])
    """
    columns = [checked("auc", truth, score) for score in scores]
    t = columns[0][0]
    patient, _ = numbered(patients, len(t))
    count = int(patient.max(initial=-1)) + 1
    with_case, with_control = (np.unique(patient[t == value]).size for value in (1, 0))
    if min(with_case, with_control) < 2:
        return np.full((len(scores), len(scores)), np.nan)
    moved = [influences("auc", t, score) for _, score in columns]
    of_cases = np.array([np.bincount(patient, np.where(t == 1, one, 0.0), count) for one in moved])
    of_controls = np.array([np.bincount(patient, np.where(t == 0, one, 0.0), count) for one in moved])
    crossed: Floats = of_cases @ of_controls.T
    return np.asarray(
        _unbiased(with_case) * of_cases @ of_cases.T
        + _unbiased(with_control) * of_controls @ of_controls.T
        + _unbiased(count) * (crossed + crossed.T)
    )


def delong_auc(
    truth: ArrayLike,
    score: ArrayLike,
    patients: ArrayLike | None = None,
    *,
    level: float = 0.95,
    scale: Literal["auc", "logit"] = "auc",
) -> Estimate:
    """The AUC with DeLong's interval.

    Args:
        truth: (n,) 0 or 1.
        score: (n,) logits or probabilities.
        patients: see `delong_variance`.
        level: confidence level.
        scale: "auc", value ± z · standard error, cut at 0 and 1; or "logit": the same on the logit of the AUC, which
            stays inside by itself and is better for AUCs near 1.

    Returns:
        The estimate; without an interval for fewer than two patients with a case, or two with a control, and for an
        AUC of 0 or 1, whose variance is not to be had in this way.

    >>> rng = np.random.default_rng(1)
    >>> infarction = rng.random(2000) < 0.06
    >>> print(delong_auc(infarction, rng.normal(size=2000) + 1.2 * infarction))
    0.786 (0.742–0.830)
    """
    t, s = checked("auc", truth, score)
    value = auc(t, s)
    variance = float(delong_variance(t, s, patients=patients)[0, 0])
    low, high = NONE
    if 0 < value < 1 and variance > 0:
        error, z = math.sqrt(variance), NORMAL.inv_cdf((1 + level) / 2)
        if scale == "auc":
            low, high = max(value - z * error, 0.0), min(value + z * error, 1.0)
        else:
            centre, reach = math.log(value / (1 - value)), z * error / (value * (1 - value))
            low, high = (1 / (1 + math.exp(-(centre + side * reach))) for side in (-1, 1))
    return Estimate(value, low, high, level, len(t), int(t.sum()), numbered(patients, len(t))[1])


def delong_test(
    truth: ArrayLike,
    score_a: ArrayLike,
    score_b: ArrayLike,
    patients: ArrayLike | None = None,
    *,
    level: float = 0.95,
) -> PairedTest:
    """The paired test of two AUCs on the same ECGs, with the interval of their difference a − b.

    Arguments as for `delong_auc`. Where both scores rank alike, the difference is 0 (0 to 0) and p is 1.

    >>> rng = np.random.default_rng(1)
    >>> infarction = rng.random(2000) < 0.06
    >>> good = rng.normal(size=2000) + 1.2 * infarction
    >>> found = delong_test(infarction, good, good + rng.normal(size=2000))
    >>> print(found.difference, round(found.p, 4))
    0.070 (0.035–0.105) 0.0001
    """
    t, a = checked("auc", truth, score_a)
    _, b = checked("auc", truth, score_b)
    value = auc(t, a) - auc(t, b)
    covariance = delong_variance(t, a, b, patients=patients)
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    z = p = float("nan")
    low, high = NONE
    if variance > 1e-14 * float(np.trace(covariance)):  # what is left of two equal rankings is rounding
        error = math.sqrt(variance)
        reach = NORMAL.inv_cdf((1 + level) / 2) * error
        low, high, z = value - reach, value + reach, value / error
        p = normal_p_value(z)
    elif variance == variance and value == 0:
        low, high, p = 0.0, 0.0, 1.0
    estimate = Estimate(value, low, high, level, len(t), int(t.sum()), numbered(patients, len(t))[1])
    return PairedTest(estimate, z, p)


def _unbiased(count: int) -> float:
    return count / (count - 1)
