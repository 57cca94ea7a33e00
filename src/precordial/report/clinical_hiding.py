"""Shares as they may be shown: where a count behind one is small, a bound stands for it, or nothing.

A share in a table tells a count, with its denominator exactly. So where a count from 1 to `smallest` − 1 would be told,
the share is given as a bound that follows from `smallest` alone; others from which the count could be computed are left
out. What is shown of the random and temporal test adds up to the combined one, which therefore hides what they hide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from precordial.evaluation.estimate import Estimate
from precordial.evaluation.operating import PROPORTIONS, OperatingPoint
from precordial.evaluation.zones import Zones

LEFT_OUT = "*"
CELLS = {
    "sensitivity": ("tp", "fn"),
    "specificity": ("tn", "fp"),
    "ppv": ("tp", "fp"),
    "npv": ("tn", "fn"),
    "positive": ("tp", "fp", "fn", "tn"),
}
COARSE = 200  # from so many on, a whole percent stands for several counts


def is_small(count: int, smallest: int) -> bool:
    """Whether a count must not be told."""
    return 0 < count < smallest


def percent(share: Estimate, digits: int = 1) -> str:
    """A share with its interval in per cent, such as "99.1 (97.5–99.8)"."""
    return scaled(share, 100).format(digits)


def scaled(number: Estimate, factor: float) -> Estimate:
    """In another unit."""
    value, low, high = (factor * x for x in (number.value, number.low, number.high))
    return replace(number, value=value, low=low, high=high)


def bounded(share: Estimate, smallest: int) -> str:
    """A share whose count, or that of the others, is small: what follows from that alone; else nothing."""
    if share.n >= smallest and is_small(share.events or 0, smallest):
        return f"≤ {100 * (smallest - 1) / share.n:.1f}"
    if share.n >= smallest and is_small(share.n - (share.events or 0), smallest):
        return f"≥ {100 * (1 - (smallest - 1) / share.n):.1f}"
    return LEFT_OUT


def small_cells(point: OperatingPoint, smallest: int) -> frozenset[str]:
    """Which of the four counts must not be told."""
    return frozenset(name for name in ("tp", "fp", "fn", "tn") if is_small(getattr(point, name), smallest))


def point_cells(point: OperatingPoint, smallest: int, hidden: frozenset[str] | None = None) -> dict[str, str]:
    """The shares of a threshold in per cent, as they may be shown.

    Args:
        point: on one set.
        smallest: count that may be told; 0 shows everything.
        hidden: counts that must not be told; those of this point by default.
    """
    hidden = small_cells(point, smallest) if hidden is None else hidden
    cells = {}
    for name in PROPORTIONS:
        share: Estimate = getattr(point, name)
        if not hidden:
            cells[name] = percent(share)
        elif hidden & set(CELLS[name]) or name in ("ppv", "npv", "positive"):
            cells[name] = bounded(share, smallest) if name != "positive" else LEFT_OUT
        else:
            cells[name] = percent(share)
    return cells


def combined(parts: Sequence[frozenset[str]]) -> frozenset[str]:
    """What a sum hides: all that one of its parts does."""
    return frozenset().union(*parts)


ZONES = ("rule_out", "intermediate", "rule_in")


def small_zones(zones: Zones, smallest: int) -> frozenset[str]:
    """Which zones have a count of cases or controls that must not be told."""
    counts = zip(ZONES, zones.cases, zones.controls, strict=True)
    return frozenset(name for name, *both in counts if any(is_small(count, smallest) for count in both))


def zone_cells(zones: Zones, smallest: int, hidden: frozenset[str] | None = None) -> dict[str, str]:
    """Shares and criteria of the zones in per cent, as they may be shown; arguments as for `point_cells`."""
    hidden = small_zones(zones, smallest) if hidden is None else hidden
    cells = {}
    for name in ZONES:
        share: Estimate = getattr(zones, name)
        cells[name] = percent(share) if not hidden else _coarse(share)
    for name, zone in (
        ("sensitivity", "rule_out"),
        ("npv", "rule_out"),
        ("specificity", "rule_in"),
        ("ppv", "rule_in"),
    ):
        share = getattr(zones, name)
        if math.isnan(share.value):
            cells[name] = "–"
        elif zone in hidden:
            cells[name] = bounded(share, smallest)
        elif "intermediate" in hidden and zone == "rule_in":  # its counts would follow from those of both zones
            cells[name] = LEFT_OUT
        else:
            cells[name] = percent(share)
    return cells


def _coarse(share: Estimate) -> str:
    return f"{100 * share.value:.0f}" if share.n >= COARSE else LEFT_OUT
