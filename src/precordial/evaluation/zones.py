"""Rule-out and rule-in zones: whom a score can send home, and whom to treat at once.

The criteria are those of the Lund group: rule-out with a sensitivity above 99 % and a negative predictive value above
99.5 %, rule-in with a specificity above 90 % and a positive predictive value above 70 % (Olsson de Capretz et al.,
BMC Medical Informatics and Decision Making 2023, 23:25). Both thresholds are found on the validation set.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from precordial.evaluation.estimate import Estimate
from precordial.evaluation.metrics import checked
from precordial.evaluation.operating import Confusions, confusions
from precordial.evaluation.proportions import proportion

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Criteria:
    """What the zones must exceed: the first two rule out, the others rule in."""

    sensitivity: float = 0.99
    npv: float = 0.995
    specificity: float = 0.90
    ppv: float = 0.70


LUND = Criteria()


@dataclass(frozen=True)
class Bounds:
    """Where the zones begin: rule-out below `low`, rule-in from `high` on; NaN where no threshold does it."""

    low: float
    high: float


@dataclass(frozen=True)
class Zones:
    """The three zones on one set of ECGs; shares have exact intervals.

    Attributes:
        bounds: of the zones.
        criteria: that they were found by.
        rule_out, intermediate, rule_in: share of the ECGs in each.
        sensitivity, npv: of the rule-out: cases not ruled out, and those ruled out without the outcome. NaN where there
            is no rule-out zone.
        specificity, ppv: of the rule-in: controls not ruled in, and those ruled in with the outcome.
        cases, controls: ECGs in the zones, from rule-out to rule-in.
    """

    bounds: Bounds
    criteria: Criteria
    rule_out: Estimate
    intermediate: Estimate
    rule_in: Estimate
    sensitivity: Estimate
    npv: Estimate
    specificity: Estimate
    ppv: Estimate
    cases: tuple[int, int, int]
    controls: tuple[int, int, int]

    @property
    def rule_out_held(self) -> bool | None:
        """Whether the rule-out criteria were met here; None without such a zone, or with nobody in it."""
        return self._held(self.sensitivity, self.criteria.sensitivity, self.npv, self.criteria.npv)

    @property
    def rule_in_held(self) -> bool | None:
        """Whether the rule-in criteria were met here; None without such a zone, or with nobody in it."""
        return self._held(self.specificity, self.criteria.specificity, self.ppv, self.criteria.ppv)

    def _held(self, a: Estimate, least_a: float, b: Estimate, least_b: float) -> bool | None:
        return None if math.isnan(a.value) or math.isnan(b.value) else a.value > least_a and b.value > least_b


def find_zones(truth: ArrayLike, score: ArrayLike, criteria: Criteria = LUND) -> Bounds:
    """The bounds of the largest zones that meet the criteria on these ECGs, the validation set.

    A zone holds at least one ECG. The rule-in zone begins where the rule-out zone ends, or higher, so that no ECG is in
    both.

    Args:
        truth: (n,) 0 or 1.
        score: (n,).
        criteria: to be exceeded.

    >>> find_zones([0] * 300 + [1] * 9, [*range(300), *range(291, 300)])
    Bounds(low=291.0, high=nan)
    """
    at = confusions(truth, score)
    if not at.cases or not at.controls:
        return Bounds(math.nan, math.nan)
    low = _rule_out(at, criteria)
    specificity, ppv = 1 - at.fp / at.controls, at.tp / (at.tp + at.fp)
    good = (specificity > criteria.specificity) & (ppv > criteria.ppv)
    if not math.isnan(low):
        good &= at.thresholds >= low
    found = np.flatnonzero(good)
    return Bounds(low, float(at.thresholds[found[-1]]) if len(found) else math.nan)


def _rule_out(at: Confusions, criteria: Criteria) -> float:
    """The highest threshold below which the criteria hold."""
    sensitivity = at.tp / at.cases
    out = (at.cases - at.tp) + (at.controls - at.fp)
    clear = np.divide(at.controls - at.fp, out, out=np.zeros(len(out)), where=out > 0)
    found = np.flatnonzero((sensitivity > criteria.sensitivity) & (clear > criteria.npv))
    return float(at.thresholds[found[0]]) if len(found) else math.nan


def measure_zones(
    truth: ArrayLike, score: ArrayLike, bounds: Bounds, criteria: Criteria = LUND, *, level: float = 0.95
) -> Zones:
    """What zones that were found elsewhere do on these ECGs.

    Args:
        truth: (n,) 0 or 1.
        score: (n,).
        bounds, criteria: see `find_zones`.
        level: of the intervals.
    """
    t, s = checked("auc", truth, score)
    out, into = s < bounds.low, s >= bounds.high  # NaN: nobody
    cases, controls = (_count(t == label, out, into) for label in (1, 0))
    rule_out, intermediate, rule_in = (proportion(a + b, len(t), level) for a, b in zip(cases, controls, strict=True))
    none = Estimate(math.nan, math.nan, math.nan, level)
    has_out, has_in = not math.isnan(bounds.low), not math.isnan(bounds.high)
    return Zones(
        bounds,
        criteria,
        rule_out,
        intermediate,
        rule_in,
        proportion(sum(cases[1:]), sum(cases), level) if has_out else none,
        proportion(controls[0], cases[0] + controls[0], level) if has_out else none,
        proportion(sum(controls[:2]), sum(controls), level) if has_in else none,
        proportion(cases[2], cases[2] + controls[2], level) if has_in else none,
        cases,
        controls,
    )


def _count(who: Mask, out: Mask, into: Mask) -> tuple[int, int, int]:
    return int((who & out).sum()), int((who & ~out & ~into).sum()), int((who & into).sum())
