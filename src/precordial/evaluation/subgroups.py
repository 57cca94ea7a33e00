"""The same score in groups of patients, and whether it does better in some of them than in others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from precordial.evaluation.estimate import Estimate
from precordial.evaluation.influence import Measured, covariance, estimated, measured_auc, p_of_chi_square
from precordial.evaluation.metrics import Floats, checked
from precordial.evaluation.operating import OperatingPoint, operate

LEAST = 10  # of both classes: a group with fewer has no AUC worth the name, and no part in the test
AGE_BANDS = (50, 65, 80)


@dataclass(frozen=True)
class Subgroup:
    """One group.

    Attributes:
        name: of the group.
        ecgs, events: in it.
        auc: with interval; None where it is too small.
        point: what the fixed threshold does in it; None where it is too small or there is no threshold.
    """

    name: str
    ecgs: int
    events: int
    auc: Estimate | None
    point: OperatingPoint | None


@dataclass(frozen=True)
class Factor:
    """A way of grouping, and the test whether the AUC is the same in all groups.

    Attributes:
        name: such as "sex".
        groups: in order.
        chi_square, freedom, p: of the test, see `subgroups`; NaN, 0 and NaN where fewer than two groups take part.
    """

    name: str
    groups: tuple[Subgroup, ...]
    chi_square: float
    freedom: int
    p: float


def subgroups(
    truth: ArrayLike,
    score: ArrayLike,
    factors: Mapping[str, ArrayLike],
    patients: ArrayLike | None = None,
    *,
    threshold: float = math.nan,
    least: int = LEAST,
    level: float = 0.95,
) -> list[Factor]:
    """AUC, sensitivity and specificity by group, and a test of interaction for each factor.

    The test is that of homogeneity: with θ the logits of the AUCs of the groups that are large enough, Σ their
    covariance by DeLong, patients kept together, and C contrasts to the first group, (Cθ)ᵀ (CΣCᵀ)⁻¹ (Cθ) is χ² with one
    degree of freedom less than there are groups. For independent groups this is Cochran's Q with weights 1/variance.

    Args:
        truth: (n,) 0 or 1.
        score: (n,).
        factors: name → (n,) the group of each ECG, as text; "" for unknown, which is left out.
        patients: (n,) ids, whose ECGs may depend on one another.
        threshold: fixed on the validation set; NaN for none.
        least: cases and controls that a group needs.
        level: of the intervals.
    """
    t, s = checked("auc", truth, score)
    ids = np.arange(len(t)) if patients is None else np.unique(np.asarray(patients), return_inverse=True)[1]
    found = []
    for name, given in factors.items():
        group: NDArray[np.str_] = np.asarray(given, np.str_)
        if group.shape != t.shape:
            raise ValueError(f"groups of '{name}' of shape {group.shape} for {len(t)} ECGs")
        parts, tested = [], []
        for value in _in_order(given):
            rows = group == value
            events, ecgs = int(t[rows].sum()), int(rows.sum())
            if min(events, ecgs - events) < least:
                parts.append(Subgroup(value, ecgs, events, None, None))
                continue
            measured = measured_auc(t[rows], s[rows])
            auc = estimated(measured, t[rows], ids[rows], level=level, scale="logit")
            point = None
            if not math.isnan(threshold):
                point = operate(t[rows], s[rows], threshold, level=level)
            parts.append(Subgroup(value, ecgs, events, auc, point))
            if 0 < measured.value < 1:
                tested.append(_logit(measured, rows))
        found.append(Factor(name, tuple(parts), *_homogeneity(tested, ids)))
    return found


def age_bands(age: ArrayLike, edges: Sequence[int] = AGE_BANDS) -> NDArray[np.str_]:
    """The band of each age (n,), "" where it is not known.

    >>> age_bands([49.9, 50, 80, float("nan")]).tolist()
    ['below 50', '50–64', '80 and above', '']
    """
    years = np.asarray(age, np.float64)
    inner = [f"{a}–{b - 1}" for a, b in pairwise(edges)]
    names = np.array([f"below {edges[0]}", *inner, f"{edges[-1]} and above", ""])
    return names[np.where(np.isnan(years), len(edges) + 1, np.searchsorted(edges, years, "right"))]


def _in_order(groups: ArrayLike) -> list[str]:
    """The groups that there are: age bands by age, others by name."""
    values = sorted({str(value) for value in np.asarray(groups).tolist()} - {""})
    return sorted(values, key=lambda value: (not value.startswith("below "), value))


def _logit(measured: Measured, rows: NDArray[np.bool_]) -> Measured:
    """The logit of an AUC of some rows, as a statistic of all."""
    influence = np.zeros(len(rows))
    influence[rows] = measured.influence / (measured.value * (1 - measured.value))
    return Measured(math.log(measured.value / (1 - measured.value)), influence)


def _homogeneity(tested: Sequence[Measured], ids: NDArray[np.intp]) -> tuple[float, int, float]:
    if len(tested) < 2:
        return math.nan, 0, math.nan
    differences = [one - tested[0] for one in tested[1:]]
    theta: Floats = np.array([one.value for one in differences])
    chi_square = float(theta @ np.linalg.pinv(covariance(differences, ids)) @ theta)
    return chi_square, len(differences), p_of_chi_square(chi_square, len(differences))
