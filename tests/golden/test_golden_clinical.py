"""The clinical reading against statsmodels, scikit-learn, SciPy, dcurves and confidenceinterval.

make_clinical.py beside this file made the numbers.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from precordial.evaluation import fit_logistic
from precordial.evaluation.calibration import KNOTS, calibration, logit, measured_line, spline_basis
from precordial.evaluation.decision import decision_curve
from precordial.evaluation.influence import covariance, measured_auc
from precordial.evaluation.learning import LearningCurve, learning_curves
from precordial.evaluation.operating import operate
from precordial.evaluation.proportions import proportion
from precordial.evaluation.shortcut import shortcut

GOLDEN = json.loads(Path(__file__).with_name("clinical.json").read_text())
TRUTH, PROBABILITY, PATIENT = (np.array(GOLDEN[name]) for name in ("truth", "probability", "patient"))


def test_calibration_line_and_its_errors_by_patient() -> None:
    slope, intercept, in_the_large = measured_line(TRUTH, PROBABILITY)
    errors = np.sqrt(np.diag(covariance([intercept, slope, in_the_large], PATIENT)))
    wanted = GOLDEN["line"], GOLDEN["in the large"]
    assert [intercept.value, slope.value] == pytest.approx(wanted[0]["value"], rel=1e-6)
    assert errors[:2] == pytest.approx(wanted[0]["error"], rel=1e-5)
    assert (in_the_large.value, errors[2]) == pytest.approx((wanted[1]["value"], wanted[1]["error"]), rel=1e-6)


def test_brier_score() -> None:
    assert calibration(TRUTH, PROBABILITY).brier.value == pytest.approx(GOLDEN["brier"], rel=1e-12)


def test_splines_span_the_functions_of_natural_splines() -> None:
    x = logit(PROBABILITY)
    basis = spline_basis(x, np.quantile(x, KNOTS))
    rows = GOLDEN["spline"]["rows"]
    assert fit_logistic(basis, TRUTH).predict(basis)[rows] == pytest.approx(GOLDEN["spline"]["fitted"], abs=1e-6)


@pytest.mark.parametrize(("count", "n", "low", "high"), GOLDEN["proportions"])
def test_exact_intervals(count: int, n: int, low: float, high: float) -> None:
    found = proportion(count, n)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9, abs=1e-12)


def test_counts_at_a_threshold() -> None:
    point = operate(TRUTH, PROBABILITY, 0.3)
    assert [point.tp, point.fp, point.fn, point.tn] == GOLDEN["at 0.3"]


def test_auc_and_its_variance() -> None:
    auc = measured_auc(TRUTH, PROBABILITY)
    assert auc.value == pytest.approx(GOLDEN["auc"], rel=1e-12)
    # confidenceinterval computes in float32.
    assert covariance([auc])[0, 0] == pytest.approx(GOLDEN["delong"]["variance"], rel=1e-5)


def test_net_benefit() -> None:
    wanted = GOLDEN["benefit"]
    curve = decision_curve(TRUTH, PROBABILITY, thresholds=wanted["thresholds"])
    # dcurves counts as positive from the threshold on, as here.
    assert [benefit.model.value for benefit in curve] == pytest.approx(wanted["probability"], rel=1e-9)
    assert [benefit.treat_all.value for benefit in curve] == pytest.approx(wanted["all"], rel=1e-9)


def test_likelihood_ratios() -> None:
    age, sex = np.array(GOLDEN["age"]), np.array(GOLDEN["sex"])
    found = shortcut(TRUTH, PROBABILITY, age / 100, age, sex).tests
    for test, (value, p) in zip(found, GOLDEN["likelihood ratio"].values(), strict=True):
        assert test.chi_square == pytest.approx(value, abs=1e-5)
        assert test.p == pytest.approx(p, rel=1e-4)


def test_inverse_power_law() -> None:
    points = GOLDEN["learning"]
    found = learning_curves({"scratch": (points["sizes"], points["aucs"])}, np.diag(np.square(points["errors"])))
    curve = found["scratch"]
    assert isinstance(curve, LearningCurve)
    # The search ends with steps of c of 1e-5; along the valley a and b move with it.
    assert curve.law == pytest.approx(points["law"], rel=1e-3)
    a, b, c = points["law"]
    at = np.array([350, 1000, 3500, 20000.0])
    assert curve.at(at)[0] == pytest.approx(a - b * at**-c, abs=1e-5)
    assert not math.isnan(curve.at(at)[1].sum())
