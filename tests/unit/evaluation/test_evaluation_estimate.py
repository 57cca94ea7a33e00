import math

import pytest

from precordial.evaluation import Estimate


@pytest.mark.parametrize(
    ("numbers", "digits", "text"),
    [
        ((0.8462, 0.8259, 0.8681), 3, "0.846 (0.826–0.868)"),
        ((10.317, 10.2, 10.449), 2, "10.32 (10.20–10.45)"),
        ((0.99, 0.97, 1.01), 2, "0.99 (0.97–1.01)"),  # a basic interval may pass 1
        ((-0.05, -0.08, -0.02), 2, "−0.05 (−0.08 to −0.02)"),
        ((0.0, -0.0001, 0.0001), 3, "0.000 (0.000 to 0.000)"),
        ((0.5, math.nan, math.nan), 3, "0.500 (–)"),
        ((math.nan, math.nan, math.nan), 3, "–"),
    ],
)
def test_format(numbers: tuple[float, float, float], digits: int, text: str) -> None:
    assert Estimate(*numbers).format(digits) == text


def test_str_has_three_digits() -> None:
    assert str(Estimate(0.8462, 0.8259, 0.8681)) == "0.846 (0.826–0.868)"
