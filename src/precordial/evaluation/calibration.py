"""Whether probabilities mean what they say, and recalibration fitted on the validation set.

Terms as in Van Calster et al. (2016, 2019): calibration-in-the-large, the calibration slope with its intercept, and a
smooth curve. Standard errors are the sandwich's, by patient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from precordial.evaluation.baseline import fit_logistic
from precordial.evaluation.estimate import Estimate
from precordial.evaluation.influence import Measured, covariance, estimated, interval, measured_mean
from precordial.evaluation.metrics import Floats, checked
from precordial.evaluation.proportions import proportion

CLIP = 1e-9  # probabilities nearer to 0 or 1 count as this near: a logit must be finite
KNOTS = (0.05, 0.35, 0.65, 0.95)  # quantiles; Harrell's for four knots
GRID = 99
LEAST = 10  # cases and controls for the smooth curve, which has four numbers to fit


@dataclass(frozen=True)
class Recalibration:
    """A logistic regression of the outcome on the logit: logit p' = intercept + slope · logit p."""

    intercept: float
    slope: float

    def apply(self, probability: ArrayLike) -> Floats:
        """Recalibrated probabilities (n,)."""
        return sigmoid(self.intercept + self.slope * logit(probability))


@dataclass(frozen=True)
class Bin:
    """ECGs of like probabilities: the mean of these, and the share that has the outcome, with exact interval."""

    predicted: float
    observed: Estimate


@dataclass(frozen=True, eq=False)
class Smooth:
    """The smooth calibration curve.

    Attributes:
        predicted: (k,) probabilities, the percentiles from the 1st to the 99th.
        observed, low, high: (k,) the curve and its pointwise interval.
    """

    predicted: Floats
    observed: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Calibration:
    """How probabilities and outcomes agree on one set of ECGs.

    Attributes:
        slope, intercept: of the logistic regression on the logit; 1 and 0 for perfect probabilities. A slope below 1
            tells of probabilities that are too extreme.
        in_the_large: the intercept while the slope is held at 1: positive where probabilities are too low.
        observed_expected: share with the outcome by the mean probability.
        brier: mean squared difference; `scaled_brier` is 1 − Brier / that of the share itself, 0 for no use.
        bins, smooth: the calibration curve in two forms; no smooth one with fewer than 10 cases or controls, or
            where the scores have too few values.
    """

    slope: Estimate
    intercept: Estimate
    in_the_large: Estimate
    observed_expected: Estimate
    brier: Estimate
    scaled_brier: Estimate
    bins: tuple[Bin, ...]
    smooth: Smooth | None


def logit(probability: ArrayLike) -> Floats:
    """Log odds of probabilities (n,), finite."""
    p = np.clip(np.asarray(probability, np.float64), CLIP, 1 - CLIP)
    return np.asarray(np.log(p) - np.log1p(-p), np.float64)


def sigmoid(log_odds: ArrayLike) -> Floats:
    """Probabilities of log odds (n,)."""
    return np.asarray(0.5 * (1 + np.tanh(np.asarray(log_odds, np.float64) / 2)), np.float64)


def recalibrate(truth: ArrayLike, probability: ArrayLike) -> Recalibration | None:
    """Fit a recalibration on the validation set; None if there is one class only, or the score ranks the wrong way.

    A slope of 0 or less would turn the ranks round; such a score is of no use, and is not made into one.

    Args:
        truth: (n,) 0 or 1.
        probability: (n,).
    """
    t, p = _probabilities(truth, probability)
    if len(np.unique(t)) < 2 or np.ptp(p) == 0:
        return None
    fit = fit_logistic(logit(p)[:, None], t)
    slope = float(fit.coefficients[0])
    return Recalibration(fit.intercept, slope) if fit.converged and slope > 0 else None


