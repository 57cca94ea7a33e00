"""Scores of any model, also from elsewhere: a CSV file with a truth and a score in each row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from precordial.errors import PrecordialError
from precordial.evaluation.by_split import KINDS
from precordial.evaluation.csv_tables import number, read_columns
from precordial.evaluation.metrics import Floats
from precordial.evaluation.predictions import Predictions

Scale = Literal["probabilities", "logits", "ranks"]
Kind = Literal["event", "binary", "regression"]
ONE_SPLIT, ONE_TARGET = "all", "outcome"  # where the file does not say
WORDS = {"true": "1", "false": "0"}  # as pandas writes them


@dataclass(frozen=True)
class ScoreColumns:
    """Names of the columns.

    Attributes:
        truth, score: must be there.
        ecg, patient, split, target: if None, `ecg_id`, `patient_id`, `split` and `target` are read where they are
            there; a column that is named must be there.
        groups: columns whose values make subgroups.
    """

    truth: str = "truth"
    score: str = "score"
    ecg: str | None = None
    patient: str | None = None
    split: str | None = None
    target: str | None = None
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Scores:
    """What a file of scores holds.

    Attributes:
        name: of the file.
        table: the rows that have a truth; scores are probabilities unless `ranks`.
        groups: column → (n,) group of each row, "" where it is unknown.
        kinds: target → "event", "binary" or "regression".
        ranks: whether only the order of the scores means something.
        has_ecgs, has_patients: whether the file has their ids; else each row is one.
        without_truth: rows that were left out, for their truth is empty.
    """

    name: str
    table: Predictions
    groups: Mapping[str, NDArray[np.str_]]
    kinds: Mapping[str, str]
    ranks: bool
    has_ecgs: bool
    has_patients: bool
    without_truth: int


def read_scores(
    path: str | Path,
    columns: ScoreColumns = ScoreColumns(),
    *,
    scale: Scale = "probabilities",
    kind: Kind | None = None,
) -> Scores:
    """Read a CSV file of scores.

    Args:
        path: of the file.
        columns: their names.
        scale: what the scores of an event are: probabilities; logits, which are turned into probabilities; or ranks,
            numbers of which only the order counts.
        kind: of every target; by default age is a regression, sex binary and all else an event.

    Raises:
        PrecordialError: no such file, no rows, a missing column, or a cell that cannot be; the cell is named and not
            quoted.
    """
    named = {"ecg": columns.ecg, "patient": columns.patient, "split": columns.split, "target": columns.target}
    usual = {"ecg": "ecg_id", "patient": "patient_id", "split": "split", "target": "target"}
    needed = [columns.truth, columns.score, *(name for name in named.values() if name), *columns.groups]
    cells = read_columns(path, needed, [usual[what] for what, name in named.items() if name is None])
    texts = {what: cells.get(name or usual[what]) for what, name in named.items()}
    n = len(cells[columns.truth])
    if not n:
        raise PrecordialError("has no rows below its header", file=path, remedy="give a row for each ECG")
    for what in ("split", "target", "ecg", "patient"):
        column = texts[what]
        if column is not None and "" in column:
            raise PrecordialError(
                "this cell is empty", file=path, row=column.index("") + 2, column=named[what] or usual[what]
            )
    target = np.array(texts["target"] or [ONE_TARGET] * n)
    kinds = {name: kind or KINDS.get(name, "event") for name in sorted(set(target.tolist()))}
    regression = np.array([kinds[name] == "regression" for name in target.tolist()])
    truth = _truths(cells[columns.truth], regression, path, columns.truth)
    score = _scores(cells[columns.score], regression, scale, path, columns.score)
    rows = np.arange(n).astype(np.str_)
    ecg = np.array(texts["ecg"]) if texts["ecg"] else rows
    patient = np.array(texts["patient"]) if texts["patient"] else ecg
    split = np.array(texts["split"] or [ONE_SPLIT] * n)
    known = ~np.isnan(truth)
    if not known.any():
        raise PrecordialError("no row has a truth", file=path, column=columns.truth)
    name = Path(path).stem
    return Scores(
        name,
        Predictions(name, ecg, patient, split, target, truth, score).rows(known),
        {column: np.array(cells[column])[known] for column in columns.groups},
        kinds,
        scale == "ranks",
        texts["ecg"] is not None,
        texts["patient"] is not None,
        int((~known).sum()),
    )


def _truths(cells: list[str], regression: NDArray[np.bool_], path: str | Path, column: str) -> Floats:
    words = [WORDS.get(cell.strip().lower(), cell) for cell in cells]
    values = np.array([_number(cell, path, row, column) for row, cell in enumerate(words)])
    wrong = ~regression & ~np.isin(values, (0, 1)) & ~np.isnan(values)
    if wrong.any():
        row = int(np.argmax(wrong))
        remedy = "write 1 for the outcome and 0 for none, or say --kind regression"
        raise PrecordialError("is neither 0 nor 1", file=path, row=row + 2, column=column, remedy=remedy)
    return values


def _scores(cells: list[str], regression: NDArray[np.bool_], scale: Scale, path: str | Path, column: str) -> Floats:
    values = np.array([_number(cell, path, row, column) for row, cell in enumerate(cells)])
    for wrong, what, remedy in (
        (np.isnan(values), "has no score", "give every row one, or leave the row out"),
        (
            (scale == "probabilities") & ~regression & ((values < 0) | (values > 1)),
            "is no probability between 0 and 1",
            "say --scores logits, or --scores ranks where only the order counts",
        ),
    ):
        if wrong.any():
            row = int(np.argmax(wrong))
            raise PrecordialError(what, file=path, row=row + 2, column=column, remedy=remedy)
    # In this form, small probabilities keep their digits and do not tie.
    return np.where(regression, values, np.exp(-np.logaddexp(0, -values))) if scale == "logits" else values


def _number(cell: str, path: str | Path, row: int, column: str) -> float:
    """A cell as a finite number, or NaN if it is empty."""
    value = number(cell.strip(), path, row, column)
    if cell.strip() and not np.isfinite(value):
        raise PrecordialError("is not a finite number", file=path, row=row + 2, column=column)
    return value
