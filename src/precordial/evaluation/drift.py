"""What has changed between two test sets of different patients, as a rule the random and the temporal one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from precordial.evaluation.calibration import measured_line
from precordial.evaluation.estimate import Estimate
from precordial.evaluation.influence import (
    Measured,
    covariance,
    interval,
    measured_auc,
    measured_mean,
    p_of_chi_square,
)
from precordial.evaluation.intervals import normal_p_value
from precordial.evaluation.metrics import Floats, checked

BINS = 10


@dataclass(frozen=True, eq=False)
class Sample:
    """One test set; columns (n,).

    Attributes:
        truth: 0 or 1.
        probability: of the outcome.
        patients: ids, whose ECGs may depend on one another.
        inputs: name → what goes in or stands beside the ECG, such as age in years and sex (1 = female); NaN if unknown.
    """

    truth: NDArray[np.float64]
    probability: NDArray[np.float64]
    patients: NDArray[np.generic]
    inputs: dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Change:
    """A number in both sets.

    Attributes:
        name: of the number.
        before, after: in either set.
        difference: after − before, with interval.
        p: that there is none.
    """

    name: str
    before: float
    after: float
    difference: Estimate
    p: float


@dataclass(frozen=True)
class Shift:
    """How far a whole distribution has moved.

    Attributes:
        name: of what is distributed.
        psi: population stability index over the tenths of the first set; below 0.1 is usually called small, above 0.25
            large.
        psi_p: that it is chance: PSI / (1/n₁ + 1/n₂) is χ² with one degree of freedom less than bins where nothing
            has changed (Yurdakul and Naranjo 2020).
        ks: largest distance of the two distribution functions; `ks_p` that it is chance (Smirnov).
    """

    name: str
    psi: float
    psi_p: float
    ks: float
    ks_p: float


@dataclass(frozen=True)
class Drift:
    """All changes between two sets, and all shifts."""

    changes: tuple[Change, ...]
    shifts: tuple[Shift, ...]


def drift(before: Sample, after: Sample, *, level: float = 0.95) -> Drift:
    """Compare two sets of different patients: performance, calibration, prevalence, scores and inputs.

    The p of the shifts take each ECG for itself; where patients come again, they are a little too small.

    Args:
        before, after: the two sets.
        level: of the intervals.
    """
    measures: dict[str, Callable[[Sample], Measured]] = {
        "AUC": lambda one: measured_auc(one.truth, one.probability),
        "Calibration slope": lambda one: measured_line(one.truth, one.probability)[0],
        "Calibration-in-the-large": lambda one: measured_line(one.truth, one.probability)[2],
        "Prevalence": lambda one: measured_mean(one.truth),
        "Mean probability": lambda one: measured_mean(one.probability),
    }
    for one in (before, after):
        checked("accuracy", one.truth, one.probability)
    changes = [
        _change(name, measure(before), measure(after), before, after, level) for name, measure in measures.items()
    ]
    shifts = [shift("Probability", before.probability, after.probability)]
    for name in before.inputs:
        values = [one.inputs[name] for one in (before, after)]
        first, last = (measured_mean(np.nan_to_num(x), ~np.isnan(x)) for x in values)
        changes.append(_change(f"Mean {name}", first, last, before, after, level))
        old, new = (x[~np.isnan(x)] for x in values)
        if len(old) and len(new) and len(np.unique(np.append(old, new))) > 2:  # of two values the mean says all
            shifts.append(shift(name[0].upper() + name[1:], old, new))
    return Drift(tuple(changes), tuple(shifts))


def _change(name: str, a: Measured, b: Measured, before: Sample, after: Sample, level: float) -> Change:
    """Patients are of one set or the other, so the variances add up."""
    error = math.sqrt(sum(covariance([x], one.patients)[0, 0] for x, one in ((a, before), (b, after))))
    difference = b.value - a.value
    n, events = len(before.truth) + len(after.truth), int(before.truth.sum() + after.truth.sum())
    patients = sum(len(np.unique(one.patients)) for one in (before, after))
    number = Estimate(difference, *interval(difference, error, level), level, n, events, patients)
    return Change(name, a.value, b.value, number, normal_p_value(difference / error) if error > 0 else math.nan)


def shift(name: str, before: ArrayLike, after: ArrayLike, bins: int = BINS) -> Shift:
    """Population stability index and Kolmogorov–Smirnov distance of two samples (n₁,) and (n₂,), none of them empty.

    An empty bin counts as half an ECG.
    """
    from scipy.stats import ks_2samp

    a, b = np.asarray(before, np.float64), np.asarray(after, np.float64)
    edges = np.unique(np.quantile(a, np.arange(1, bins) / bins))
    shares: list[Floats] = []
    for sample in (a, b):
        counts = np.bincount(np.searchsorted(edges, sample, "right"), minlength=len(edges) + 1)
        shares.append(np.maximum(counts, 0.5) / len(sample))
    psi = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    ks = ks_2samp(a, b, method="asymp")
    p = p_of_chi_square(psi / (1 / len(a) + 1 / len(b)), len(edges))
    return Shift(name, psi, p, float(ks.statistic), float(ks.pvalue))
