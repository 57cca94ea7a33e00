"""DeLong's method against placements written out pair by pair, and Obuchowski's against her sums over patients."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from precordial.evaluation import auc, bootstrap_auc, delong_auc, delong_test, delong_variance

Floats = NDArray[np.float64]


@st.composite
def ecgs_of_patients(draw: st.DrawFn) -> tuple[Floats, Floats, Floats, NDArray[np.intp]]:
    """At least two patients with a case and two with a control; scores with ties; patients with both."""
    n = draw(st.integers(0, 25))
    truth = [1.0, 1.0, 0.0, 0.0, *draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=n, max_size=n))]
    patient = [0, 1, 2, 3, *draw(st.lists(st.integers(0, 8), min_size=n, max_size=n))]
    scores = [draw(st.lists(st.integers(-3, 3).map(float), min_size=n + 4, max_size=n + 4)) for _ in range(2)]
    return np.array(truth), np.array(scores[0]), np.array(scores[1]), np.array(patient)


def placements(truth: Floats, score: Floats) -> tuple[Floats, Floats]:
    """Of each case, and of each control, the share of the other class that it is ranked rightly against: all pairs."""
    cases, controls = score[truth == 1], score[truth == 0]
    psi = (cases[:, None] > controls) + 0.5 * (cases[:, None] == controls)
    return psi.mean(axis=1), psi.mean(axis=0)


def obuchowski(truth: Floats, a: Floats, b: Floats, patient: NDArray[np.intp]) -> float:
    """The covariance as in her paper of 1997, sums over patients written as such."""
    m, n = (truth == 1).sum(), (truth == 0).sum()
    of_case, of_control, names = patient[truth == 1], patient[truth == 0], set(patient.tolist())
    parts = []
    for score in (a, b):
        v10, v01 = placements(truth, score)
        area = v10.mean()
        x = {i: (v10[of_case == i] - area).sum() for i in names}
        y = {i: (v01[of_control == i] - area).sum() for i in names}
        parts.append((x, y))
    (xa, ya), (xb, yb) = parts
    i10, i01, i = len(set(of_case.tolist())), len(set(of_control.tolist())), len(names)
    s10 = i10 / ((i10 - 1) * m) * sum(xa[k] * xb[k] for k in names)
    s01 = i01 / ((i01 - 1) * n) * sum(ya[k] * yb[k] for k in names)
    s11 = i / (i - 1) * sum(xa[k] * yb[k] for k in names)
    s11_back = i / (i - 1) * sum(xb[k] * ya[k] for k in names)
    return float(s10 / m + s01 / n + (s11 + s11_back) / (m * n))


@settings(deadline=None, max_examples=80)
@given(ecgs_of_patients())
def test_the_variance_is_that_of_all_pairs(case: tuple[Floats, Floats, Floats, NDArray[np.intp]]) -> None:
    truth, a, b, patient = case
    matrix = delong_variance(truth, a, b)
    v10, v01 = (np.stack(part) for part in zip(placements(truth, a), placements(truth, b), strict=True))
    expected = np.cov(v10) / v10.shape[1] + np.cov(v01) / v01.shape[1]
    assert matrix == pytest.approx(expected, abs=1e-13)
    clustered = delong_variance(truth, a, b, patients=patient)
    assert clustered[0, 1] == pytest.approx(obuchowski(truth, a, b, patient), abs=1e-13)
    assert clustered[1, 1] == pytest.approx(obuchowski(truth, b, b, patient), abs=1e-13)
    by_ecg = delong_variance(truth, a, b, patients=np.arange(len(truth)))
    assert by_ecg == pytest.approx(matrix, abs=1e-14)


def repeated(seed: int, patients: int = 1500) -> tuple[Floats, Floats, NDArray[np.intp]]:
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(patients), rng.integers(1, 6, patients))
    case = (rng.random(patients) < 0.1).astype(float)[of]
    shared = rng.normal(size=patients)[of]
    return case, 1.3 * case + 0.9 * shared + 0.4 * rng.normal(size=len(of)), of


def test_patients_with_several_ecgs_make_the_interval_wider_as_the_bootstrap_does() -> None:
    truth, score, patient = repeated(1)
    alone, clustered = delong_auc(truth, score), delong_auc(truth, score, patient)
    by_patients = bootstrap_auc(truth, score, patient, replicates=4000)
    assert alone.value == clustered.value == auc(truth, score)
    assert clustered.high - clustered.low > 1.5 * (alone.high - alone.low)
    # Of 4000 resamples a standard deviation is known to 1 / √8000 = 1.1 %, the quantiles to some 3 %.
    assert clustered.high - clustered.low == pytest.approx(by_patients.high - by_patients.low, rel=0.08)
    assert (alone.patients, clustered.patients) == (None, 1500)


def test_the_logit_interval_stays_inside() -> None:
    truth = np.array([0] * 20 + [1] * 8)
    score = np.arange(28) - 9.0 * (np.arange(28) == 25)
    plain, logit = delong_auc(truth, score), delong_auc(truth, score, scale="logit")
    assert plain.high == 1.0  # cut
    assert logit.low < plain.low < logit.value < logit.high < 1
    error = math.sqrt(delong_variance(truth, score)[0, 0])
    reach = 1.959964 * error / (plain.value * (1 - plain.value))
    assert math.log(logit.high / (1 - logit.high)) == pytest.approx(
        math.log(plain.value / (1 - plain.value)) + reach, rel=1e-6
    )


def test_where_nothing_can_be_said_there_is_no_interval() -> None:
    assert str(delong_auc([0, 0, 1, 1], [1, 2, 3, 4])) == "1.000 (–)"
    assert str(delong_auc([0, 0, 0, 1], [1, 5, 2, 4])) == "0.667 (–)"
    assert str(delong_auc([1, 1], [1, 2])) == "–"
    # Two cases, but of one patient.
    assert str(delong_auc([0, 0, 1, 1], [1, 3, 2, 4], ["a", "b", "c", "c"])) == "0.750 (–)"
    assert math.isnan(delong_test([1, 1], [1, 2], [2, 1]).p)


def test_equal_rankings_do_not_differ() -> None:
    truth, score, patient = repeated(2)
    found = delong_test(truth, score, np.exp(score), patient)
    assert (found.difference.value, found.difference.low, found.difference.high, found.p) == (0, 0, 0, 1)


def test_the_test_turns_with_its_sides() -> None:
    truth, score, patient = repeated(3)
    other = score + np.random.default_rng(0).normal(size=len(score))
    one, back = delong_test(truth, score, other, patient), delong_test(truth, other, score, patient)
    assert (back.z, back.p) == pytest.approx((-one.z, one.p), rel=1e-12)
    assert one.difference.low > 0
    assert one.p < 1e-6


def test_p_values_are_even_where_there_is_no_difference() -> None:
    """400 tests of two scores that are equally good: 5 % below 0.05, give or take three standard errors of 1.1 %."""
    small = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        of = np.repeat(np.arange(300), rng.integers(1, 4, 300))
        truth = (rng.random(300) < 0.2).astype(float)[of]
        shared = rng.normal(size=300)[of]
        a, b = (truth + 0.5 * shared + 0.7 * rng.normal(size=300)[of] + 0.3 * rng.normal(size=len(of)) for _ in "ab")
        small += delong_test(truth, a, b, of).p < 0.05
    assert 0.017 <= small / 400 <= 0.083


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="groups of shape"):
        delong_variance([0, 1, 0, 1], [1, 2, 3, 4], patients=["a"])
    with pytest.raises(ValueError, match="0 and 1 only"):
        delong_auc([0, 2], [1, 2])
