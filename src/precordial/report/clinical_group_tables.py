"""The tables of subgroups, drift, and of the network beside age and sex."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from precordial.evaluation.drift import Drift
from precordial.evaluation.shortcut import Shortcut
from precordial.evaluation.subgroups import Factor
from precordial.report.clinical_hiding import LEFT_OUT, combined, is_small, point_cells, scaled, small_cells
from precordial.report.clinical_tables import level_text, p_text, plain
from precordial.report.table import Table, grouped
from precordial.report.tables import SETS


def table_subgroups(
    factors: Sequence[Factor], smallest: int, level: float, *, threshold: str, hidden: frozenset[str] = frozenset()
) -> Table:
    """AUC by group with the test of interaction, and sensitivity and specificity of one threshold.

    Args:
        factors: see `precordial.evaluation.subgroups.subgroups`.
        smallest: count that may be told; with one, no numbers of ECGs and events are.
        level: of the intervals.
        threshold: what it was fixed for; empty for none.
        hidden: counts of that threshold that must not be told of all ECGs, for the groups add up to them.
    """
    counts = not smallest
    sizes = ("ECGs", "Events") if counts else ()
    shares = ("Sensitivity, %", "Specificity, %") if threshold else ()
    header = ("Group", *sizes, "AUC", "p of interaction", *shares)
    lines: list[tuple[str, ...]] = []
    for factor in factors:
        p = p_text(factor.p)
        lines.append((factor.name, *[""] * (len(header) - 1)))
        points = [group.point for group in factor.groups]
        small = combined([hidden, *(small_cells(point, smallest) for point in points if point is not None)])
        incomplete = bool(smallest) and any(point is None for point in points)
        for number, group in enumerate(factor.groups):
            told = (grouped(group.ecgs), grouped(group.events)) if counts else ()
            auc = group.auc.format() if group.auc else "too few"
            if group.point is None:
                cells = ["–"] * len(shares)
            elif incomplete:
                cells = [LEFT_OUT] * len(shares)
            else:
                found = point_cells(group.point, smallest, small)
                cells = [found["sensitivity"], found["specificity"]][: len(shares)]
            lines.append((group.name, *told, auc, p if number == 0 else "", *cells))
    at = f"; sensitivity and specificity at the threshold fixed for {threshold.lower()}" if threshold else ""
    return Table(f"Subgroups: AUC, {level_text(level)} by patient{at}", header, tuple(lines))


def table_drift(found: Drift, smallest: int, counts: Mapping[str, Sequence[int]], level: float) -> Table:
    """What differs between the random and the temporal test.

    Args:
        found: see `precordial.evaluation.drift.drift`.
        smallest: count that may be told.
        counts: name of a change → the counts that its numbers would tell.
        level: of the intervals.
    """
    lines: list[tuple[str, ...]] = []
    for one in found.changes:
        hidden = any(is_small(count, smallest) for count in counts.get(one.name, ()))
        share = one.name in ("Prevalence", "Mean probability", "Mean female")
        scale = 100 if share else 1
        digits = 1 if share or one.name == "Mean age" else 3
        numbers = [plain(scale * x, digits) for x in (one.before, one.after)]
        cells = [LEFT_OUT] * 4 if hidden else [*numbers, scaled(one.difference, scale).format(digits), p_text(one.p)]
        unit = ", %" if share else ", years" if one.name == "Mean age" else ""
        lines.append((one.name.replace("Mean female", "Female sex") + unit, *cells))
    title = f"Random and temporal test, {level_text(level)} by patient"
    return Table(title, ("", "Random", "Temporal", "Temporal − random", "p"), tuple(lines))


def table_shifts(found: Drift) -> Table:
    """How far distributions have moved."""
    lines = [(one.name, f"{one.psi:.3f}", p_text(one.psi_p), f"{one.ks:.3f}", p_text(one.ks_p)) for one in found.shifts]
    return Table("Shift from the random to the temporal test", ("Of", "PSI", "p", "KS", "p"), tuple(lines))


def table_shortcut(found: Mapping[str, Shortcut], level: float) -> Table:
    """The network beside age and sex, by set."""
    names = {
        "baseline": "Age and sex alone",
        "network": "Network alone",
        "combined": "Network, age and sex together",
        "network_within": "Network, within strata of age and sex",
        "baseline_within": "Age and sex, within the same strata",
    }
    lines: list[tuple[str, ...]] = [("AUC", *[""] * len(found))]
    for key, name in names.items():
        values = [getattr(one, key) for one in found.values()]
        lines.append((name, *(value.format() if value else "–" for value in values)))
    lines.append(("Difference of AUCs, p", *[""] * len(found)))
    for gain in dict.fromkeys(gain.name for one in found.values() for gain in one.gains):
        cells = [next((g for g in one.gains if g.name == gain), None) for one in found.values()]
        lines.append((gain, *(f"{g.difference.format()}, p {_p(g.p)}" if g else "–" for g in cells)))
    lines.append(("Likelihood ratio on the test set", *[""] * len(found)))
    for test in dict.fromkeys(test.name for one in found.values() for test in one.tests):
        tests = [next((t for t in one.tests if t.name == test), None) for one in found.values()]
        lines.append((test, *(f"χ² {t.chi_square:.1f} ({t.freedom} df), p {_p(t.p)}" if t else "–" for t in tests)))
    title = f"Does the network read more than age and sex? {level_text(level)} by patient"
    return Table(title, ("", *(SETS.get(split, split) for split in found)), tuple(lines))


def _p(p: float) -> str:
    text = p_text(p)
    return text if text.startswith(("<", "–")) else f"= {text}"
