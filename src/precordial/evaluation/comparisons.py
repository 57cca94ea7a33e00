"""p-values of many comparisons, corrected together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from precordial.evaluation.metrics import Floats
from precordial.evaluation.results import Row


def holm(p: ArrayLike) -> Floats:
    """p-values corrected by Holm's step-down procedure (1979): the chance of a single false alarm is held.

    The smallest of m is multiplied by m, the next by m − 1, and so on; none is made smaller than one before it, nor
    larger than 1.

    Args:
        p: (m,) p-values; those that are NaN stay so and are not counted.

    >>> holm([0.01, 0.04, 0.03, 0.005])
    array([0.03, 0.06, 0.06, 0.02])
    """
    raw = np.asarray(p, np.float64)
    if raw.ndim != 1 or ((raw < 0) | (raw > 1)).any():
        raise ValueError(f"p-values of shape {raw.shape} should be (m,) and lie between 0 and 1")
    out = np.full(raw.shape, np.nan)
    order = np.argsort(raw, kind="stable")[: np.count_nonzero(~np.isnan(raw))]  # NaN sorts last
    steps = raw[order] * np.arange(len(order), 0, -1)
    out[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return out


def with_holm(rows: Iterable[Row]) -> list[Row]:
    """The results of a study with the p-value of each difference corrected, in `Row.p_adjusted`.

    Together are corrected all differences of one metric of one target on one split: pre-trained or not, over all
    models, pre-trainings, fractions and seeds of the study. Rows without a p-value stay as they are.
    """
    rows = list(rows)
    families: dict[tuple[str, str, str], list[int]] = {}
    for at, row in enumerate(rows):
        if row.p is not None:
            families.setdefault((row.split, row.target, row.metric), []).append(at)
    for members in families.values():
        for at, adjusted in zip(members, holm([_p(rows[at]) for at in members]), strict=True):
            rows[at] = replace(rows[at], p_adjusted=float(adjusted))
    return rows


def _p(row: Row) -> float:
    return float("nan") if row.p is None else row.p