def calibration(
    truth: ArrayLike,
    probability: ArrayLike,
    patients: ArrayLike | None = None,
    *,
    bins: int = 10,
    smallest: int = 0,
    level: float = 0.95,
) -> Calibration:
    """Every measure of calibration on one set of ECGs.

    Args:
        truth: (n,) 0 or 1.
        probability: (n,) of the outcome.
        patients: (n,) ids, whose ECGs may depend on one another.
        bins: number of groups of like size, by quantile.
        smallest: groups are joined to their neighbours until each has so many with the outcome and so many without.
        level: of the intervals.

    Raises:
        ValueError: wrong shapes, a truth other than 0 and 1, or probabilities outside 0 to 1.
    """
    t, p = _probabilities(truth, probability)
    x = logit(p)

    def number(measured: Measured, scale: str = "plain") -> Estimate:
        return estimated(measured, t, patients, level=level, scale="log" if scale == "log" else "plain")

    slope, intercept = _line(t, x)
    brier, share, expected = measured_mean((t - p) ** 2), measured_mean(t), measured_mean(p)
    return Calibration(
        number(slope),
        number(intercept),
        number(_in_the_large(t, x)),
        number(_ratio(share, expected), "log"),
        number(brier),
        number(_scaled(brier, share)),
        _bins(t, p, bins, smallest, level),
        _smooth(t, p, patients, level),
    )


def measured_line(truth: ArrayLike, probability: ArrayLike) -> tuple[Measured, Measured, Measured]:
    """Slope, intercept and calibration-in-the-large with what each ECG adds to them."""
    t, p = _probabilities(truth, probability)
    x = logit(p)
    return *_line(t, x), _in_the_large(t, x)


def _line(t: Floats, x: Floats) -> tuple[Measured, Measured]:
    nothing = Measured(math.nan, np.full(len(t), np.nan))
    if len(np.unique(t)) < 2 or np.ptp(x) == 0:
        return nothing, nothing
    fit = fit_logistic(x[:, None], t)
    if not fit.converged:
        return nothing, nothing
    influence = _coefficient_influence(np.column_stack([np.ones(len(x)), x]), t, fit.predict(x[:, None]))
    if influence is None:
        return nothing, nothing
    return Measured(float(fit.coefficients[0]), influence[:, 1]), Measured(fit.intercept, influence[:, 0])


def _coefficient_influence(design: Floats, t: Floats, p: Floats) -> Floats | None:
    """What each ECG adds to the coefficients (n, k) of a logistic regression; None where the classes separate."""
    hessian = (design.T * (p * (1 - p))) @ design
    if np.linalg.matrix_rank(hessian) < len(hessian):
        return None
    return np.asarray(np.linalg.solve(hessian, design.T * (t - p)).T, np.float64)


def _in_the_large(t: Floats, x: Floats) -> Measured:
    """The intercept that makes the sum of the probabilities the number of cases (Newton's method)."""
    if len(np.unique(t)) < 2:
        return Measured(math.nan, np.full(len(t), np.nan))
    low, high = -50.0 - x.max(), 50.0 - x.min()
    a = 0.0
    for _ in range(100):
        p = sigmoid(a + x)
        lack, steep = float((t - p).sum()), float((p * (1 - p)).sum())
        low, high = (a, high) if lack > 0 else (low, a)
        new = a + lack / steep if steep > 0 else math.inf
        new = new if low < new < high else (low + high) / 2  # Newton's step can leave where the solution must be
        if abs(new - a) < 1e-12:
            break
        a = new
    p = sigmoid(a + x)
    return Measured(a, (t - p) / (p * (1 - p)).sum())


def _ratio(above: Measured, below: Measured) -> Measured:
    if not below.value > 1e-150:  # as good as zero: what is divided by it would overflow
        return Measured(math.nan, np.full(len(above.influence), np.nan))
    value = above.value / below.value
    return Measured(value, (above.influence - value * below.influence) / below.value)


