"""Logistic regression: what a clinician knows before any ECG (age and sex), as the baseline of every model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from precordial.errors import PrecordialError
from precordial.evaluation.metrics import Floats

RIDGE = 1e-6  # on standardised coefficients: unfelt, but keeps them finite where the classes separate
STEPS = 100


@dataclass(frozen=True, eq=False)
class Logistic:
    """A fitted logistic regression on k features.

    Attributes:
        coefficients: (k,) log odds per unit of each feature.
        intercept: log odds where all features are zero.
        medians: (k,) stand in for missing values (NaN): medians of the training data.
        converged: whether the fit reached its optimum.
    """

    coefficients: Floats
    intercept: float
    medians: Floats
    converged: bool

    def predict(self, features: ArrayLike) -> Floats:
        """Probability of a 1 for each row of features (n, k); a missing value counts as the training median."""
        filled = _filled(np.asarray(features, np.float64), self.medians)
        return _sigmoid(filled @ self.coefficients + self.intercept)


def fit_logistic(features: ArrayLike, truth: ArrayLike) -> Logistic:
    """Fit by maximum likelihood (Newton's method), standardising inside.

    Args:
        features: (n, k); NaN where missing: the feature's median takes its place (0 if it is always missing).
        truth: (n,) 0 or 1.

    Returns:
        The fit; ask `converged`. A ridge too small to be felt keeps it finite for classes that separate.

    Raises:
        PrecordialError: truth has one class only.
        ValueError: wrong shapes, or a truth other than 0 and 1.

    >>> age_and_sex = [[50, 0], [60, 1], [70, 0], [80, 1], [55, 1], [75, 0], [62, 1], [66, 0]]
    >>> fit = fit_logistic(age_and_sex, [0, 0, 1, 1, 1, 0, 0, 1])
    >>> fit.converged, fit.predict([[90, 1]]).round(2)
    (True, array([0.87]))
    """
    x, y = np.asarray(features, np.float64), np.asarray(truth, np.float64)
    if x.ndim != 2 or y.shape != x.shape[:1] or not np.isin(y, (0, 1)).all():
        raise ValueError(f"features {x.shape} should be (n, k) and truth {y.shape} (n,) with 0 and 1 only")
    if len(np.unique(y)) < 2:
        raise PrecordialError(
            "a logistic regression needs both classes, and all training labels are equal",
            remedy="check the label, or take a larger training set",
        )
    medians = np.array([np.nanmedian(c) if not np.isnan(c).all() else 0.0 for c in x.T])
    x = _filled(x, medians)
    centre, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale <= 1e-12 * np.abs(centre)] = 1.0  # a constant feature: its coefficient stays 0
    standard = np.column_stack([np.ones(len(x)), (x - centre) / scale])
    b, converged = _newton(standard, y)
    coefficients = b[1:] / scale
    return Logistic(coefficients, float(b[0] - coefficients @ centre), medians, converged)


def _newton(x: Floats, y: Floats) -> tuple[Floats, bool]:
    """Minimise the penalised negative log likelihood; x (n, 1 + k) has ones first. Coefficients, converged."""
    penalty = np.full(x.shape[1], RIDGE)
    penalty[0] = 0.0

    def loss(b: Floats) -> float:
        z = x @ b
        return float(np.logaddexp(0, z).sum() - y @ z + penalty @ (b * b) / 2)

    b = np.zeros(x.shape[1])
    b[0] = np.log(y.mean() / (1 - y.mean()))
    for _ in range(STEPS):
        p = _sigmoid(x @ b)
        gradient = x.T @ (p - y) + penalty * b
        hessian = (x.T * (p * (1 - p))) @ x + np.diag(penalty)
        move = np.linalg.solve(hessian, gradient)
        if gradient @ move < 1e-10:  # twice what is left to gain in log likelihood
            return b - move, True
        now, size = loss(b), 1.0
        while loss(b - size * move) > now and size > 1e-6:  # a full step can overshoot far from the optimum
            size /= 2
        b = b - size * move
    return b, False


def _filled(features: Floats, medians: Floats) -> Floats:
    if features.ndim != 2 or features.shape[1] != len(medians):
        raise ValueError(f"features of shape {features.shape} should be (n, {len(medians)})")
    return np.where(np.isnan(features), medians, features)


def _sigmoid(z: Floats) -> Floats:
    return 0.5 * (1 + np.tanh(z / 2))  # no overflow on either side
