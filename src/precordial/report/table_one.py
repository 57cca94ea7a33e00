"""Table I as a table; and Table II."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from precordial.cohort import Cohort
from precordial.report.characteristics import Characteristics, Column, Line, characteristics
from precordial.report.disclosure import Hidden
from precordial.report.paper import TABLE_ONE, TABLE_TWO
from precordial.report.table import Table, grouped

LEFT_OUT = "*"
NOTHING = Hidden()


def table_one(cohort: Cohort, *, paper: bool = False, differences: bool = False) -> Table:
    """Table I of the paper, split by split, and below its five rows what else a reviewer asks for.

    Args:
        cohort: see `characteristics`.
        paper: put the paper's numbers beside.
        differences: add the standardised differences of each test set to the target's training set.
    """
    return as_table(characteristics(cohort), paper=paper, differences=differences)


def as_table(
    numbers: Characteristics, hidden: Hidden = NOTHING, *, paper: bool = False, differences: bool = False
) -> Table:
    """The numbers of Table I in words; what is hidden is left out."""
    training = {column.place: column for column in numbers.columns}.get("target/train")
    tests = [column for column in numbers.columns if column.place.endswith("_test")]
    tests = tests if differences and training is not None else []
    header = ["Patient characteristics"]
    for column in numbers.columns:
        header += [column.title, *(["Paper"] if paper and column.place in TABLE_ONE else [])]
    header += [f"SMD, {column.title.lower()}" for column in tests]
    rows = []
    for number, line in enumerate(numbers.lines):
        row = [line.name]
        for column in numbers.columns:
            row.append(_cell(numbers, column, line, hidden))
            if paper and column.place in TABLE_ONE:
                row.append(TABLE_ONE[column.place][number] if number < len(TABLE_ONE[column.place]) else "")
        row += [_difference(numbers, training, column, line, hidden) for column in tests if training is not None]
        rows.append(tuple(row))
    words = ["shares and ages over ECGs"]
    words += ["SMD: standardised difference to the training set"] if tests else []
    words += [f"counts below {hidden.smallest}, and what would give them away, are left out"] if hidden.smallest else []
    return Table(f"Table I. Patient characteristics ({'; '.join(words)})", tuple(header), tuple(rows))


def _cell(numbers: Characteristics, column: Column, line: Line, hidden: Hidden) -> str:
    if line.kind == "heading":
        return ""
    if line.target_only and not column.is_target:
        return "N/A"
    if line.kind == "age":
        return LEFT_OUT if _too_few(numbers, column, hidden) else _median_and_quartiles(column.ages)
    count = hidden.counts.get((column.place, line.of), "") or grouped(numbers.number(column, line.of))
    if line.kind == "count" or (line.kind == "both" and (column.place, line.of) in hidden.counts):
        return count
    share = numbers.share(column, line)
    if share is None:
        return "–" if line.kind == "share" else count
    text = LEFT_OUT if share in hidden.shares else _percent(numbers, column, line)
    return text if line.kind == "share" else count if text == LEFT_OUT else f"{count} ({text})"


def _too_few(numbers: Characteristics, column: Column, hidden: Hidden) -> bool:
    """Whether ages are those of so few that quartiles would tell single ones."""
    return any(0 < numbers.number(column, what) < hidden.smallest for what in ("patients", "ecgs", "age"))


def _percent(numbers: Characteristics, column: Column, line: Line) -> str:
    return f"{100 * _share(numbers, column, line):.{line.digits}f}"


def _share(numbers: Characteristics, column: Column, line: Line) -> float:
    return numbers.number(column, line.of) / sum(numbers.number(column, what) for what in line.among)


def _difference(numbers: Characteristics, training: Column, test: Column, line: Line, hidden: Hidden) -> str:
    """The difference of two means in units of their common standard deviation."""
    pair = training, test
    if line.kind == "age":
        if any(_too_few(numbers, column, hidden) for column in pair):
            return LEFT_OUT
        groups = [column.ages for column in pair]
        if not all(len(ages) for ages in groups):
            return "–"
        means, variances = [float(ages.mean()) for ages in groups], [float(ages.var()) for ages in groups]
    elif line.kind in ("share", "both"):
        if any(numbers.share(column, line) is None for column in pair):
            return "–"
        if any(_telling(numbers, column, line, hidden) for column in pair):
            return LEFT_OUT
        means = [_share(numbers, column, line) for column in pair]
        variances = [mean * (1 - mean) for mean in means]
    else:
        return ""
    deviation = float(np.sqrt(sum(variances) / 2))
    return f"{abs(means[1] - means[0]) / deviation:.2f}" if deviation else "0.00" if means[0] == means[1] else "–"


def _telling(numbers: Characteristics, column: Column, line: Line, hidden: Hidden) -> bool:
    """Whether the exact share would tell a count that must not be known."""
    whole = sum(numbers.number(column, what) for what in line.among)
    part = numbers.number(column, line.of)
    keys = {(column.place, what) for what in (line.of, *line.among)}
    small = any(0 < count < hidden.smallest for count in (part, whole - part))
    return small or bool(keys & set(hidden.counts)) or numbers.share(column, line) in hidden.shares


def _median_and_quartiles(ages: NDArray[np.float64]) -> str:
    if not len(ages):
        return "–"
    low, median, high = np.percentile(ages, [25, 50, 75])
    return f"{median:.0f} ({low:.0f}–{high:.0f})"


def model_rows(rate: int = 500) -> dict[str, Mapping[str, str | int]]:
    """What `precordial.models.model_table` says of each model, by name, read from a file and without torch.

    ``docs/make_tables.py`` writes the file, and a test compares it with the models.
    """
    text = files("precordial.models").joinpath("table.json").read_text(encoding="utf-8")
    return {row["name"]: row for row in json.loads(text)[str(rate)]}


def table_two(
    models: Iterable[Mapping[str, str | int]], title: str = "Table II. Models and their parameters, at one output"
) -> Table:
    """Table II of the paper, a line per model of `precordial.models.model_table`, and the paper's numbers.

    Convolutional layers are those the paper counts, plus those on shortcuts. The paper gives rn-7m's and rn-33m's
    parameters with the batch-norm statistics, the others' without.
    """
    header = ("Model", "Input", "Conv layers", "Paper", "Trainable", "With statistics", "Paper", "Source")
    rows = []
    for model in models:
        layers, parameters, _ = TABLE_TWO.get(str(model["name"]), (0, 0, ""))
        rows.append(
            (
                str(model["paper_name"]),
                str(model["input"]),
                f"{model['conv_layers']} + {model['shortcut_convs']}",
                str(layers or "–"),
                *(grouped(int(model[key])) for key in ("trainable", "with_statistics")),
                grouped(parameters) if parameters else "–",
                str(model["source"]).split(", doi:")[0],
            )
        )
    return Table(title, header, tuple(rows))
