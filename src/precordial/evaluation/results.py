"""The results table: one row per run, split, target and metric. A study writes it, a report reads it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from precordial.errors import PrecordialError
from precordial.evaluation.by_split import Result
from precordial.evaluation.csv_tables import csv_text, number, read_columns
from precordial.evaluation.estimate import Estimate
from precordial.files import write_atomic


@dataclass(frozen=True)
class Row:
    """One result with all that tells which run it came from.

    Attributes:
        run: id of the run; of the pre-trained one in a difference; of the first fold's in a cross-validation.
        kind: "pretrain", "scratch", "finetune", "baseline" (logistic regression on age and sex), "limit" (the best
            possible reader of a synthetic hospital's ECGs), "difference" (pre-trained − scratch, paired), or "seeds"
            (several seeds together, see `precordial.evaluation.across_seeds`).
        model: the model's name; empty for a baseline or limit.
        pretraining: "none", "age", "sex", "age-sex": what a "pretrain" run learns, the others started from.
        source_fraction, target_fraction: of the patients trained on; None where that training is not part of the run.
        seed: of the run.
        split: "validation", "random_test", "site_test", "site_test:NAME" (one site of it), "temporal_test" or
            "combined_test".
        target: "age", "sex", or the name of an outcome.
        metric: a name of `precordial.evaluation.METRICS`, also with "_difference" behind; of several seeds also with
            "_seed_mean", "_seed_sd" and "_sampling_se".
        value, low, high, level, n, events, patients: see `Estimate`.
        p: of a difference, that there is none in truth: two-sided, see `precordial.evaluation.compare`.
        p_adjusted: the same, corrected for all comparisons, see `precordial.evaluation.with_holm`.
    """

    run: str
    kind: str
    model: str
    pretraining: str
    source_fraction: float | None
    target_fraction: float | None
    seed: int
    split: str
    target: str
    metric: str
    value: float
    low: float
    high: float
    level: float
    n: int
    events: int | None
    patients: int | None
    p: float | None = None
    p_adjusted: float | None = None

    @property
    def estimate(self) -> Estimate:
        """The row's number with its interval."""
        return Estimate(self.value, self.low, self.high, self.level, self.n, self.events, self.patients)


COLUMNS = tuple(field.name for field in fields(Row))
_TEXTS = ("run", "kind", "model", "pretraining", "split", "target", "metric")
_WHOLE = ("seed", "n", "events", "patients")
LATER = ("p", "p_adjusted")  # tables that were written before they came lack them
_OPTIONAL = ("source_fraction", "target_fraction", "events", "patients", *LATER)


def result_rows(
    results: Iterable[Result],
    *,
    run: str,
    kind: str,
    model: str = "",
    pretraining: str = "none",
    source_fraction: float | None = None,
    target_fraction: float | None = None,
    seed: int = 0,
) -> list[Row]:
    """What `evaluate` or `compare` returned for one run, as rows of the results table."""
    return [
        Row(
            run,
            kind,
            model,
            pretraining,
            source_fraction,
            target_fraction,
            seed,
            result.split,
            result.target,
            result.metric,
            **asdict(result.estimate),
            p=result.p,
        )
        for result in results
    ]


def write_results(path: str | Path, rows: Iterable[Row]) -> None:
    """Write the table as CSV, whole or not at all; numbers keep every digit, a missing one is an empty cell."""
    lines = [[_cell(getattr(row, name)) for name in COLUMNS] for row in rows]
    write_atomic(Path(path), csv_text(COLUMNS, lines))


def read_results(path: str | Path) -> list[Row]:
    """Read what `write_results` wrote.

    Raises:
        PrecordialError: see `precordial.evaluation.csv_tables.read_columns`; or a cell that is no number.
    """
    columns = read_columns(path, [name for name in COLUMNS if name not in LATER], LATER)
    return [
        Row(**{name: _value(cells[at], path, at, name) for name, cells in columns.items()})
        for at in range(len(columns["run"]))
    ]


def _value(cell: str, path: str | Path, row: int, column: str) -> Any:
    if column in _TEXTS:
        return cell
    value = number(cell, path, row, column)
    if math.isnan(value) and column in _OPTIONAL:
        return None
    if column not in _WHOLE:
        return value
    if not value.is_integer():
        raise PrecordialError("is not a whole number", file=path, row=row + 2, column=column)
    return int(value)


def _cell(value: object) -> object:
    return "" if value is None or value != value else repr(value) if isinstance(value, float) else value
