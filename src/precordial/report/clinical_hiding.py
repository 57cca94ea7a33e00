"""Shares as they may be shown: where a count behind one is small, a bound stands for it, or nothing.

A share in a table tells a count, with its denominator exactly. So where a count from 1 to `smallest` − 1 would be told,
the share is given as a bound. It follows from `smallest` and from counts that are shown anyway: a bound with another
denominator in it would tell this, and with it the small count. Shares from which the count could be computed are left
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
# The count that a share is of, and the other one of its denominator.
CELLS = {
    "sensitivity": ("tp", "fn"),
    "specificity": ("tn", "fp"),
    "ppv": ("tp", "fp"),
    "npv": ("tn", "fn"),
}
OF_ONE_CLASS = ({"tp", "fn"}, {"tn", "fp"})
ZONES = ("rule_out", "intermediate", "rule_in")


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


def bounded(count: int, other: int, smallest: int, total: int | None = None) -> str:
    """The share `count` / (`count` + `other`), one of which is small, as a bound that tells neither.

    Args:
        count, other: the two counts.
        smallest: that may be told.
        total: of the two, if it is known anyway, as that of all cases; else the count that is not small is.
    """
    small = [is_small(one, smallest) for one in (count, other)]
    most = smallest - 1
    if small == [False, True]:
        return f"≥ {100 * (1 - most / total if total else count / (count + most)):.1f}"
    if small == [True, False]:
        return f"≤ {100 * most / (total or other + most):.1f}"
    return LEFT_OUT


def small_cells(point: OperatingPoint, smallest: int) -> frozenset[str]:
    """Which of the four counts must not be told."""
    return frozenset(name for name in ("tp", "fp", "fn", "tn") if is_small(getattr(point, name), smallest))


def point_cells(point: OperatingPoint, smallest: int, hidden: frozenset[str] | None = None) -> dict[str, str]:
    """The shares of a threshold in per cent, as they may be shown.

    Args:
        point: on one set, whose numbers of cases and controls are known.
        smallest: count that may be told; 0 shows everything.
        hidden: counts that must not be told; those of this point by default.
    """
    hidden = small_cells(point, smallest) if hidden is None else hidden
    if not hidden:
        return {name: percent(getattr(point, name)) for name in PROPORTIONS}
    cells = {"positive": LEFT_OUT}
    for name, pair in CELLS.items():
        share: Estimate = getattr(point, name)
        count, other = (int(getattr(point, one)) for one in pair)
        if name in ("sensitivity", "specificity"):
            told = not hidden & set(pair)
            cells[name] = percent(share) if told else bounded(count, other, smallest, total=share.n)
        else:  # a bound has the count in it that is not small, which the share of its class must have told
            larger = pair[0] if count >= other else pair[1]
            told = not any(hidden & cells_of for cells_of in OF_ONE_CLASS if larger in cells_of)
            cells[name] = bounded(count, other, smallest) if told else LEFT_OUT
    return cells


def combined(parts: Sequence[frozenset[str]]) -> frozenset[str]:
    """What a sum hides: all that one of its parts does."""
    return frozenset().union(*parts)


def small_zones(zones: Zones, smallest: int) -> frozenset[str]:
    """Which zones have a count of cases or controls that must not be told."""
    counts = zip(ZONES, zones.cases, zones.controls, strict=True)
    return frozenset(name for name, *both in counts if any(is_small(count, smallest) for count in both))


def zone_cells(zones: Zones, smallest: int, hidden: frozenset[str] | None = None) -> dict[str, str]:
    """Shares and criteria of the zones in per cent, as they may be shown; arguments as for `point_cells`."""
    hidden = small_zones(zones, smallest) if hidden is None else hidden
    names = (*ZONES, "sensitivity", "npv", "specificity", "ppv")
    cells = {name: _criterion(getattr(zones, name)) for name in names}
    if not hidden:
        return cells
    (fn, *_), (tn, *_) = zones.cases, zones.controls
    tp, fp = zones.cases[2], zones.controls[2]
    cells["intermediate"] = LEFT_OUT
    if "rule_out" in hidden:
        cells["rule_out"] = _zone_bound((fn, tn), sum(zones.cases) + sum(zones.controls), smallest)
        if not math.isnan(zones.sensitivity.value):
            cells["sensitivity"] = bounded(sum(zones.cases) - fn, fn, smallest, total=sum(zones.cases))
            cells["npv"] = bounded(tn, fn, smallest)
    if hidden & {"rule_in", "intermediate"}:  # what the other zones have leaves the intermediate one
        alone = "intermediate" not in hidden
        cells["rule_in"] = (
            _zone_bound((tp, fp), sum(zones.cases) + sum(zones.controls), smallest) if alone else LEFT_OUT
        )
        if not math.isnan(zones.specificity.value):
            controls = sum(zones.controls)
            cells["specificity"] = bounded(controls - fp, fp, smallest, total=controls) if alone else LEFT_OUT
            cells["ppv"] = bounded(tp, fp, smallest) if alone else LEFT_OUT
    return cells


def _criterion(share: Estimate) -> str:
    return "–" if math.isnan(share.value) else percent(share)


def _zone_bound(counts: tuple[int, int], n: int, smallest: int) -> str:
    """At most this share is in a zone, from the count of it that is not small."""
    small = [is_small(count, smallest) for count in counts]
    if not any(small):
        return LEFT_OUT
    most = sum(smallest - 1 if hide else count for hide, count in zip(small, counts, strict=True))
    return f"≤ {100 * most / n:.1f}"
