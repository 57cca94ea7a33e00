"""Whether a network only reads age and sex in the ECG: AUC within strata, and the gain over a regression on them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from precordial.evaluation.baseline import Logistic, fit_logistic
from precordial.evaluation.calibration import logit
from precordial.evaluation.estimate import Estimate
from precordial.evaluation.influence import (
    Measured,
    estimated,
    measured_auc,
    p_of_chi_square,
    p_of_difference,
)
from precordial.evaluation.metrics import Floats, checked
from precordial.evaluation.subgroups import age_bands


@dataclass(frozen=True)
class Gain:
    """A paired difference of two AUCs: name, with interval, and p that there is none (DeLong, by patient)."""

    name: str
    difference: Estimate
    p: float


@dataclass(frozen=True)
class LikelihoodRatio:
    """What a term adds to a logistic regression: name, χ², degrees of freedom, p."""

    name: str
    chi_square: float
    freedom: int
    p: float


@dataclass(frozen=True)
class Shortcut:
    """The network beside age and sex on one test set.

    Attributes:
        baseline: AUC of a logistic regression on age and sex.
        network: AUC of the network.
        combined: AUC of a logistic regression on the network's logit, age and sex, fitted on the validation set; None
            where that cannot be fitted.
        network_within, baseline_within: the AUC within strata of age and sex. Where the network read nothing but
            these, its own would be near the baseline's here, and that near 0.5.
        strata: cases that have a control in their stratum, as a share of all cases.
        gains: network − baseline, combined − baseline, combined − network, network − baseline within strata.
        tests: likelihood-ratio tests on the test set itself: does the logit add to age and sex, and do they to it.
    """

    baseline: Estimate
    network: Estimate
    combined: Estimate | None
    network_within: Estimate
    baseline_within: Estimate
    strata: float
    gains: tuple[Gain, ...]
    tests: tuple[LikelihoodRatio, ...]


def age_sex_strata(age: ArrayLike, sex: ArrayLike) -> NDArray[np.str_]:
    """Strata of age band and sex (n,); unknown ages or sexes are strata of their own."""
    bands, numbers = age_bands(age), np.asarray(sex, np.float64)
    sexes = np.where(np.isnan(numbers), "", np.where(numbers == 1, "female", "male"))
    return np.char.add(np.char.add(bands, " "), sexes)


def fit_combined(truth: ArrayLike, probability: ArrayLike, age: ArrayLike, sex: ArrayLike) -> Logistic | None:
    """A logistic regression on the network's logit, age and sex, of the validation set (n,); None if it fails."""
    t = np.asarray(truth, np.float64)
    if len(np.unique(t)) < 2:
        return None
    fit = fit_logistic(_beside(probability, age, sex), t)
    return fit if fit.converged else None


def shortcut(
    truth: ArrayLike,
    probability: ArrayLike,
    baseline: ArrayLike,
    age: ArrayLike,
    sex: ArrayLike,
    patients: ArrayLike | None = None,
    *,
    combined: Logistic | None = None,
    level: float = 0.95,
) -> Shortcut:
    """The network beside what age and sex alone say.

    Args:
        truth: (n,) 0 or 1.
        probability: (n,) the network's.
        baseline: (n,) that of a logistic regression on age and sex.
        age, sex: (n,) years, and 1 = female, 0 = male; NaN if unknown.
        patients: (n,) ids, whose ECGs may depend on one another. The likelihood-ratio tests take each ECG for itself.
        combined: see `fit_combined`.
        level: of the intervals.
    """
    t, p = checked("accuracy", truth, probability)
    base = np.asarray(baseline, np.float64)
    strata = age_sex_strata(age, sex)
    both = combined.predict(_beside(p, age, sex)) if combined else None
    aucs = {"network": measured_auc(t, p), "baseline": measured_auc(t, base)}
    within = {"network": measured_auc(t, p, strata), "baseline": measured_auc(t, base, strata)}
    if both is not None:
        aucs["combined"] = measured_auc(t, both)

    def number(measured: Measured) -> Estimate:
        return estimated(measured, t, patients, level=level, scale="logit")

    def gain(name: str, difference: Measured) -> Gain:
        of = estimated(difference, t, patients, level=level)
        return Gain(name, of, p_of_difference(difference, patients))

    gains = [gain("Network − age and sex", aucs["network"] - aucs["baseline"])]
    if both is not None:
        gains.append(gain("Combined − age and sex", aucs["combined"] - aucs["baseline"]))
        gains.append(gain("Combined − network", aucs["combined"] - aucs["network"]))
    gains.append(gain("Network − age and sex, within strata", within["network"] - within["baseline"]))
    return Shortcut(
        number(aucs["baseline"]),
        number(aucs["network"]),
        number(aucs["combined"]) if both is not None else None,
        number(within["network"]),
        number(within["baseline"]),
        _covered(t, strata),
        tuple(gains),
        tuple(_tests(t, p, age, sex)),
    )


def _covered(t: Floats, strata: NDArray[np.str_]) -> float:
    of_cases, with_controls = strata[t == 1], np.unique(strata[t == 0])
    return float(np.isin(of_cases, with_controls).mean()) if len(of_cases) else math.nan


def _tests(t: Floats, p: Floats, age: ArrayLike, sex: ArrayLike) -> list[LikelihoodRatio]:
    if len(np.unique(t)) < 2:
        return []
    whole = _beside(p, age, sex)
    best = _log_likelihood(whole, t)
    smaller = {"The network beside age and sex": whole[:, 1:], "Age and sex beside the network": whole[:, :1]}
    found = []
    for name, part in smaller.items():
        freedom = whole.shape[1] - part.shape[1]
        chi_square = max(0.0, 2 * (best - _log_likelihood(part, t)))
        found.append(LikelihoodRatio(name, chi_square, freedom, p_of_chi_square(chi_square, freedom)))
    return found


def _log_likelihood(features: Floats, t: Floats) -> float:
    fit = fit_logistic(features, t)
    if not fit.converged:
        return math.nan
    p = fit.predict(features)
    return float(np.log(np.maximum(np.where(t == 1, p, 1 - p), 1e-300)).sum())


def _beside(probability: ArrayLike, age: ArrayLike, sex: ArrayLike) -> Floats:
    return np.stack([logit(probability), np.asarray(age, np.float64), np.asarray(sex, np.float64)], axis=1)
