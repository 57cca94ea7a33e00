"""Calibration: known probabilities, recalibration, bins that hide small counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from precordial.evaluation.calibration import Recalibration, calibration, logit, recalibrate, sigmoid, spline_basis
from precordial.evaluation.metrics import Floats


def sample(n: int = 4000, slope: float = 1.0, intercept: float = 0.0, seed: int = 0) -> tuple[Floats, Floats]:
    """Truth, and probabilities whose calibration line is known."""
    rng = np.random.default_rng(seed)
    x = rng.normal(-1.5, 1.2, n)
    return (rng.random(n) < sigmoid(intercept + slope * x)).astype(float), sigmoid(x)


def test_true_probabilities_are_calibrated() -> None:
    found = calibration(*sample())
    assert found.slope.low < 1 < found.slope.high
    assert found.intercept.low < 0 < found.intercept.high
    assert found.in_the_large.low < 0 < found.in_the_large.high
    assert found.observed_expected.low < 1 < found.observed_expected.high
    assert found.scaled_brier.low > 0
    assert found.smooth is not None
    inside = (found.smooth.low <= found.smooth.predicted) & (found.smooth.predicted <= found.smooth.high)
    assert inside.mean() > 0.8
    assert sum(one.observed.n for one in found.bins) == 4000


def test_a_line_that_is_known_is_found_and_mended() -> None:
    found = calibration(*sample(slope=0.5, intercept=-0.7))
    assert found.slope.low < 0.5 < found.slope.high
    assert found.intercept.low < -0.7 < found.intercept.high
    assert found.slope.high < 1
    line = recalibrate(*sample(slope=0.5, intercept=-0.7, seed=1))
    assert line is not None
    truth, probability = sample(slope=0.5, intercept=-0.7, seed=2)
    mended = calibration(truth, line.apply(probability))
    assert mended.slope.low < 1 < mended.slope.high
    assert mended.brier.value < calibration(truth, probability).brier.value


def test_recalibrated_on_its_own_set_the_line_is_perfect() -> None:
    truth, probability = sample(slope=2.0, intercept=1.0)
    line = recalibrate(truth, probability)
    assert line is not None
    found = calibration(truth, line.apply(probability))
    assert (found.slope.value, found.intercept.value, found.in_the_large.value) == pytest.approx((1, 0, 0), abs=1e-5)
    assert found.observed_expected.value == pytest.approx(1, abs=1e-6)


def test_a_score_that_ranks_the_wrong_way_is_not_turned_round() -> None:
    truth, probability = sample()
    assert recalibrate(truth, 1 - probability) is None


def test_the_share_itself_has_no_use() -> None:
    truth, _ = sample()
    found = calibration(truth, np.full(len(truth), truth.mean()))
    assert found.scaled_brier.value == pytest.approx(0, abs=1e-12)
    assert math.isnan(found.slope.value)
    assert found.smooth is None
    assert len(found.bins) == 1


@pytest.mark.parametrize("truth", [np.zeros(50), np.ones(50)])
def test_one_class_leaves_the_line_undefined(truth: Floats) -> None:
    probability = np.linspace(0, 1, 50)
    found = calibration(truth, probability)
    assert math.isnan(found.slope.value)
    assert math.isnan(found.in_the_large.value)
    assert math.isnan(found.scaled_brier.value)
    assert recalibrate(truth, probability) is None


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=60), st.integers(0, 6))
def test_bins_hold_every_ecg_once_and_none_a_small_count(rows: list[tuple[bool, float]], smallest: int) -> None:
    truth, probability = (np.array(column, float) for column in zip(*rows, strict=True))
    bins = calibration(truth, probability, smallest=smallest).bins
    if bins:
        assert sum(one.observed.n for one in bins) == len(truth)
        assert sum(one.observed.events or 0 for one in bins) == truth.sum()
    assert [one.predicted for one in bins] == sorted(one.predicted for one in bins)
    for one in bins:
        assert min(one.observed.events or 0, one.observed.n - (one.observed.events or 0)) >= smallest


@settings(deadline=None, max_examples=60)
@given(st.floats(-20, 20))
def test_logit_and_sigmoid_undo_each_other(x: float) -> None:
    assert logit(sigmoid([x]))[0] == pytest.approx(x, abs=1e-5)


def test_splines_are_straight_outside_and_smooth_at_the_knots() -> None:
    knots = np.array([-1.0, 0.2, 1.0, 2.5])
    for outside in (np.linspace(-4, -1, 9), np.linspace(2.5, 9, 9)):
        assert np.diff(spline_basis(outside, knots), 2, axis=0) == pytest.approx(0, abs=1e-9)
    h = 1e-3
    for knot in knots:
        around = spline_basis(knot + h * np.arange(-3, 4), knots)
        bend = np.diff(around, 2, axis=0) / h**2
        assert np.abs(np.diff(bend, axis=0)).max() < 0.05


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="outside 0 to 1"):
        calibration([0, 1], [0.5, 1.2])
    with pytest.raises(ValueError, match="missing"):
        calibration([0, 1], [0.5, math.nan])
    assert Recalibration(0.0, 1.0).apply([0.3])[0] == pytest.approx(0.3)


def test_intervals_of_the_line_cover() -> None:
    hits = []
    for seed in range(400):
        found = calibration(*sample(1500, 0.8, -0.3, seed))
        hits.append((found.slope.low < 0.8 < found.slope.high, found.intercept.low < -0.3 < found.intercept.high))
    shares = np.mean(hits, axis=0)  # the error of a share of 0.95 of 400 is 0.011
    assert (shares > 0.91).all()
    assert (shares < 0.985).all()
