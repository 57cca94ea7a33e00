"""Thresholds fixed on validation, exact shares, zones by the Lund group's criteria, decision curves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from precordial.evaluation.decision import decision_curve, useful_range
from precordial.evaluation.metrics import Floats
from precordial.evaluation.operating import PROPORTIONS, find_threshold, operate, usual_thresholds
from precordial.evaluation.proportions import proportion
from precordial.evaluation.zones import Bounds, Criteria, find_zones, measure_zones

ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=1, max_size=40)


def columns(rows: list[tuple[bool, int]]) -> tuple[Floats, Floats]:
    truth, score = (np.array(column, float) for column in zip(*rows, strict=True))
    return truth, score


def sample(n: int = 2000, shift: float = 2.0, seed: int = 0) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.06).astype(float)
    return truth, 1 / (1 + np.exp(-(rng.normal(size=n) + shift * truth - 3)))


@settings(deadline=None, max_examples=60)
@given(ROWS, st.sampled_from(["sensitivity", "specificity"]), st.sampled_from([0.5, 0.9, 0.99]))
def test_the_threshold_reaches_its_target_and_the_next_does_not(
    rows: list[tuple[bool, int]], rule: str, target: float
) -> None:
    truth, score = columns(rows)
    found = find_threshold(truth, score, rule, target).value  # type: ignore[arg-type]
    tried = {value: getattr(operate(truth, score, value), rule).value for value in np.unique(score).tolist()}
    good = [value for value, reached in tried.items() if reached >= target]
    if len(np.unique(truth)) < 2 or not good:
        assert math.isnan(found)
    else:
        assert found == (max(good) if rule == "sensitivity" else min(good))


@settings(deadline=None, max_examples=60)
@given(ROWS)
def test_youden_has_the_largest_sum(rows: list[tuple[bool, int]]) -> None:
    truth, score = columns(rows)
    found = find_threshold(truth, score, "youden").value
    if len(np.unique(truth)) == 2:
        points = {value: operate(truth, score, value) for value in np.unique(score).tolist()}
        sums = {value: point.sensitivity.value + point.specificity.value for value, point in points.items()}
        assert sums[found] == pytest.approx(max(sums.values()))


@settings(deadline=None, max_examples=60)
@given(ROWS, st.integers(0, 8))
def test_the_four_counts_are_all_ecgs(rows: list[tuple[bool, int]], threshold: int) -> None:
    truth, score = columns(rows)
    point = operate(truth, score, threshold)
    assert point.tp + point.fp + point.fn + point.tn == len(rows)
    assert point.tp + point.fn == truth.sum()
    assert point.positive.value == pytest.approx(np.mean(score >= threshold))
    for name in PROPORTIONS:
        share = getattr(point, name)
        assert math.isnan(share.value) or share.low <= share.value <= share.high


def test_names_and_usual_thresholds() -> None:
    found = usual_thresholds(*sample())
    assert [one.name for one in found] == ["Sensitivity 99 %", "Sensitivity 95 %", "Specificity 90 %", "Youden"]
    assert found[0].value <= found[1].value


def test_patients_who_come_again_have_wider_intervals() -> None:
    truth, score = sample(600)
    truth, score = np.repeat(truth, 3), np.repeat(score, 3)  # three equal ECGs each
    point = operate(truth, score, 0.1, np.repeat(np.arange(600), 3))
    for name in ("sensitivity", "specificity"):
        exact, by_patient = getattr(point, name), point.by_patient[name]
        assert by_patient.value == exact.value
        assert by_patient.high - by_patient.low > 1.4 * (exact.high - exact.low)  # √3 for equal ECGs
        assert 0 <= by_patient.low <= by_patient.high <= 1
    assert operate(truth, score, 0.1, np.arange(1800)).by_patient == {}


def test_exact_intervals_cover_at_least_as_often_as_they_say() -> None:
    n = 60
    counts = np.arange(n + 1)
    ends = np.array([(one.low, one.high) for one in (proportion(int(k), n) for k in counts)])
    choose = np.array([math.comb(n, int(k)) for k in counts], float)
    for p in np.linspace(0.01, 0.99, 37):
        chance = choose * p**counts * (1 - p) ** (n - counts)
        assert chance[(ends[:, 0] <= p) & (p <= ends[:, 1])].sum() >= 0.95
    assert math.isnan(proportion(0, 0).value)
    with pytest.raises(ValueError, match="a count lies between"):
        proportion(3, 2)


@settings(deadline=None, max_examples=60)
@given(ROWS)
def test_zones_meet_their_criteria_where_they_were_found_and_part_all_ecgs(rows: list[tuple[bool, int]]) -> None:
    truth, score = columns(rows)
    loose = Criteria(sensitivity=0.7, npv=0.8, specificity=0.6, ppv=0.5)
    bounds = find_zones(truth, score, loose)
    zones = measure_zones(truth, score, bounds, loose)
    shares = zones.rule_out.value + zones.intermediate.value + zones.rule_in.value
    assert shares == pytest.approx(1)
    assert sum(zones.cases) == truth.sum()
    assert sum(zones.controls) == (1 - truth).sum()
    assert zones.rule_out_held is (None if math.isnan(bounds.low) else True)
    assert zones.rule_in_held is (None if math.isnan(bounds.high) else True)
    if not math.isnan(bounds.low) and not math.isnan(bounds.high):
        assert bounds.low <= bounds.high


@settings(deadline=None, max_examples=60)
@given(ROWS)
def test_no_larger_zone_meets_the_criteria(rows: list[tuple[bool, int]]) -> None:
    truth, score = columns(rows)
    loose = Criteria(sensitivity=0.7, npv=0.8, specificity=0.6, ppv=0.5)
    bounds = find_zones(truth, score, loose)
    for value in np.unique(score).tolist():
        if math.isnan(bounds.low) or value > bounds.low:
            tried = measure_zones(truth, score, Bounds(value, math.nan), loose)
            assert not tried.rule_out_held
        above_rule_out = math.isnan(bounds.low) or value >= bounds.low
        if above_rule_out and (math.isnan(bounds.high) or value < bounds.high):
            assert not measure_zones(truth, score, Bounds(math.nan, value), loose).rule_in_held


def test_a_score_that_knows_nothing_has_no_zones() -> None:
    truth, _ = sample()
    bounds = find_zones(truth, np.random.default_rng(1).random(len(truth)))
    zones = measure_zones(truth, np.full(len(truth), 0.5), Bounds(math.nan, bounds.high))
    assert math.isnan(bounds.high)
    assert zones.rule_in_held is None
    assert zones.rule_out.value == 0
    assert zones.intermediate.value == 1


def test_zones_of_a_good_score_hold_on_other_ecgs() -> None:
    bounds = find_zones(*sample(20000, 5.0))
    zones = measure_zones(*sample(20000, 5.0, seed=1), bounds)
    assert zones.rule_out.value > 0.7
    assert zones.npv.value > 0.995
    assert zones.ppv.value > 0.6
    assert zones.rule_in_held is not None


def test_treating_all_is_a_score_of_one_and_nobody_is_nought() -> None:
    truth, probability = sample()
    everybody = decision_curve(truth, np.ones(len(truth)))
    assert all(one.model == one.treat_all for one in everybody)
    nobody = decision_curve(truth, np.zeros(len(truth)))
    assert {one.model.value for one in nobody} == {0.0}
    curve = decision_curve(truth, probability)
    for one in curve:
        assert one.gain.value == pytest.approx(one.model.value - max(one.treat_all.value, 0), abs=1e-12)
        assert one.treat_all.value == pytest.approx(
            truth.mean() - (1 - truth.mean()) * one.threshold / (1 - one.threshold), abs=1e-12
        )
        assert one.model.value <= truth.mean() + 1e-12
    assert useful_range(curve) is not None
    assert useful_range(nobody) is None
    with pytest.raises(ValueError, match="threshold probability"):
        decision_curve(truth, probability, thresholds=[1.0])
