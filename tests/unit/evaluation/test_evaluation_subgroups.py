"""Subgroups and drift: p-values are uniform where nothing differs, and small where something does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from precordial.evaluation.drift import Drift, Sample, drift, shift
from precordial.evaluation.metrics import Floats
from precordial.evaluation.subgroups import LEAST, age_bands, subgroups

REPEATS = 400
# A share of 0.05 of 400 has an error of 0.011; the mean of 400 uniform numbers one of 0.014.
UNIFORM = {"small": (0.017, 0.085), "mean": (0.45, 0.55)}


def sample(n: int, rng: np.random.Generator, shift: float | Floats = 1.0) -> tuple[Floats, Floats, Floats]:
    """Truth, probability and patients, of whom some come again; not calibrated."""
    patients = np.sort(rng.integers(0, int(0.8 * n), n)).astype(float)
    sick = rng.normal(size=n)[patients.astype(int)]
    truth = (rng.random(n) < 1 / (1 + np.exp(1.4 - 0.8 * sick))).astype(float)
    score = 0.5 * sick + rng.normal(size=n) + shift * truth
    return truth, 1 / (1 + np.exp(2 - score)), patients


def looks_uniform(p: Floats) -> None:
    assert not np.isnan(p).any()
    assert UNIFORM["small"][0] < (p < 0.05).mean() < UNIFORM["small"][1]
    assert UNIFORM["mean"][0] < p.mean() < UNIFORM["mean"][1]


def test_the_interaction_test_keeps_its_level() -> None:
    rng = np.random.default_rng(5)
    p = []
    for _ in range(REPEATS):
        truth, probability, patients = sample(500, rng)
        site = np.array(["a", "b", "c"])[patients.astype(int) % 3]  # a patient has one site
        visit = np.array(["first", "other"])[rng.integers(0, 2, 500)]  # but not one kind of visit
        p.append([one.p for one in subgroups(truth, probability, {"site": site, "visit": visit}, patients)])
    looks_uniform(np.array(p)[:, 0])
    looks_uniform(np.array(p)[:, 1])


def test_an_interaction_is_found() -> None:
    rng = np.random.default_rng(6)
    sex = rng.integers(0, 2, 3000)
    truth, probability, patients = sample(3000, rng, shift=np.where(sex == 1, 2.0, 0.2))
    [found] = subgroups(truth, probability, {"sex": np.where(sex == 1, "female", "male")}, patients, threshold=0.2)
    assert found.p < 1e-6
    assert found.freedom == 1
    female, male = found.groups
    assert female.name == "female"
    assert female.auc is not None
    assert male.auc is not None
    assert female.auc.low > male.auc.high
    assert female.point is not None
    assert female.point.tp + female.point.fn == female.events


def test_small_groups_are_shown_as_such_and_have_no_part_in_the_test() -> None:
    rng = np.random.default_rng(7)
    truth, probability, patients = sample(800, rng)
    site = np.full(800, "large", object)
    few = np.flatnonzero(truth == 1)[: LEAST - 1]
    site[few], site[np.flatnonzero(truth == 0)[:50]] = "small", "small"
    site[np.flatnonzero(truth == 0)[50:60]] = ""
    [found] = subgroups(truth, probability, {"site": site.astype(str)}, patients)
    assert [(one.name, one.events, one.auc is None) for one in found.groups] == [
        ("large", int(truth.sum()) - LEAST + 1, False),
        ("small", LEAST - 1, True),
    ]
    assert sum(one.ecgs for one in found.groups) == 790
    assert math.isnan(found.p)
    assert found.groups[0].point is None  # without a threshold
    with pytest.raises(ValueError, match="groups of 'site'"):
        subgroups(truth, probability, {"site": ["a"]})


def test_age_bands_stand_in_their_order() -> None:
    rng = np.random.default_rng(8)
    truth, probability, patients = sample(2000, rng)
    ages = age_bands(rng.uniform(20, 95, 2000))
    [found] = subgroups(truth, probability, {"age": ages}, patients)
    assert [one.name for one in found.groups] == ["below 50", "50–64", "65–79", "80 and above"]


def drawn_set(n: int, rng: np.random.Generator, years: float = 0.0, shift: float = 1.0) -> Sample:
    truth, probability, patients = sample(n, rng, shift)
    inputs = {"age": rng.normal(62 + years, 15, n), "sex": rng.integers(0, 2, n).astype(float)}
    inputs["age"][:3] = np.nan
    return Sample(truth, probability, patients, inputs)


def by_name(found: Drift) -> dict[str, float]:
    return {one.name: one.p for one in found.changes} | {f"{one.name} psi": one.psi_p for one in found.shifts}


def test_where_nothing_drifts_p_values_are_uniform() -> None:
    rng = np.random.default_rng(9)
    found = [by_name(drift(drawn_set(700, rng), drawn_set(500, rng))) for _ in range(REPEATS)]
    for name in ("AUC", "Calibration slope", "Calibration-in-the-large", "Prevalence", "Mean age", "Age psi"):
        looks_uniform(np.array([one[name] for one in found]))


def test_what_drifts_is_found() -> None:
    rng = np.random.default_rng(10)
    found = drift(drawn_set(3000, rng), drawn_set(3000, rng, years=8, shift=2.0))
    p = by_name(found)
    assert p["AUC"] < 1e-4
    assert p["Mean age"] < 1e-4
    assert p["Age psi"] < 1e-4
    assert p["Mean sex"] > 0.001
    assert {one.name for one in found.shifts} == {"Probability", "Age"}
    change = {one.name: one for one in found.changes}["Mean age"]
    assert change.difference.low < 8 < change.difference.high
    assert change.after - change.before == pytest.approx(change.difference.value)


def test_equal_samples_have_no_shift_and_apart_ones_all_of_it() -> None:
    x = np.random.default_rng(0).normal(size=500)
    same = shift("x", x, x)
    assert (same.psi, same.ks) == (0, 0)
    assert same.psi_p == 1
    apart = shift("x", x, x + 100)
    assert apart.ks == 1
    assert apart.psi > 1
