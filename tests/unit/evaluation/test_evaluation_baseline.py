import numpy as np
import pytest
from numpy.typing import NDArray

from precordial.errors import PrecordialError
from precordial.evaluation import fit_logistic

Floats = NDArray[np.float64]


def patients(n: int = 800, seed: int = 0) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    age, female = rng.normal(61, 18, n), (rng.random(n) < 0.48).astype(float)
    log_odds = -5.5 + 0.045 * age - 0.5 * female
    return np.column_stack([age, female]), (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(float)


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_unpenalised_fit_of_scikit_learn(seed: int) -> None:
    from sklearn.linear_model import LogisticRegression

    features, truth = patients(seed=seed)
    fit = fit_logistic(features, truth)
    oracle = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12).fit(features, truth)
    assert fit.converged
    assert fit.coefficients == pytest.approx(oracle.coef_[0], rel=1e-6)
    assert fit.intercept == pytest.approx(oracle.intercept_[0], rel=1e-6)
    assert fit.predict(features) == pytest.approx(oracle.predict_proba(features)[:, 1], abs=1e-7)


def test_the_unit_of_a_feature_does_not_matter() -> None:
    features, truth = patients()
    days = features * [365.25, 1.0] + [1e6, 0.0]
    assert fit_logistic(days, truth).predict(days) == pytest.approx(
        fit_logistic(features, truth).predict(features), abs=1e-8
    )


def test_classes_that_separate_give_a_finite_fit() -> None:
    features = np.arange(20.0)[:, None]
    fit = fit_logistic(features, np.arange(20) >= 10)
    assert fit.converged
    assert np.isfinite(fit.coefficients).all()
    assert (fit.predict(features)[:10] < 0.01).all()
    assert (fit.predict(features)[10:] > 0.99).all()


def test_a_constant_or_a_repeated_feature_does_no_harm() -> None:
    features, truth = patients()
    plain = fit_logistic(features, truth).predict(features)
    more = np.column_stack([features, np.full(len(features), 7.1), features[:, 0]])
    fit = fit_logistic(more, truth)
    assert fit.converged
    assert fit.coefficients[2] == pytest.approx(0, abs=1e-12)
    assert fit.predict(more) == pytest.approx(plain, abs=1e-6)


def test_a_missing_value_counts_as_the_training_median() -> None:
    features, truth = patients()
    holes = features.copy()
    holes[::7, 0] = np.nan
    median = np.nanmedian(holes[:, 0])
    filled = np.where(np.isnan(holes), median, holes)
    fit = fit_logistic(holes, truth)
    assert fit.coefficients.tolist() == fit_logistic(filled, truth).coefficients.tolist()
    assert fit.predict([[np.nan, 1.0]]) == fit.predict([[median, 1.0]])
    assert np.isfinite(fit_logistic(np.column_stack([features, np.full(len(truth), np.nan)]), truth).intercept)


def test_one_class_is_refused() -> None:
    with pytest.raises(PrecordialError, match="both classes"):
        fit_logistic([[1.0], [2.0]], [0, 0])


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="should be"):
        fit_logistic([1.0, 2.0], [0, 1])
    features, truth = patients(50)
    with pytest.raises(ValueError, match=r"should be \(n, 2\)"):
        fit_logistic(features, truth).predict(features[:, :1])
