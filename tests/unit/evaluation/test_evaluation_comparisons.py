import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from precordial.evaluation import Estimate, Result, Row, holm, result_rows, with_holm


def test_holms_own_kind_of_example() -> None:
    # As R's p.adjust(c(0.01, 0.04, 0.03, 0.005, 0.8), "holm") prints.
    assert holm([0.01, 0.04, 0.03, 0.005, 0.8]) == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.8])
    assert holm([0.4, 0.5]).tolist() == [0.8, 0.8]
    assert holm([0.7, 0.6]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.5))
def test_holm_rejects_as_the_steps_do(p: list[float], alpha: float) -> None:
    """Written as the procedure: go up from the smallest, stop at the first that is too large."""
    rejected = set()
    for step, at in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if p[at] * (len(p) - step) > alpha:
            break
        rejected.add(at)
    assert {at for at, adjusted in enumerate(holm(p)) if adjusted <= alpha} == rejected


def test_what_has_no_p_value_is_not_counted() -> None:
    adjusted = holm([0.01, math.nan, 0.02])
    assert adjusted[[0, 2]].tolist() == [0.02, 0.02]
    assert math.isnan(adjusted[1])
    for wrong in ([0.1, 1.1], [[0.1]], [-0.1]):
        with pytest.raises(ValueError, match="between 0 and 1"):
            holm(wrong)


def difference(p: float | None, split: str = "random_test", metric: str = "auc_difference") -> Row:
    result = Result(split, "AMI", metric, Estimate(0.01, -0.01, 0.03, 0.95, 100, 6, 90), p)
    return result_rows([result], run="r", kind="difference")[0]


def test_families_are_corrected_by_themselves() -> None:
    rows = [
        difference(0.01),
        replace(difference(None), kind="finetune", metric="auc"),
        difference(0.02, split="temporal_test"),
        difference(0.04),
        difference(0.001, metric="average_precision_difference"),
        difference(math.nan),
    ]
    found = with_holm(rows)
    adjusted = [np.nan if row.p_adjusted is None else row.p_adjusted for row in found]
    assert adjusted == pytest.approx([0.02, np.nan, 0.02, 0.04, 0.001, np.nan], nan_ok=True)
    assert found[1].p_adjusted is None
    assert [replace(row, p_adjusted=None) for row in found][:5] == rows[:5]
