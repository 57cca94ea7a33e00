"""Tables III and IV and the numbers of Fig. 3, laid out as in the paper, from the results table."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import replace

from precordial.errors import PrecordialError
from precordial.evaluation import Row
from precordial.report.paper import COLUMNS as PAPER_COLUMNS
from precordial.report.paper import TABLE_FOUR, TABLE_THREE
from precordial.report.table import Table, grouped

# The paper's names in the paper's order; anything else follows under its own name.
MODELS = {"cnn-20k": "CNN-20k", "rn-900k": "RN-900k", "rn-7m": "RN-7M", "rn-33m": "RN-33M"}
PRETRAINING = {"none": "No pre-training", "age": "Age", "sex": "Sex", "age-sex": "Age & Sex"}
TESTS = {"random_test": "Random", "site_test": "Site", "temporal_test": "Temporal", "combined_test": "Combined"}
SETS = {"validation": "Validation"} | TESTS
METRICS = {"mae": "MAE", "r2": "r²", "auc": "AUC", "accuracy": "Accuracy"}
DIGITS = {"mae": 2}  # 3 for the others
TRAINED = ("scratch", "finetune")
MANY = 8  # outcomes; more than so many share one table
SEEDS = {
    "auc": "Mean over the seeds (interval of seeds and patients together), standard deviation between seeds",
    "auc_difference": "Mean paired difference to no pre-training over the seeds, standard deviation between them",
}
BESIDE = "Paper"  # the first cell of a line with the paper's numbers, which stands below the study's own


def results_tables(
    rows: Iterable[Row], outcomes: Sequence[str], *, counts: bool = True, paper: bool = False
) -> dict[str, Table]:
    """The tables of a study's results by the names of their files; those without a line are left out.

    The main outcome's are "table-3" and "sizes"; another's have its name behind. Many outcomes have one table.

    Args:
        rows: the study's results table.
        outcomes: the cohort's, the main one first.
        counts: whether to say how many ECGs have an outcome.
        paper: put the paper's numbers below those of the main outcome, and of pre-training.
    """
    rows = list(rows)
    tables: dict[str, Table | None] = {}
    if len(outcomes) > MANY:
        tables["outcomes"] = table_outcomes(rows, outcomes, counts=counts)
    else:
        for outcome, suffix in zip(outcomes, suffixes(outcomes), strict=True):
            tables[f"table-3{suffix}"] = table_three(rows, outcome, paper=paper and not suffix)
            tables[f"sizes{suffix}"] = table_sizes(rows, outcome, several=len(outcomes) > 1)
    tables["table-4"] = table_four(rows, paper=paper)
    return {name: table for name, table in tables.items() if table is not None and table.rows}


def suffixes(outcomes: Sequence[str]) -> list[str]:
    """What stands behind the names of an outcome's files and anchors: nothing for the first, else its name.

    >>> suffixes(["AMI", "I21.0–I21.3", "statement:NORM", "statement NORM"])
    ['', '-I21.0-I21.3', '-statement-NORM', '-statement-NORM-4']
    """
    found: list[str] = []
    for number, outcome in enumerate(outcomes, start=1):
        plain = "-" + (re.sub(r"[^A-Za-z0-9.]+", "-", outcome).strip("-.") or str(number))
        plain += f"-{number}" if plain.lower() in {one.lower() for one in found} else ""
        found.append("" if number == 1 else plain)
    return found


def table_three(rows: Iterable[Row], outcome: str = "AMI", *, paper: bool = False) -> Table:
    """Table III: the AUC on the test sets for each model and pre-training, at the study's largest fractions.

    Below the models stand, of several seeds, their means, the logistic regression on age and sex, for a synthetic
    hospital the Bayes limit, and the paired differences to no pre-training.

    Args:
        rows: results of one study.
        outcome: the rows' target.
        paper: put the paper's numbers below: below each line, or of several seeds below that of their mean.

    Raises:
        PrecordialError: two results for one cell.
    """
    kinds = {"auc": (*TRAINED, "baseline", "limit"), "auc_difference": ("difference",)}
    rows = [row for row in rows if row.target == outcome and row.split in TESTS]
    seeds, _ = at_largest([row for row in rows if row.kind == "seeds"])
    rows = [row for row in rows if row.kind in kinds.get(row.metric, ())]
    rows, note = at_largest(rows)
    trained = [row for row in rows if row.kind in TRAINED]
    blocks = {
        "Logistic regression on age and sex": [row for row in rows if row.kind == "baseline"],
        "Bayes limit, from the known truth": [row for row in rows if row.kind == "limit"],
        "Paired difference to no pre-training": [row for row in rows if row.kind == "difference"],
    }
    columns = ordered((row.pretraining for row in rows), PRETRAINING)
    means = {name: [row for row in seeds if row.metric.startswith(f"{name}_seed_")] for name in SEEDS}
    lines = _test_lines(trained, columns, paper=paper and not seeds)
    for name, heading in SEEDS.items():
        if means[name]:
            lines += [(heading, *[""] * (1 + len(columns)))]
            lines += _test_lines(means[name], columns, paper=paper and name == "auc", means=True)
    for heading, block in blocks.items():
        if block:
            lines += [(heading, *[""] * (1 + len(columns))), *_test_lines(block, columns)]
    title = f"Table III. AUC for {outcome} by pre-training{note}, {_interval(rows)}"
    return Table(title, ("Model", "Test set", *(PRETRAINING.get(c, c) for c in columns)), tuple(lines))


def table_four(rows: Iterable[Row], *, paper: bool = False) -> Table:
    """Table IV: what pre-training learned, on the source's validation set, at the largest source fraction.

    Args:
        rows: results of one study.
        paper: put the paper's numbers below each line, of several seeds below the last one's.

    Raises:
        PrecordialError: two results for one cell.
    """
    learned = [row for row in rows if row.kind == "pretrain" and row.split == "validation"]
    learned, note = at_largest(learned)
    cells = _cells(learned, lambda row: (row.model, row.seed, row.pretraining, row.metric))
    lines = []
    last = max((row.seed for row in learned), default=0)
    for model, seed, name in _runs(learned):
        labels = ordered((r.pretraining for r in learned if (r.model, r.seed) == (model, seed)), PRETRAINING)
        for label in labels:
            values = (cells.get((model, seed, label, metric), "") for metric in METRICS)
            lines.append((name if label == labels[0] else "", PRETRAINING.get(label, label), *values))
            if paper and seed == last and (model, label) in TABLE_FOUR:
                lines.append(("", BESIDE, *TABLE_FOUR[model, label]))
    title = f"Table IV. Pre-training on the source's validation set{note}, {_interval(learned)}"
    return Table(title, ("Model", "Label", *METRICS.values()), tuple(lines))


def table_sizes(rows: Iterable[Row], outcome: str = "AMI", *, several: bool = False) -> Table | None:
    """The numbers of Fig. 3: AUC on the combined test set by target fraction; None if there is one fraction only.

    Args:
        rows: results of one study.
        outcome: the rows' target.
        several: whether there are others, so that the title has to name it.

    Raises:
        PrecordialError: two results for one cell.
    """
    rows = [r for r in rows if r.target == outcome and r.kind in TRAINED and r.metric == "auc"]
    rows = [r for r in rows if r.split == "combined_test"]
    rows, note = at_largest(rows, target=False)
    fractions = sorted({row.target_fraction for row in rows if row.target_fraction is not None})
    if len(fractions) < 2:
        return None
    columns = ordered((row.pretraining for row in rows), PRETRAINING)
    cells = _cells(rows, lambda row: (row.model, row.seed, row.target_fraction, row.pretraining))
    lines = []
    for model, seed, name in _runs(rows):
        for fraction in fractions:
            values = [cells.get((model, seed, fraction, column), "") for column in columns]
            lines.append((name if fraction == fractions[0] else "", f"{100 * fraction:g} %", *values))
    of = f" for {outcome}" if several else ""
    title = f"AUC{of} on the combined test set by share of the target's training patients{note}, {_interval(rows)}"
    return Table(title, ("Model", "Target", *(PRETRAINING.get(c, c) for c in columns)), tuple(lines))


def table_outcomes(rows: Iterable[Row], outcomes: Sequence[str], *, counts: bool = True) -> Table:
    """One line per outcome: how many ECGs have it, and the AUC by pre-training; and their mean, the macro-average.

    Of each model at the study's largest fractions, on the combined test set or else on what there is. An outcome
    without an AUC, for want of cases, is left out of the mean.

    Args:
        rows: results of one study.
        outcomes: the rows' targets that matter.
        counts: whether to say how many ECGs have an outcome.

    Raises:
        PrecordialError: two results for one cell.
    """
    split = main_split(rows := list(rows))
    rows = [row for row in rows if row.metric == "auc" and row.split == split and row.target in outcomes]
    rows, note = at_largest([row for row in rows if row.kind in (*TRAINED, "baseline")])
    trained, alone = [row for row in rows if row.kind in TRAINED], [row for row in rows if row.kind == "baseline"]
    columns = ordered((row.pretraining for row in trained), PRETRAINING)
    events = {row.target: (grouped(row.events or 0),) for row in rows} if counts else {}
    blank = ("",) * counts
    lines: list[tuple[str, ...]] = []
    for model, seed, name in [*_runs(trained), *([("", 0, "Logistic regression on age and sex")] if alone else [])]:
        here = [row for row in (trained if model else alone) if (row.model, row.seed) == (model, seed)]
        cells = _cells(here, lambda row: (row.target, row.pretraining))
        lines.append((name, *blank, *[""] * len(columns)))
        lines += [
            (outcome, *events.get(outcome, blank), *(cells.get((outcome, column), "") for column in columns))
            for outcome in outcomes
        ]
        lines.append(("Macro-average", *blank, *(_macro(here, column) for column in columns)))
    title = f"AUC on the {TESTS.get(split, split).lower()} test set by outcome{note}, {_interval(rows)}"
    return Table(title, ("Outcome", *(("Events",) * counts), *(PRETRAINING.get(c, c) for c in columns)), tuple(lines))


def macro_average(rows: Iterable[Row]) -> float:
    """The mean of the values that there are; NaN where there are none."""
    values = [row.value for row in rows if not math.isnan(row.value)]
    return sum(values) / len(values) if values else math.nan


def _macro(rows: Iterable[Row], pretraining: str) -> str:
    mean = macro_average(row for row in rows if row.pretraining == pretraining)
    return "" if math.isnan(mean) else f"{mean:.3f}"


def main_split(rows: Iterable[Row]) -> str:
    """The test set that the key results are of: the combined one, or else what there is."""
    splits = {row.split for row in rows if row.metric == "auc" and row.kind in ("scratch", "finetune")}
    known = ("combined_test", *TESTS, "validation")
    return next((split for split in known if split in splits), "combined_test")


def _test_lines(
    rows: list[Row], columns: Collection[str], *, paper: bool = False, means: bool = False
) -> list[tuple[str, ...]]:
    """A line per model and test set, a cell per pre-training; the model's name on its first line."""
    if means:
        rows = [replace(row, seed=0) for row in rows]
        cells = _means(rows)
    else:
        cells = _cells(rows, lambda row: (row.model, row.seed, row.split, row.pretraining))
    lines = []
    for model, seed, name in _runs(rows):
        for split, test in TESTS.items():
            values = [cells.get((model, seed, split, column), "") for column in columns]
            if any(values):
                lines.append((name, test, *values))
                name = ""
                beside = dict(zip(PAPER_COLUMNS, TABLE_THREE.get((model, split), ()), strict=False))
                if paper and any(column in beside for column in columns):
                    lines.append(("", BESIDE, *(beside.get(column, "") for column in columns)))
    return lines


