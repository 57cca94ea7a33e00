"""The shortcut question: a score that only knows age and sex is found out, and one that knows more is not."""

from __future__ import annotations

import numpy as np
import pytest

from precordial.evaluation import fit_logistic
from precordial.evaluation.metrics import Floats
from precordial.evaluation.shortcut import Shortcut, age_sex_strata, fit_combined, shortcut


def people(n: int, rng: np.random.Generator) -> tuple[Floats, Floats, Floats, Floats]:
    """Age, sex, truth, and what an ECG could show beside."""
    age, sex = rng.normal(62, 15, n), rng.integers(0, 2, n).astype(float)
    sign = rng.normal(size=n)
    log_odds = -2 + 0.06 * (age - 62) - 0.5 * sex + 0.8 * sign
    return age, sex, (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(float), sign


def ask(knows_more: bool, n: int = 2500, seed: int = 0) -> Shortcut:
    rng = np.random.default_rng(seed)
    sets = {}
    for name in ("train", "validation", "test"):
        age, sex, truth, sign = people(n, rng)
        log_odds = -2 + 0.06 * (age - 62) - 0.5 * sex + 0.8 * sign * knows_more + rng.normal(0, 0.2, n)
        sets[name] = age, sex, truth, 1 / (1 + np.exp(-log_odds))
    age, sex, truth, _ = sets["train"]
    simple = fit_logistic(np.column_stack([age, sex]), truth)
    age, sex, truth, probability = sets["validation"]
    combined = fit_combined(truth, probability, age, sex)
    age, sex, truth, probability = sets["test"]
    baseline = simple.predict(np.column_stack([age, sex]))
    return shortcut(truth, probability, baseline, age, sex, np.arange(n), combined=combined)


def test_a_network_that_reads_age_and_sex_is_found_out() -> None:
    found = ask(knows_more=False)
    assert found.network.value == pytest.approx(found.baseline.value, abs=0.02)
    assert found.network_within.value < found.network.value - 0.05
    assert found.gains[0].difference.high < 0.01
    assert found.tests[0].p > 0.01
    assert found.strata > 0.95


def test_a_network_that_reads_more_is_not() -> None:
    found = ask(knows_more=True)
    gains = {gain.name: gain for gain in found.gains}
    assert gains["Network − age and sex"].difference.low > 0
    assert gains["Network − age and sex"].p < 1e-4
    assert gains["Network − age and sex, within strata"].difference.low > 0
    assert found.network_within.low > found.baseline_within.high
    assert found.tests[0].p < 1e-10
    assert found.combined is not None
    assert found.combined.value >= found.network.value - 0.01


def test_the_likelihood_ratio_and_the_paired_test_keep_their_level() -> None:
    """A network of pure noise adds nothing to age and sex."""
    rng = np.random.default_rng(4)
    p = []
    for _ in range(400):
        age, sex, truth, _ = people(400, rng)
        noise = rng.random(400)
        p.append(shortcut(truth, noise, rng.random(400), age, sex))
    ratio, gain = np.array([one.tests[0].p for one in p]), np.array([one.gains[0].p for one in p])
    for values in (ratio, gain):  # the error of a share of 0.05 of 400 is 0.011
        assert 0.015 < (values < 0.05).mean() < 0.09
        assert 0.45 < values.mean() < 0.55


def test_without_a_fit_on_validation_nothing_is_combined() -> None:
    assert fit_combined(np.zeros(9), np.full(9, 0.5), np.full(9, 60.0), np.zeros(9)) is None
    age, sex, truth, sign = people(300, np.random.default_rng(1))
    found = shortcut(truth, 1 / (1 + np.exp(-sign)), age / 200, age, sex)
    assert found.combined is None
    assert len(found.gains) == 2


def test_strata() -> None:
    assert age_sex_strata([40, 90, np.nan], [1, 0, np.nan]).tolist() == ["below 50 female", "80 and above male", " "]
