"""How many ECGs are needed: learning curves AUC(n) = a − b · n^−c, with and without pre-training.

The inverse power law is the usual law of learning curves (Figueroa et al. 2012). It is fitted by least squares,
weighted by the sampling errors of the AUCs. Its uncertainty comes from a parametric bootstrap: AUCs are drawn about the
curve with the covariance of a common test set, and with the scatter about the curve, which is that of training; and are
fitted again. All curves are drawn together, so that what they have in common cancels in a difference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from precordial.evaluation.estimate import Estimate
from precordial.evaluation.metrics import Floats

FEWEST = 4  # sizes, for three numbers to be fitted and something to be left over
SLOWEST, FASTEST = 0.05, 3.0  # c: below, the law is a logarithm; above, a step
STEPS, FINER = 100, 21
ON_EDGE = 0.10  # share of fits at the ends of a, b or c from which on the law is not identified
FARTHEST = 10.0  # how far beyond the largest size a number is still given


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """One fitted curve.

    Attributes:
        sizes, aucs, errors: (k,) what was fitted: ECGs trained on, AUCs and their standard errors.
        law: (3,) a, b, c.
        drawn: (replicates, 3) those of the bootstrap.
        identified: whether the law may be used beyond the largest size.
        why_not: what speaks against that; empty where nothing does.
        level: of its intervals.
    """

    sizes: Floats
    aucs: Floats
    errors: Floats
    law: Floats
    drawn: Floats
    identified: bool
    why_not: str
    level: float

    def at(self, sizes: ArrayLike) -> tuple[Floats, Floats, Floats]:
        """The curve at sizes (m,), and the ends of its pointwise interval."""
        n = np.asarray(sizes, np.float64)
        low, high = np.quantile(_auc(self.drawn, n), [(1 - self.level) / 2, (1 + self.level) / 2], axis=0)
        return _auc(self.law, n), low, high

    @property
    def farthest(self) -> float:
        """The largest size about which the curve says something."""
        return float(self.sizes.max() * (FARTHEST if self.identified else 1.0))


@dataclass(frozen=True)
class Saved:
    """What pre-training saves at one size.

    Attributes:
        size: ECGs to train on from scratch.
        auc: there, by its curve.
        needed: ECGs with pre-training for the same AUC; not below the smallest size that was tried, infinite where the
            curve does not reach it.
        saved: size − needed.
    """

    size: float
    auc: Estimate
    needed: Estimate
    saved: Estimate


def learning_curves(
    series: Mapping[str, tuple[ArrayLike, ArrayLike]],
    covariance: ArrayLike,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, LearningCurve | str]:
    """Fit a curve to each series.

    Args:
        series: name → sizes (k,) and AUCs (k,); several AUCs of one size, such as those of several seeds, are welcome.
        covariance: (K, K) sampling covariance of all AUCs, in the order of the series; see
            `precordial.evaluation.influence.covariance`. A diagonal one holds for test sets of their own.
        replicates: of the bootstrap.
        level: of the intervals.
        seed: of the bootstrap.

    Returns:
        Each series' curve, or why there is none.

    Raises:
        ValueError: shapes that do not fit, or a size below 1.
    """
    points = {name: (np.asarray(n, np.float64), np.asarray(y, np.float64)) for name, (n, y) in series.items()}
    among = np.asarray(covariance, np.float64)
    total = sum(len(n) for n, _ in points.values())
    if among.shape != (total, total) or any(n.shape != y.shape or n.ndim != 1 for n, y in points.values()):
        raise ValueError(f"a covariance of shape {among.shape} for {total} AUCs")
    if any((n < 1).any() for n, _ in points.values()):
        raise ValueError("a training has at least one ECG")
    rng = np.random.default_rng(seed)
    values, vectors = np.linalg.eigh(among) if total else (np.zeros(0), among)
    root = vectors * np.sqrt(np.maximum(values, 0))
    common = rng.standard_normal((replicates, total)) @ root.T
    own = rng.standard_normal((replicates, total))
    found: dict[str, LearningCurve | str] = {}
    start = 0
    for name, (n, y) in points.items():
        at = slice(start, start + len(n))
        start += len(n)
        errors = np.sqrt(np.diag(among)[at])
        found[name] = _curve(n, y, errors, common[:, at], own[:, at], level)
    return found


def _curve(n: Floats, y: Floats, errors: Floats, common: Floats, own: Floats, level: float) -> LearningCurve | str:
    if len(np.unique(n)) < FEWEST:
        return f"{len(np.unique(n))} sizes; a curve needs at least {FEWEST}"
    if np.isnan(y).any() or not (errors > 0).all():
        return "an AUC or its error is undefined"
    weights = 1 / errors**2
    law = _fit(n, y[None], weights)[0]
    expected = _auc(law, n)
    scatter = math.sqrt(((y - expected) ** 2).sum() / max(len(n) - 3, 1))
    drawn = _fit(n, np.minimum(expected + common + scatter * own, 1.0), weights)
    flat, edge = law[1] <= 0, _on_edge(law[None])[0]
    why = ""
    if flat:
        why = "the AUC does not rise with the size"
    elif edge or _on_edge(drawn).mean() > ON_EDGE:
        why = "these sizes do not tell how the curve goes on beyond them"
    return LearningCurve(n, y, errors, law, drawn, not why, why, level)


def ecgs_needed(curve: LearningCurve, auc: float) -> Estimate:
    """ECGs to train on for an AUC, with interval.

    A number below the smallest size that was tried stands for that or less. One beyond `LearningCurve.farthest` is
    infinite: no more than that the curve cannot say.

    Args:
        curve: of the trainings.
        auc: to be reached.
    """
    value = _needed(curve, curve.law[None], np.array([auc]))[0]
    drawn = _needed(curve, curve.drawn, np.full(len(curve.drawn), auc))
    return _between(float(value), drawn, curve.level)


def ecgs_saved(scratch: LearningCurve, pretrained: LearningCurve, size: float | None = None) -> Saved:
    """How many ECGs pre-training saves: with how many it reaches what training from scratch reaches with `size`.

    Args:
        scratch, pretrained: of one call of `learning_curves`, whose draws belong together.
        size: ECGs from scratch; the largest that was tried by default.
    """
    n = float(scratch.sizes.max()) if size is None else size
    value, low, high = (float(part[0]) for part in scratch.at([n]))
    aucs = _auc(scratch.drawn, np.array([n]))[:, 0]
    needed = float(_needed(pretrained, pretrained.law[None], np.array([value]))[0])
    drawn = _needed(pretrained, pretrained.drawn, aucs)
    level = scratch.level
    return Saved(
        n,
        Estimate(value, low, high, level, int(n)),
        _between(needed, drawn, level),
        _between(n - needed, n - drawn, level),
    )


def _needed(curve: LearningCurve, laws: Floats, aucs: Floats) -> Floats:
    a, b, c = laws.T
    rising, above = b > 0, a > aucs
    ratio = np.divide(b, a - aucs, out=np.full(len(a), np.inf), where=above)
    with np.errstate(over="ignore"):
        n = np.where(rising, np.power(ratio, 1 / c), np.where(a >= aucs, 0.0, np.inf))
    n = np.where(n > curve.farthest, np.inf, n)
    return np.asarray(np.maximum(n, curve.sizes.min()), np.float64)


def _between(value: float, drawn: Floats, level: float) -> Estimate:
    """With the ends of what was drawn, which may be infinite: no interpolation between a number and infinity."""
    ends = np.quantile(drawn, (1 - level) / 2, method="lower"), np.quantile(drawn, (1 + level) / 2, method="higher")
    return Estimate(value, float(ends[0]), float(ends[1]), level)


def _auc(laws: Floats, sizes: Floats) -> Floats:
    """(…, 3) laws at (m,) sizes: (…, m)."""
    a, b, c = (laws[..., k, None] for k in range(3))
    return np.asarray(a - b * np.power(sizes, -c), np.float64)


def _on_edge(laws: Floats) -> np.ndarray:
    """Which laws (r, 3) are where the search ends, and not where the AUCs lead."""
    a, b, c = laws.T
    return np.asarray((c <= SLOWEST * 1.001) | (c >= FASTEST / 1.001) | (b <= 0) | (a >= 1))


def _fit(sizes: Floats, aucs: Floats, weights: Floats) -> Floats:
    """Weighted least squares of each row of AUCs (r, k): laws (r, 3), with a ≤ 1 and b ≥ 0.

    For a given c the law is a straight line, so c alone has to be searched: on a grid, then on a finer one.
    """
    grid = np.geomspace(SLOWEST, FASTEST, STEPS)
    laws = _lines(sizes, aucs, weights, np.broadcast_to(grid, (len(aucs), STEPS)))
    for _ in range(2):
        step = grid[1] / grid[0]
        grid = np.geomspace(1 / step, step, FINER)
        around = np.clip(laws[:, 2:] * grid, SLOWEST, FASTEST)
        laws = _lines(sizes, aucs, weights, around)
    return laws


def _lines(sizes: Floats, aucs: Floats, weights: Floats, powers: Floats) -> Floats:
    """The best of the laws with powers (r, p) for each row."""
    scale = sizes.max()
    x = np.power(sizes / scale, -powers[:, :, None])  # (r, p, k), 1 at the largest size
    y, w = aucs[:, None, :], weights / weights.sum()
    mean_x, mean_y = (w * x).sum(-1), (w * y).sum(-1)
    b = -(w * (x - mean_x[..., None]) * y).sum(-1) / (w * (x - mean_x[..., None]) ** 2).sum(-1)
    b = np.maximum(b, 0.0)
    a = mean_y + b * mean_x
    over = a > 1
    a = np.where(over, 1.0, a)
    b = np.where(over, (w * x * (1 - y)).sum(-1) / (w * x * x).sum(-1), b)
    lack = (w * (y - a[..., None] + b[..., None] * x) ** 2).sum(-1)
    best = lack.argmin(axis=1)
    rows = np.arange(len(best))
    c = powers[rows, best]
    return np.stack([a[rows, best], b[rows, best] * scale**c, c], axis=1)