def _means(rows: Iterable[Row]) -> dict[Hashable, str]:
    """The mean over seeds of each model, test set and pre-training with its interval, and what seeds differ by."""
    found: dict[Hashable, dict[str, Row]] = {}
    for row in rows:
        found.setdefault((row.model, 0, row.split, row.pretraining), {})[row.metric.rpartition("_seed_")[2]] = row
    return {
        place: f"{of['mean'].estimate.format()}, SD {of['sd'].value:.3f}"
        for place, of in found.items()
        if {"mean", "sd"} <= set(of)
    }


def at_largest(rows: list[Row], *, target: bool = True) -> tuple[list[Row], str]:
    """The rows at the largest source fraction (and target fraction), and words for fractions other than 1."""
    note = ""
    for what in ("source", "target") if target else ("source",):
        fractions = {getattr(row, f"{what}_fraction") for row in rows} - {None}
        if fractions:
            largest = max(fractions)
            rows = [row for row in rows if getattr(row, f"{what}_fraction") in (None, largest)]
            note += f", {100 * largest:g} % of the {what}" if largest != 1 else ""
    return rows, note


def _runs(rows: list[Row]) -> list[tuple[str, int, str]]:
    """(model, seed, name to print) in the paper's order; the seed is printed where there are several."""
    seeds = sorted({row.seed for row in rows})
    return [
        (model, seed, MODELS.get(model, model) + (f" ({seed})" if len(seeds) > 1 else ""))
        for model in ordered((row.model for row in rows), MODELS)
        for seed in seeds
        if any((row.model, row.seed) == (model, seed) for row in rows)
    ]


def ordered(found: Iterable[str], known: Iterable[str]) -> list[str]:
    """What was found, each once: the known first, in their order, the others by name."""
    found = set(found)
    first = [name for name in known if name in found]
    return first + sorted(found - set(first))


def place(name: str, known: Iterable[str]) -> int:
    """Where a name stands among the known ones; behind them all if it is none."""
    names = list(known)
    return names.index(name) if name in names else len(names)


def _cells(rows: list[Row], key: Callable[[Row], Hashable]) -> dict[Hashable, str]:
    cells: dict[Hashable, str] = {}
    for row in rows:
        if key(row) in cells:
            raise PrecordialError(
                f"two results for {row.metric} of {row.model or row.kind} on {row.split}, "
                f"pre-training '{row.pretraining}', seed {row.seed}",
                remedy="report one study at a time",
            )
        cells[key(row)] = row.estimate.format(DIGITS.get(row.metric, 3))
    return cells


def _interval(rows: list[Row]) -> str:
    levels = sorted({row.level for row in rows})
    return " and ".join(f"{100 * level:g} %" for level in levels or [0.95]) + " interval"
