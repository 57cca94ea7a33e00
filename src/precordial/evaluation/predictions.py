"""The predictions table: what a run said about each ECG. Every metric and figure comes from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from precordial.evaluation.csv_tables import csv_text, number, read_columns
from precordial.files import write_atomic

IDS = ("run", "ecg_id", "patient_id", "split", "target")
COLUMNS = (*IDS, "truth", "score")


@dataclass(frozen=True, eq=False, init=False)
class Predictions:
    """One row per run, ECG and target; columns are arrays of one length.

    Attributes:
        run, ecg_id, patient_id, split, target: (n,) text; other types are turned into text.
        truth: (n,) float64: 0 or 1, or the regressed quantity; NaN where it is not known.
        score: (n,) float64: for a binary target the PROBABILITY of a 1 (take the sigmoid in float64, or
            large logits tie), for a regression the quantity itself (age: years).

    >>> table = Predictions("r1", ["e1", "e2"], ["p1", "p2"], "validation", "age", [60, 71], [58.5, 70.0])
    >>> len(table), table.select(target="sex").ecg_id.tolist()
    (2, [])
    """

    run: NDArray[np.str_]
    ecg_id: NDArray[np.str_]
    patient_id: NDArray[np.str_]
    split: NDArray[np.str_]
    target: NDArray[np.str_]
    truth: NDArray[np.float64]
    score: NDArray[np.float64]

    # Anything array-like comes in; one text for run, split or target stands for all rows.
    def __init__(self, run: Any, ecg_id: Any, patient_id: Any, split: Any, target: Any, truth: Any, score: Any) -> None:
        n = len(ecg_id)
        given = (run, ecg_id, patient_id, split, target, truth, score)
        for name, values in zip(COLUMNS, given, strict=True):
            column = np.asarray(values).astype(np.str_ if name in IDS else np.float64)
            if column.ndim == 0 and name in ("run", "split", "target"):
                column = np.full(n, column)
            if column.shape != (n,):
                raise ValueError(f"column {name} of shape {column.shape} for {n} ECGs")
            object.__setattr__(self, name, column)

    def __len__(self) -> int:
        return len(self.ecg_id)

    def rows(self, which: NDArray[Any]) -> Predictions:
        """The rows of a mask (n,) or of row numbers."""
        return Predictions(*(getattr(self, name)[which] for name in COLUMNS))

    def select(self, *, run: str | None = None, split: str | None = None, target: str | None = None) -> Predictions:
        """The rows of one run, split and target; None takes all."""
        keep = np.ones(len(self), bool)
        for column, wanted in ((self.run, run), (self.split, split), (self.target, target)):
            if wanted is not None:
                keep &= column == wanted
        return self.rows(keep)

    @staticmethod
    def concatenate(tables: Sequence[Predictions]) -> Predictions:
        """The rows of several tables (at least one), one after the other."""
        return Predictions(*(np.concatenate([getattr(t, name) for t in tables]) for name in COLUMNS))

    def save(self, path: str | Path) -> None:
        """Write as CSV, whole or not at all; numbers keep every digit, a missing one is an empty cell."""
        texts = [getattr(self, name).tolist() for name in IDS]
        numbers = [["" if x != x else repr(x) for x in getattr(self, c).tolist()] for c in ("truth", "score")]
        write_atomic(Path(path), csv_text(COLUMNS, zip(*texts, *numbers, strict=True)))

    @staticmethod
    def load(path: str | Path) -> Predictions:
        """Read what `save` wrote, or any CSV file with these columns.

        Raises:
            PrecordialError: see `precordial.evaluation.csv_tables.read_columns`; or a cell that is no number.
        """
        columns = read_columns(path, COLUMNS)
        ids: list[Any] = [columns[name] for name in IDS]
        numbers = [[number(x, path, row, c) for row, x in enumerate(columns[c])] for c in ("truth", "score")]
        return Predictions(*ids, *numbers)
