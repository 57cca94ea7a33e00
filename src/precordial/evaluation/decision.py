"""Decision curves: whether acting on a score does more good than treating everybody, or nobody.

Net benefit (Vickers and Elkin 2006) counts true positives, less false positives weighed by the odds of the threshold
probability: who acts from 10 % on holds nine needless treatments to be as bad as one infarction missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike

from precordial.evaluation.estimate import Estimate
from precordial.evaluation.influence import estimated, measured_mean
from precordial.evaluation.metrics import checked

THRESHOLDS = (0.005, *(k / 100 for k in range(1, 51)))


@dataclass(frozen=True)
class Benefit:
    """Net benefit at one threshold probability.

    Attributes:
        threshold: probability from which on one would act.
        model: of acting on the score; per ECG, so 0.01 is one true positive more in 100 ECGs.
        treat_all: of acting on everybody. Acting on nobody has 0.
        gain: the model's over the better of those two, paired.
    """

    threshold: float
    model: Estimate
    treat_all: Estimate
    gain: Estimate


def decision_curve(
    truth: ArrayLike,
    probability: ArrayLike,
    patients: ArrayLike | None = None,
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    level: float = 0.95,
) -> list[Benefit]:
    """Net benefit with normal intervals by patient.

    Args:
        truth: (n,) 0 or 1.
        probability: (n,) calibrated: the curve of other scores says nothing.
        patients: (n,) ids, whose ECGs may depend on one another.
        thresholds: between 0 and 1.
        level: of the intervals.

    Raises:
        ValueError: see `precordial.evaluation.metrics.checked`; or a threshold is 0 or 1.

    >>> [benefit] = decision_curve([0, 0, 0, 1], [0.1, 0.2, 0.4, 0.9], thresholds=[0.25])
    >>> round(benefit.model.value, 4), benefit.treat_all.value  # 1/4 − 1/4 · 1/3, and 1/4 − 3/4 · 1/3
    (0.1667, 0.0)
    """
    t, p = checked("accuracy", truth, probability)
    found = []
    for threshold in thresholds:
        if not 0 < threshold < 1:
            raise ValueError(f"a threshold probability of {threshold} is not between 0 and 1")
        worth = t - (1 - t) * threshold / (1 - threshold)  # of acting on an ECG
        model, everybody = measured_mean(worth * (p >= threshold)), measured_mean(worth)
        gain = model - everybody if everybody.value > 0 else model
        found.append(
            Benefit(threshold, *(estimated(one, t, patients, level=level) for one in (model, everybody, gain)))
        )
    return found


def useful_range(curve: Sequence[Benefit]) -> tuple[float, float] | None:
    """The lowest and highest threshold at which the gain's interval lies above 0; None if it does nowhere."""
    useful = [benefit.threshold for benefit in curve if benefit.gain.low > 0]
    return (min(useful), max(useful)) if useful else None
