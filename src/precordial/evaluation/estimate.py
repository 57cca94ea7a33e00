"""A number with its interval: the form in which every result is kept and printed."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A metric on one set of ECGs, with its confidence interval.

    Attributes:
        value: the metric on the set itself; NaN where it is undefined (an AUC with one class only).
        low, high: the interval; NaN where it is undefined. A basic interval may pass the metric's own
            bounds (an AUC above 1), and is kept so.
        level: confidence level of the interval.
        n: number of ECGs.
        events: number of ECGs with the outcome; None for a regression.
        patients: number of patients; None where they are not known.

    >>> print(Estimate(0.84618, 0.82561, 0.86799, n=6012, events=349, patients=5618))
    0.846 (0.826–0.868)
    >>> Estimate(0.012, -0.004, 0.028).format(2)
    '0.01 (0.00 to 0.03)'
    >>> str(Estimate(float("nan"), float("nan"), float("nan")))
    '–'
    """

    value: float
    low: float
    high: float
    level: float = 0.95
    n: int = 0
    events: int | None = None
    patients: int | None = None

    def __str__(self) -> str:
        return self.format()

    def format(self, digits: int = 3) -> str:
        """``value (low–high)`` with so many decimals; what is undefined is a dash.

        Where the interval has a negative end, "to" stands between the ends: a dash would read as a sign.
        """
        if math.isnan(self.value):
            return "–"
        if math.isnan(self.low) or math.isnan(self.high):
            return f"{_number(self.value, digits)} (–)"
        between = " to " if self.low < 0 else "–"
        return f"{_number(self.value, digits)} ({between.join(_number(x, digits) for x in (self.low, self.high))})"


def _number(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    if float(text) == 0:  # no "-0.000"
        text = text.lstrip("-")
    return text.replace("-", "−")