def _scaled(brier: Measured, share: Measured) -> Measured:
    worst = share.value * (1 - share.value)
    if not worst > 0:
        return Measured(math.nan, np.full(len(brier.influence), np.nan))
    part = brier.value / worst
    return Measured(1 - part, -(brier.influence - part * (1 - 2 * share.value) * share.influence) / worst)


def _bins(t: Floats, p: Floats, bins: int, smallest: int, level: float) -> tuple[Bin, ...]:
    """Groups by quantile; equal probabilities stay together."""
    edges = np.unique(np.quantile(p, np.arange(1, bins) / bins)) if len(p) else np.zeros(0)
    groups = _joined(
        [np.flatnonzero(np.searchsorted(edges, p, "right") == k) for k in range(len(edges) + 1)], t, smallest
    )
    return tuple(Bin(float(p[rows].mean()), proportion(int(t[rows].sum()), len(rows), level)) for rows in groups)


def _joined(groups: Sequence[np.ndarray], t: Floats, smallest: int) -> list[np.ndarray]:
    """Neighbours put together until each has enough of both; what is left over joins the last."""
    done: list[np.ndarray] = []
    rest = np.zeros(0, np.intp)
    for rows in groups:
        rest = np.append(rest, rows)
        cases = int(t[rest].sum())
        if len(rest) and min(cases, len(rest) - cases) >= smallest:
            done.append(rest)
            rest = np.zeros(0, np.intp)
    if len(rest) and done:
        done[-1] = np.append(done[-1], rest)
    return done


def spline_basis(x: ArrayLike, knots: ArrayLike) -> Floats:
    """Restricted cubic splines (Stone and Koo 1985, as Harrell writes them): x itself and k − 2 cubic terms.

    Args:
        x: (n,).
        knots: (k,) rising.

    Returns:
        (n, k − 1); beyond the outer knots every column is linear.
    """
    v, k = np.asarray(x, np.float64), np.asarray(knots, np.float64)

    def cube(knot: float) -> Floats:
        return np.asarray(np.maximum(v - knot, 0) ** 3, np.float64)

    last, before = float(k[-1]), float(k[-2])
    columns = [v]
    for knot in k[:-2]:
        outer = cube(before) * (last - knot) / (last - before) - cube(last) * (before - knot) / (last - before)
        columns.append((cube(float(knot)) - outer) / (last - float(k[0])) ** 2)
    return np.stack(columns, axis=1)


def _smooth(t: Floats, p: Floats, patients: ArrayLike | None, level: float) -> Smooth | None:
    """A logistic regression on splines of the logit, with pointwise intervals by the sandwich."""
    x = logit(p)
    knots = np.quantile(x, KNOTS)
    if min(t.sum(), (1 - t).sum()) < LEAST or (np.diff(knots) <= 1e-9).any():
        return None
    basis = spline_basis(x, knots)
    fit = fit_logistic(basis, t)
    if not fit.converged:
        return None
    grid = np.unique(np.quantile(p, np.linspace(0.01, 0.99, GRID)))
    at = np.column_stack([np.ones(len(grid)), spline_basis(logit(grid), knots)])
    influence = _coefficient_influence(np.column_stack([np.ones(len(x)), basis]), t, fit.predict(basis))
    if influence is None:
        return None
    among = covariance([Measured(0.0, column) for column in influence.T], patients)
    centre = at @ np.append(fit.intercept, fit.coefficients)
    error = np.sqrt(np.maximum(np.einsum("gi,ij,gj->g", at, among, at), 0))
    half = interval(0.0, 1.0, level)[1] * error
    return Smooth(grid, sigmoid(centre), sigmoid(centre - half), sigmoid(centre + half))


def _probabilities(truth: ArrayLike, probability: ArrayLike) -> tuple[Floats, Floats]:
    t, p = checked("accuracy", truth, probability)
    if np.isnan(p).any():
        raise ValueError("some probabilities are missing")
    return t, p
