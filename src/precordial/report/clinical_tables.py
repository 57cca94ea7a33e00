"""The tables of the clinical reading."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from precordial.evaluation import Row
from precordial.evaluation.calibration import Calibration
from precordial.evaluation.decision import Benefit
from precordial.evaluation.operating import PROPORTIONS, OperatingPoint, Threshold
from precordial.evaluation.zones import Criteria, Zones
from precordial.report.clinical_hiding import (
    LEFT_OUT,
    combined,
    percent,
    point_cells,
    small_cells,
    small_zones,
    zone_cells,
)
from precordial.report.table import Table
from precordial.report.tables import SETS

SHARES = {
    "sensitivity": "Sensitivity, %",
    "specificity": "Specificity, %",
    "ppv": "PPV, %",
    "npv": "NPV, %",
    "positive": "Positive, %",
}
SHOWN_BENEFITS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)


def p_text(p: float) -> str:
    """A p-value.

    >>> p_text(0.0432), p_text(0.00004), p_text(float("nan"))
    ('0.043', '< 0.001', '–')
    """
    return "–" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def level_text(level: float) -> str:
    """Such as "95 % interval"."""
    return f"{100 * level:g} % interval"


def table_discrimination(
    rows: Sequence[Row], runs: Mapping[str, str], outcome: str, prevalence: Mapping[str, str]
) -> Table:
    """AUC and average precision of the runs that are read, by set.

    Args:
        rows: the results table.
        runs: id → name to print.
        outcome: the rows' target.
        prevalence: split → the share with the outcome, which is the average precision of a score that knows nothing.
    """
    cells = {
        (r.run, r.split, r.metric): r.estimate.format() for r in rows if r.target == outcome and r.kind != "difference"
    }
    lines: list[tuple[str, ...]] = []
    for run, name in runs.items():
        lines.append((name, "", "", ""))
        for split, share in prevalence.items():
            found = [cells.get((run, split, metric), "–") for metric in ("auc", "average_precision")]
            lines.append((SETS.get(split, split), *found, share))
    levels = sorted({row.level for row in rows})
    title = f"AUC and average precision for {outcome}, {level_text(levels[0])}"
    return Table(title, ("Set", "AUC", "Average precision", "Prevalence, %"), tuple(lines))


def table_calibration(found: Mapping[str, Mapping[str, tuple[Calibration, Calibration | None]]], level: float) -> Table:
    """Measures of calibration, before and after recalibration.

    Args:
        found: name of the run → split → before, after.
        level: of the intervals.
    """
    header = (
        "Set",
        "Probabilities",
        "Slope",
        "Intercept",
        "In the large",
        "Observed / expected",
        "Brier",
        "Scaled Brier",
    )
    lines: list[tuple[str, ...]] = []
    for name, splits in found.items():
        lines.append((name, *[""] * (len(header) - 1)))
        for split, pair in splits.items():
            for words, one in zip(("as trained", "recalibrated"), pair, strict=True):
                if one is None:
                    continue
                first = (one.slope, one.intercept, one.in_the_large, one.observed_expected)
                numbers = [*(x.format(2) for x in first), one.brier.format(4), one.scaled_brier.format(3)]
                lines.append((SETS.get(split, split) if words == "as trained" else "", words, *numbers))
    return Table(f"Calibration, {level_text(level)} by patient", header, tuple(lines))


def table_bins(found: Mapping[str, tuple[Calibration, Calibration | None]], *, counts: bool) -> Table:
    """The points of the calibration curve: run → before, after."""
    header = ("Run", "Probabilities", "Mean probability", "Observed share", *(("ECGs", "Events") if counts else ()))
    lines = []
    for name, pair in found.items():
        for words, one in zip(("as trained", "recalibrated"), pair, strict=True):
            for part in one.bins if one else ():
                sizes = (str(part.observed.n), str(part.observed.events)) if counts else ()
                lines.append((name, words, f"{part.predicted:.4f}", part.observed.format(4), *sizes))
    return Table("Calibration by tenths of the probabilities, exact intervals", header, tuple(lines))


def table_thresholds(
    found: Mapping[str, Sequence[tuple[Threshold, Mapping[str, OperatingPoint]]]], smallest: int, level: float
) -> Table:
    """Sensitivity and the rest at thresholds that were fixed on the validation set.

    Args:
        found: name of the run → each threshold and what it does by set.
        smallest: count that may be told.
        level: of the intervals.
    """
    header = ("Fixed for", "Set", *SHARES.values())
    lines: list[tuple[str, ...]] = []
    for name, thresholds in found.items():
        lines.append((name, *[""] * (len(header) - 1)))
        for threshold, points in thresholds:
            if math.isnan(threshold.value):
                lines.append((threshold.name, "no such threshold", *["–"] * len(SHARES)))
                continue
            small = {split: small_cells(point, smallest) for split, point in points.items()}
            for number, (split, point) in enumerate(points.items()):
                hidden = combined([*small.values()]) if split == "combined_test" else small[split]
                cells = point_cells(point, smallest, hidden)
                first = f"{threshold.name} (≥ {threshold.value:.3g})" if number == 0 else ""
                lines.append((first, SETS.get(split, split), *(cells[share] for share in SHARES)))
    title = f"Thresholds fixed on the validation set, exact {level_text(level)}"
    return Table(title, header, tuple(lines))


def table_by_patient(
    found: Mapping[str, Sequence[tuple[Threshold, Mapping[str, OperatingPoint]]]], level: float
) -> Table | None:
    """The same with intervals from resampled patients; None where no patient comes twice."""
    header = ("Fixed for", "Set", *SHARES.values())
    lines: list[tuple[str, ...]] = []
    for name, thresholds in found.items():
        lines.append((name, *[""] * (len(header) - 1)))
        for threshold, points in thresholds:
            for split, point in points.items():
                if point.by_patient:
                    cells = [percent(point.by_patient[share]) for share in PROPORTIONS]
                    lines.append((threshold.name, SETS.get(split, split), *cells))
    if len(lines) == len(found):
        return None
    return Table(f"The same with {level_text(level)}s from resampled patients", header, tuple(lines))


def table_zones(found: Mapping[str, Mapping[str, Zones]], smallest: int, level: float) -> Table:
    """Zones by run and set."""
    header = (
        "Set",
        "Rule-out, %",
        "Intermediate, %",
        "Rule-in, %",
        "Sensitivity, %",
        "NPV, %",
        "Specificity, %",
        "PPV, %",
        "Criteria met",
    )
    names = ("rule_out", "intermediate", "rule_in", "sensitivity", "npv", "specificity", "ppv")
    lines: list[tuple[str, ...]] = []
    for name, splits in found.items():
        lines.append((name, *[""] * (len(header) - 1)))
        small = {split: small_zones(zones, smallest) for split, zones in splits.items()}
        for split, zones in splits.items():
            hidden = combined([*small.values()]) if split == "combined_test" else small[split]
            cells = zone_cells(zones, smallest, hidden)
            lines.append((SETS.get(split, split), *(cells[one] for one in names), held_text(zones, hidden)))
    return Table(f"Rule-out and rule-in zones, exact {level_text(level)}", header, tuple(lines))


def held_text(zones: Zones, hidden: Collection[str] = ()) -> str:
    """Whether the criteria held, in words such as "rule-out yes, rule-in –"; of hidden zones it would tell counts."""
    words = {True: "yes", False: "no", None: "–"}
    out = LEFT_OUT if "rule_out" in hidden else words[zones.rule_out_held]
    into = LEFT_OUT if {"rule_in", "intermediate"} & set(hidden) else words[zones.rule_in_held]
    return f"rule-out {out}, rule-in {into}"


def criteria_text(criteria: Criteria) -> str:
    """The criteria in words."""
    parts = [100 * x for x in (criteria.sensitivity, criteria.npv, criteria.specificity, criteria.ppv)]
    return (
        f"rule-out: sensitivity > {parts[0]:g} % and NPV > {parts[1]:g} %; "
        f"rule-in: specificity > {parts[2]:g} % and PPV > {parts[3]:g} %"
    )


def table_decision(curves: Mapping[str, Sequence[Benefit]], level: float) -> Table:
    """Net benefit at some threshold probabilities; run → curve."""
    lines: list[tuple[str, ...]] = []
    for name, curve in curves.items():
        lines.append((name, "", "", ""))
        for one in curve:
            if any(math.isclose(one.threshold, shown) for shown in SHOWN_BENEFITS):
                numbers = (one.model.format(4), one.treat_all.format(4), one.gain.format(4))
                lines.append((f"{100 * one.threshold:g} %", *numbers))
    header = ("Threshold probability", "Net benefit", "Treating all", "Gain over the better of all and none")
    return Table(f"Net benefit per ECG, {level_text(level)} by patient", header, tuple(lines))


def plain(value: float, digits: int) -> str:
    """A number with a true minus sign; a dash where there is none."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")
