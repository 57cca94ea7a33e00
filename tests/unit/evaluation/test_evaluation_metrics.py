"""Metrics against brute force, against scikit-learn, and against their own symmetries."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from precordial.evaluation import METRICS, auc, measure

FEW = settings(deadline=None, max_examples=60)
Case = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


@st.composite
def binary_cases(draw: st.DrawFn) -> Case:
    """Truth with both classes, scores with many ties, whole weights with some zeros."""
    n = draw(st.integers(2, 40))
    truth = [1.0, 0.0, *draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=n - 2, max_size=n - 2))]
    score = draw(st.lists(st.integers(-4, 4).map(float), min_size=n, max_size=n))
    weights = [1.0, 1.0, *draw(st.lists(st.integers(0, 3).map(float), min_size=n - 2, max_size=n - 2))]
    return np.array(truth), np.array(score), np.array(weights)


def auc_over_pairs(truth: NDArray[np.float64], score: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """The definition: every case against every control."""
    won = total = 0.0
    for i in np.flatnonzero(truth == 1):
        for j in np.flatnonzero(truth == 0):
            pair = weights[i] * weights[j]
            total += pair
            won += pair * (1.0 if score[i] > score[j] else 0.5 if score[i] == score[j] else 0.0)
    return won / total


@FEW
@given(binary_cases())
def test_auc_is_the_share_of_pairs_ranked_rightly(case: Case) -> None:
    truth, score, weights = case
    assert auc(truth, score) == pytest.approx(auc_over_pairs(truth, score, np.ones(len(truth))), abs=1e-14)
    assert auc(truth, score, weights) == pytest.approx(auc_over_pairs(*case), abs=1e-14)


@FEW
@given(binary_cases(), st.integers(0, 1000))
def test_auc_does_not_depend_on_row_order_or_scale(case: Case, seed: int) -> None:
    truth, score, weights = case
    order = np.random.default_rng(seed).permutation(len(truth))
    assert auc(truth[order], score[order], weights[order]) == auc(*case)
    assert auc(truth, np.exp(score / 3) - 7, weights) == auc(*case)  # monotone: ranks and ties stay


@FEW
@given(binary_cases())
def test_auc_of_the_opposite_is_one_minus_it(case: Case) -> None:
    truth, score, weights = case
    assert auc(truth, -score, weights) == pytest.approx(1 - auc(*case), abs=1e-14)
    assert auc(1 - truth, score, weights) == pytest.approx(1 - auc(*case), abs=1e-14)


@FEW
@given(binary_cases())
def test_a_whole_weight_counts_as_so_many_rows(case: Case) -> None:
    truth, score, weights = case
    times = weights.astype(int)
    probability = 1 / (1 + np.exp(-score))
    for metric, values in (("auc", score), ("accuracy", probability), ("mae", score), ("r2", score)):
        repeated = measure(metric, np.repeat(truth, times), np.repeat(values, times))
        assert measure(metric, truth, values, weights) == pytest.approx(repeated, abs=1e-12), metric


@pytest.mark.parametrize("seed", range(5))
def test_metrics_equal_those_of_scikit_learn(seed: int) -> None:
    from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score, roc_auc_score

    rng = np.random.default_rng(seed)
    truth = (rng.random(3000) < 0.06).astype(float)
    score = 1 / (1 + np.exp(-(rng.normal(size=3000) + truth).round(2)))  # rounded: some ties
    age, guess = rng.normal(65, 17, 3000), rng.normal(65, 17, 3000)
    weights = rng.integers(0, 4, 3000) * rng.random(3000)
    for w in (None, weights):
        assert auc(truth, score, w) == pytest.approx(roc_auc_score(truth, score, sample_weight=w), abs=1e-13)
        assert measure("accuracy", truth, score, w) == pytest.approx(
            accuracy_score(truth, score > 0.5, sample_weight=w), abs=1e-13
        )
        assert measure("mae", age, guess, w) == pytest.approx(
            mean_absolute_error(age, guess, sample_weight=w), abs=1e-11
        )
        assert measure("r2", age, guess, w) == pytest.approx(r2_score(age, guess, sample_weight=w), abs=1e-12)


def test_the_kernel_of_each_metric_takes_many_weights_at_once() -> None:
    rng = np.random.default_rng(3)
    truth = (rng.random(50) < 0.4).astype(float)
    score = rng.random(50).round(1)
    weights = rng.integers(0, 3, (7, 50)).astype(float)
    for name, metric in METRICS.items():
        together = metric(truth, score)(weights)
        assert together.tolist() == pytest.approx([measure(name, truth, score, w) for w in weights], abs=1e-14)


def test_what_is_undefined_is_nan() -> None:
    assert math.isnan(auc([1, 1], [0.2, 0.3]))
    assert math.isnan(auc([0, 1], [0.2, 0.3], [1, 0]))
    assert math.isnan(auc([], []))
    assert math.isnan(auc([0, 1], [0.2, math.nan]))
    assert math.isnan(measure("r2", [0.3, 0.3, 0.3], [0.1, 0.5, 0.2]))
    assert math.isnan(measure("r2", [0.3, 0.3, 61.7], [0.1, 0.5, 0.2], [0.1, 0.7, 0.0]))
    assert math.isnan(measure("mae", [1.0], [2.0], [0.0]))


def test_half_is_a_no() -> None:
    assert measure("accuracy", [0, 1, 1], [0.5, 0.5, 0.6]) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("metric", "truth", "score", "weights", "words"),
    [
        ("f1", [0, 1], [0, 1], None, "unknown metric 'f1'"),
        ("auc", [0, 1, 1], [0, 1], None, "shape"),
        ("auc", [0, 2], [0, 1], None, "0 and 1 only"),
        ("mae", [0, math.nan], [0, 1], None, "truth is missing"),
        ("accuracy", [0, 1], [-2.0, 3.0], None, "probabilities"),
        ("auc", [0, 1], [0, 1], [1, -1], "negative"),
        ("auc", [0, 1], [0, 1], [1], "weights of shape"),
    ],
)
def test_impossible_input_is_refused(
    metric: str, truth: list[float], score: list[float], weights: list[float] | None, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        measure(metric, truth, score, weights)


def test_evaluation_and_report_load_numpy_alone() -> None:
    code = (
        "import sys, precordial.evaluation, precordial.report; "
        "print(sorted({'torch', 'scipy', 'sklearn', 'polars', 'matplotlib'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
