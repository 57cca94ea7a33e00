"""DeLong's method against R's pROC, bootstrap intervals against R's boot; `make_roc.R` made the numbers."""

import json
from pathlib import Path

import numpy as np
import pytest

from precordial.evaluation import auc, delong_auc, delong_test, delong_variance
from precordial.evaluation.intervals import IntervalName, bootstrap_interval

GOLDEN = json.loads((Path(__file__).parent / "roc.json").read_text())
SCORES = ("a", "b")


def test_variance_and_covariance_are_those_of_proc() -> None:
    matrix = delong_variance(GOLDEN["truth"], GOLDEN["a"], GOLDEN["b"])
    assert matrix.diagonal() == pytest.approx(GOLDEN["variance"], rel=1e-12)
    assert matrix[0, 1] == matrix[1, 0] == pytest.approx(GOLDEN["covariance"], rel=1e-12)


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize("score", SCORES)
def test_delongs_interval_is_that_of_proc(score: str, level: float) -> None:
    found = delong_auc(GOLDEN["truth"], GOLDEN[score], level=level)
    assert found.value == pytest.approx(GOLDEN["auc"][SCORES.index(score)], rel=1e-12)
    theirs = GOLDEN[f"interval_{level * 100:.0f}"][SCORES.index(score)]
    assert (found.low, found.high) == pytest.approx(theirs, rel=1e-12)


def test_the_paired_test_is_that_of_proc() -> None:
    found = delong_test(GOLDEN["truth"], GOLDEN["a"], GOLDEN["b"])
    assert (found.z, found.p) == pytest.approx((GOLDEN["z"], GOLDEN["p"]), rel=1e-10)
    assert found.difference.value == pytest.approx(
        auc(GOLDEN["truth"], GOLDEN["a"]) - auc(GOLDEN["truth"], GOLDEN["b"]), rel=1e-12
    )


@pytest.mark.parametrize("name", ["basic", "percentile", "bca"])
@pytest.mark.parametrize(("at", "level"), [(0, 0.9), (1, 0.95)])
def test_bootstrap_intervals_are_those_of_boot(name: IntervalName, at: int, level: float) -> None:
    """Both take quantiles of the same 1999 values, but interpolate in other ways: never past the next value."""
    values = np.array(GOLDEN["values"])
    found = bootstrap_interval(name, GOLDEN["value"], values, level, np.array(GOLDEN["influence"]))
    for ours, theirs in zip(found, GOLDEN[name][at], strict=True):
        between = np.sort(2 * GOLDEN["value"] - values if name == "basic" else values)
        place = np.searchsorted(between, theirs)
        assert between[place - 2] <= ours <= between[place + 1]
