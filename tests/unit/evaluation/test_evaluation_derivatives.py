"""Influences against differences of the metric itself, for a small weight more of each ECG."""

import numpy as np
import pytest

from precordial.evaluation.derivatives import OF_METRIC, influences
from precordial.evaluation.metrics import BINARY, METRICS


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("metric", METRICS)
def test_an_influence_is_the_derivative_by_the_weight(metric: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 40
    truth = (rng.random(n) < 0.3).astype(float) if metric in BINARY else rng.normal(60, 10, n)
    # Ties within and between the classes.
    score = rng.integers(0, 12, n) / 12 if metric in BINARY else truth + rng.normal(0, 5, n)
    statistic, step = METRICS[metric](truth, score), 1e-5
    up, down = (statistic(np.ones((n, n)) + sign * step * np.eye(n)) for sign in (1, -1))
    found = influences(metric, truth, score)
    # Central differences are off by step² of the third derivative, and by rounding of some 1e-16 / step.
    assert found == pytest.approx((up - down) / (2 * step), abs=1e-9)
    assert found.sum() == pytest.approx(0, abs=1e-12)


def test_every_metric_has_one() -> None:
    assert set(OF_METRIC) == set(METRICS)


def test_an_undefined_metric_has_no_influence() -> None:
    assert np.isnan(influences("auc", np.ones(3), np.arange(3.0))).all()
    assert np.isnan(influences("average_precision", np.array([0.0, 1.0]), np.array([0.5, np.nan]))).all()
    assert influences("auc", np.zeros(0), np.zeros(0)).shape == (0,)
