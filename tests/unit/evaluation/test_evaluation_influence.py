"""Standard errors by patient: against DeLong's formula written out, against the bootstrap, and in their limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from precordial.evaluation import auc, bootstrap
from precordial.evaluation.influence import (
    Measured,
    covariance,
    estimated,
    interval,
    measured_auc,
    measured_mean,
    p_of_chi_square,
    p_of_difference,
)
from precordial.evaluation.metrics import Floats

SCORES = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40)


def delong(truth: Floats, scores: list[Floats]) -> Floats:
    """The covariance of AUCs by DeLong's formula, pair by pair."""
    cases, controls = np.flatnonzero(truth == 1), np.flatnonzero(truth == 0)
    kernels = [
        np.array([[(s[i] > s[j]) + 0.5 * (s[i] == s[j]) for j in controls] for i in cases], float) for s in scores
    ]
    of_cases, of_controls = (np.stack([kernel.mean(axis) for kernel in kernels]) for axis in (1, 0))
    return np.atleast_2d(np.cov(of_cases)) / len(cases) + np.atleast_2d(np.cov(of_controls)) / len(controls)


def sample(n: int = 300, seed: int = 0) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.25).astype(float)
    return truth, np.round(rng.normal(size=n) + truth, 1)


def test_without_patients_it_is_delongs_covariance() -> None:
    truth, score = sample()
    other = np.round(score + np.random.default_rng(1).normal(size=len(truth)), 1)
    found = covariance([measured_auc(truth, score), measured_auc(truth, other)])
    assert found == pytest.approx(delong(truth, [score, other]), rel=1e-9)


@settings(deadline=None, max_examples=60)
@given(SCORES)
def test_the_value_is_the_auc(rows: list[tuple[bool, int]]) -> None:
    truth, score = (np.array(column, float) for column in zip(*rows, strict=True))
    assert measured_auc(truth, score).value == pytest.approx(auc(truth, score), nan_ok=True)


@settings(deadline=None, max_examples=60)
@given(SCORES)
def test_one_stratum_for_all_changes_nothing_and_strata_are_averaged_by_cases(rows: list[tuple[bool, int]]) -> None:
    truth, score = (np.array(column, float) for column in zip(*rows, strict=True))
    whole = measured_auc(truth, score)
    same = measured_auc(truth, score, np.full(len(truth), "a"))
    assert same.influence == pytest.approx(whole.influence, nan_ok=True)
    strata = np.arange(len(truth)) % 3
    parts = [(auc(truth[strata == k], score[strata == k]), truth[strata == k].sum()) for k in range(3)]
    known = [(value, cases) for value, cases in parts if not math.isnan(value)]
    wanted = sum(v * c for v, c in known) / sum(c for _, c in known) if known else math.nan
    assert measured_auc(truth, score, strata).value == pytest.approx(wanted, nan_ok=True)


def test_patients_who_come_again_count_once() -> None:
    """Every ECG twice is no more than every ECG once."""
    truth, score = sample()
    once = covariance([measured_auc(truth, score)])[0, 0]
    again = measured_auc(np.tile(truth, 2), np.tile(score, 2))
    patients = np.tile(np.arange(len(truth)), 2)
    assert covariance([again], patients)[0, 0] == pytest.approx(once, rel=0.01)
    assert covariance([again])[0, 0] == pytest.approx(once / 2, rel=0.01)


@pytest.mark.parametrize("stratified", [False, True])
def test_errors_are_those_of_the_bootstrap(stratified: bool) -> None:
    rng = np.random.default_rng(3)
    n = 1500
    patients = rng.integers(0, 700, n)
    sick = rng.normal(size=700)[patients]
    truth = (rng.random(n) < 1 / (1 + np.exp(1.5 - sick))).astype(float)
    score = sick + rng.normal(size=n)
    strata = patients % 4 if stratified else None
    found = math.sqrt(covariance([measured_auc(truth, score, strata)], patients)[0, 0])
    if not stratified:
        by_bootstrap = bootstrap("auc", truth, score, patients)
        wanted = (by_bootstrap.high - by_bootstrap.low) / 2 / 1.96
    else:
        rows = [np.flatnonzero(patients == k) for k in range(700)]
        draws = [np.concatenate([rows[k] for k in rng.integers(0, 700, 700)]) for _ in range(300)]
        wanted = float(np.std([measured_auc(truth[d], score[d], strata[d]).value for d in draws]))  # type: ignore[index]
    assert found == pytest.approx(wanted, rel=0.12)  # the error of an error from 300 draws is 4 %


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30))
def test_the_error_of_a_mean_is_the_usual_one(values: list[float]) -> None:
    error = math.sqrt(covariance([measured_mean(values)])[0, 0])
    assert error == pytest.approx(np.std(values, ddof=1) / math.sqrt(len(values)), abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(st.floats(0.01, 0.99), st.floats(0, 2), st.sampled_from(["plain", "logit", "log"]))
def test_intervals_hold_their_value_and_their_bounds(value: float, error: float, scale: str) -> None:
    low, high = interval(value, error, 0.95, scale)  # type: ignore[arg-type]
    assert low <= value * (1 + 1e-12)
    assert value <= high * (1 + 1e-12)
    assert scale == "plain" or low >= 0
    assert scale != "logit" or high <= 1


def test_at_a_bound_there_is_no_interval() -> None:
    perfect = estimated(measured_auc([0, 0, 1, 1], [1, 2, 3, 4]), [0, 0, 1, 1], scale="logit")
    assert perfect.value == 1
    assert math.isnan(perfect.low)
    nothing = measured_auc([1, 1], [1, 2])
    assert math.isnan(nothing.value)
    assert math.isnan(estimated(nothing, [1, 1], scale="logit").high)
    assert math.isnan(measured_mean([1.0], [False]).value)


def test_p_values() -> None:
    assert p_of_chi_square(3.841459, 1) == pytest.approx(0.05, abs=1e-6)
    assert math.isnan(p_of_chi_square(1.0, 0))
    assert math.isnan(p_of_difference(Measured(0.0, np.zeros(5))))


def test_wrong_shapes_are_refused() -> None:
    one = measured_mean([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="patients of shape"):
        covariance([one], [1, 2])
    with pytest.raises(ValueError, match="strata of shape"):
        measured_auc([0, 1], [0, 1], ["a"])
    with pytest.raises(ValueError, match="level"):
        interval(0.5, 0.1, 1.0)
