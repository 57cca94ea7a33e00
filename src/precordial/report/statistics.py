"""Statistics of scores and of comparisons: as tables to read, and as rows and JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from precordial import __version__
from precordial.errors import PrecordialError
from precordial.evaluation import Estimate, Row
from precordial.evaluation.csv_tables import csv_text
from precordial.evaluation.description import Comparison, Statistic
from precordial.evaluation.scores import ONE_SPLIT
from precordial.files import write_atomic
from precordial.report.table import Table, grouped
from precordial.report.tables import MODELS, PRETRAINING, TESTS

MEASURES = {
    "auc": "AUC",
    "auc_delong": "AUC, DeLong",
    "auc_delong_logit": "AUC, DeLong on the logit",
    "average_precision": "Average precision",
    "accuracy": "Accuracy at 0.5",
    "mae": "Mean absolute error",
    "r2": "r²",
    "brier": "Brier score",
    "scaled_brier": "Scaled Brier score",
    "slope": "Calibration slope",
    "intercept": "Calibration intercept",
    "in_the_large": "Calibration in the large",
    "observed_expected": "Observed / expected",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "positive": "Share positive",
    "rule_out": "Share ruled out",
    "intermediate": "Share between",
    "rule_in": "Share ruled in",
    "interaction": "Test of interaction",
}
PARTS = {
    "discrimination": "",
    "calibration": "Calibration",
    "threshold": "Threshold",
    "zones": "Zones",
    "groups": "By group",
}
OF_ZONES = {"sensitivity": "rule-out", "npv": "rule-out", "specificity": "rule-in", "ppv": "rule-in"}


def statistics_tables(found: Sequence[Statistic]) -> list[Table]:
    """A table for each target and split, with a heading for each part."""
    tables = []
    for (target, split), rows in groupby(found, key=lambda one: (one.target, one.split)):
        here = list(rows)
        first = here[0].estimate
        where = "" if split == ONE_SPLIT else f" on {split}"
        title = f"{target}{where}: {_size(first)}"
        lines: list[tuple[str, str]] = []
        for (part, of), some in groupby(here, key=lambda one: (one.part, "" if one.part == "groups" else one.of)):
            if PARTS[part]:
                lines.append((f"{PARTS[part]}, {of}" if of else PARTS[part], ""))
            lines += [(_label(one), _cell(one)) for one in some]
        tables.append(Table(title, ("", f"Value ({100 * first.level:g} % interval)"), tuple(lines)))
    return tables


def comparison_tables(found: Sequence[Comparison]) -> list[Table]:
    """A table for each pair of runs; adjusted p-values where there are several pairs."""
    several = len({one.b for one in found}) > 1
    tables = []
    for (a, b), rows in groupby(sorted(found, key=lambda one: one.b), key=lambda one: (one.a, one.b)):
        here = list(rows)
        header = ("", a, b, "Difference", "p", *(("p, Holm",) * several))
        lines: list[tuple[str, ...]] = []
        for (target, split), some in groupby(here, key=lambda one: (one.target, one.split)):
            blank = ("",) * (len(header) - 1)
            where = "" if split == ONE_SPLIT else f" on {split}"
            of = list(some)
            lines.append((f"{target}{where}: {_size(of[0].difference)}", *blank))
            lines += [
                (
                    MEASURES[one.metric],
                    str(one.of_a),
                    str(one.of_b),
                    str(one.difference),
                    p_text(one.p),
                    *((p_text(one.p_adjusted),) * several),
                )
                for one in of
            ]
        tables.append(Table(f"{a} − {b}, paired, {100 * here[0].difference.level:g} % intervals", header, tuple(lines)))
    return tables


def table_differences(rows: Iterable[Row], outcome: str = "AMI") -> Table:
    """All differences in AUC between pre-trained and not, with p-values, raw and corrected for all of a test set.

    Args:
        rows: results of one study; see `precordial.evaluation.with_holm`.
        outcome: of which.
    """
    wanted = [row for row in rows if row.kind == "difference" and row.metric == "auc_difference"]
    wanted = [row for row in wanted if row.target == outcome and row.split in TESTS]
    lines: list[tuple[str, ...]] = []
    for split in (split for split in TESTS if any(row.split == split for row in wanted)):
        here = [row for row in wanted if row.split == split]
        lines.append((f"{TESTS[split]}, {len(here)} comparisons", *("",) * 7))
        lines += [
            (
                MODELS.get(row.model, row.model),
                PRETRAINING.get(row.pretraining, row.pretraining),
                "" if row.source_fraction is None else f"{row.source_fraction:g}",
                "" if row.target_fraction is None else f"{row.target_fraction:g}",
                str(row.seed),
                str(row.estimate),
                p_text(row.p),
                p_text(row.p_adjusted),
            )
            for row in here
        ]
    header = ("Model", "Pre-training", "Source", "Target", "Seed", "Difference in AUC", "p", "p, Holm")
    return Table(f"{outcome}: pre-trained − from scratch, paired", header, tuple(lines))


def p_text(p: float | None) -> str:
    """A p-value as it is printed.

    >>> p_text(0.0312), p_text(0.00002), p_text(float("nan"))
    ('0.031', '< 0.001', '–')
    """
    if p is None or math.isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def write_statistics(path: Path, found: Iterable[Statistic | Comparison], about: Mapping[str, Any]) -> None:
    """Write every number, as the path's suffix says: ``.csv``, a row for each; ``.json``, with what it is about.

    Raises:
        PrecordialError: another suffix.
    """
    rows = [_record(one) for one in found]
    if path.suffix == ".csv":
        header = list(rows[0]) if rows else []
        write_atomic(path, csv_text(header, [["" if v is None else v for v in row.values()] for row in rows]))
    elif path.suffix == ".json":
        whole = {"made_with": f"precordial {__version__}", **about, "statistics": rows}
        write_atomic(path, json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        check_suffix(path)


def check_suffix(path: Path) -> None:
    """Refuse a file that `write_statistics` cannot write, before anything is computed."""
    if path.suffix not in (".csv", ".json"):
        raise PrecordialError(
            "statistics are not written in such a file", file=path, remedy="end its name with .csv or .json"
        )


def _record(one: Statistic | Comparison) -> dict[str, Any]:
    """A flat row; what is undefined is None."""
    values: dict[str, Any] = {}
    for name, value in vars(one).items():
        if isinstance(value, Estimate):
            if name in ("estimate", "difference"):
                values |= vars(value)
            else:
                values |= {f"{name.removeprefix('of_')}_{key}": getattr(value, key) for key in ("value", "low", "high")}
        else:
            values[name] = value
    return {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in values.items()}


def _label(one: Statistic) -> str:
    name = MEASURES.get(one.measure, one.measure)
    if one.part == "groups":
        return f"{name}, {one.of}" if one.measure == "interaction" else one.of
    if one.part == "zones" and one.measure in OF_ZONES:
        return f"{name} of the {OF_ZONES[one.measure]}"
    return name


def _cell(one: Statistic) -> str:
    if one.measure == "interaction":
        return f"p {p_text(one.p)}"
    size = f"   {_size(one.estimate)}" if one.part == "groups" else ""
    return f"{one.estimate}{size}"


def _size(estimate: Estimate) -> str:
    patients = f" of {grouped(estimate.patients)} patients" if estimate.patients is not None else ""
    events = f", {grouped(estimate.events)} with the outcome" if estimate.events is not None else ""
    return f"{grouped(estimate.n)} ECGs{patients}{events}"
