"""Learning curves: laws that are known are found, with honest uncertainty, and refused where there is none to find."""

from __future__ import annotations

import math

import numpy as np
import pytest

from precordial.evaluation.learning import LearningCurve, ecgs_needed, ecgs_saved, learning_curves
from precordial.evaluation.metrics import Floats

SIZES = np.arange(1, 11) * 700.0
SCRATCH, PRETRAINED = (0.86, 3.0, 0.5), (0.87, 1.5, 0.5)


def law(sizes: Floats, a: float, b: float, c: float) -> Floats:
    return a - b * sizes**-c


def fitted(noise: float = 0.0, seed: int = 0, common: float = 0.0) -> tuple[LearningCurve, LearningCurve]:
    """Both curves, with scatter of each training and an error that all share."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, common)
    aucs = [law(SIZES, *of) + shared + rng.normal(0, noise, 10) for of in (SCRATCH, PRETRAINED)]
    among = np.full((20, 20), max(common, 1e-4) ** 2) + np.diag(np.full(20, 1e-10))
    found = learning_curves({"scratch": (SIZES, aucs[0]), "age": (SIZES, aucs[1])}, among, replicates=200, seed=seed)
    scratch, age = found["scratch"], found["age"]
    assert isinstance(scratch, LearningCurve)
    assert isinstance(age, LearningCurve)
    return scratch, age


def true_needed(auc: float, a: float, b: float, c: float) -> float:
    return float((b / (a - auc)) ** (1 / c))


def test_laws_without_noise_are_found() -> None:
    scratch, age = fitted()
    assert scratch.law == pytest.approx(SCRATCH, rel=1e-2)
    assert scratch.identified
    assert scratch.why_not == ""
    assert ecgs_needed(scratch, 0.84).value == pytest.approx(true_needed(0.84, *SCRATCH), rel=1e-3)
    saved = ecgs_saved(scratch, age)
    reached = law(np.array([7000.0]), *SCRATCH)[0]
    assert saved.auc.value == pytest.approx(reached, abs=1e-5)
    assert saved.needed.value == pytest.approx(true_needed(reached, *PRETRAINED), rel=1e-3)
    assert saved.saved.value == pytest.approx(7000 - saved.needed.value)


def test_the_intervals_cover() -> None:
    """Of 120 studies each; the error of a share of 0.95 of 120 is 0.02. The t of few residuals makes it smaller."""
    reached = law(np.array([7000.0]), *SCRATCH)[0]
    hits = []
    for seed in range(120):
        scratch, age = fitted(0.004, seed, 0.008)
        _, low, high = scratch.at([3500.0])
        saved = ecgs_saved(scratch, age)
        needed = true_needed(reached, *PRETRAINED)
        hits.append(
            (low[0] <= law(np.array([3500.0]), *SCRATCH)[0] <= high[0], saved.needed.low <= needed <= saved.needed.high)
        )
    assert np.mean(hits, axis=0) == pytest.approx(0.93, abs=0.06)


def test_an_error_that_all_share_cancels_in_what_is_saved() -> None:
    alone, together = (ecgs_saved(*fitted(0.002, 3, common)) for common in (0.0, 0.02))
    assert together.auc.high - together.auc.low > 4 * (alone.auc.high - alone.auc.low)
    assert together.needed.high - together.needed.low < 1.5 * (alone.needed.high - alone.needed.low)


def test_beyond_the_reach_nothing_is_claimed() -> None:
    scratch, _ = fitted(0.002)
    assert ecgs_needed(scratch, 0.95).value == math.inf
    assert ecgs_needed(scratch, 0.5).value == SIZES.min()
    assert ecgs_needed(scratch, 0.856).high == math.inf  # needs 562 500


def test_too_few_sizes_are_refused() -> None:
    among = np.diag(np.full(6, 1e-4))
    found = learning_curves({"few": ([10, 20, 30, 10, 20, 30], [0.7, 0.8, 0.85] * 2)}, among)
    assert found["few"] == "3 sizes; a curve needs at least 4"
    missing = learning_curves({"x": ([1, 2, 3, 4], [0.5, math.nan, 0.7, 0.8])}, np.diag(np.full(4, 1e-4)))
    assert missing["x"] == "an AUC or its error is undefined"


@pytest.mark.parametrize(
    ("aucs", "why"),
    [
        (0.8 + 0.01 * np.array([1, -1, 1, -1, 1, -1, 1, -1, 1, -1.0]), "these sizes|does not rise"),
        (0.85 - 0.01 * np.log(SIZES / 7000), "does not rise"),
        (0.6 + 0.08 * np.log10(SIZES / 700), "these sizes"),
    ],
)
def test_what_is_not_identified_says_so_and_is_not_continued(aucs: Floats, why: str) -> None:
    found = learning_curves({"x": (SIZES, aucs)}, np.diag(np.full(10, 1e-4)))["x"]
    assert isinstance(found, LearningCurve)
    assert not found.identified
    assert any(part in found.why_not for part in why.split("|"))
    assert found.farthest == SIZES.max()
    assert ecgs_needed(found, 0.9).value == math.inf


def test_several_seeds_of_one_size_are_welcome() -> None:
    rng = np.random.default_rng(1)
    sizes = np.repeat(SIZES, 3)
    aucs = law(sizes, *SCRATCH) + rng.normal(0, 0.003, 30)
    found = learning_curves({"x": (sizes, aucs)}, np.diag(np.full(30, 1e-6)))["x"]
    assert isinstance(found, LearningCurve)
    value, low, high = found.at([7000.0])
    assert low[0] < law(np.array([7000.0]), *SCRATCH)[0] < high[0]
    assert high[0] - low[0] < 0.01
    assert value[0] == pytest.approx(law(np.array([7000.0]), *SCRATCH)[0], abs=0.004)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="a covariance of shape"):
        learning_curves({"x": ([1, 2], [0.5, 0.6])}, np.eye(3))
    with pytest.raises(ValueError, match="at least one ECG"):
        learning_curves({"x": ([0, 2], [0.5, 0.6])}, np.eye(2))
