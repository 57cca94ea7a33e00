"""Patients by number instead of by name: what is asked of every row of a register is asked of whole numbers.

A patient has the same number in every table, as long as any column of such ids is held: Polars forgets the numbers with
the last of them. Tables in the steps have ids of either type, `pl.String` or `NUMBERED`; results are the same.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

NUMBERED = pl.Categorical()


def numbered(table: pl.DataFrame) -> pl.DataFrame:
    """The table with ids that know their number, so that `numbers` costs nothing."""
    return table.with_columns(pl.col("patient_id").cast(NUMBERED))


def numbers(*columns: pl.Series) -> list[NDArray[np.int64]]:
    """(n,) of each column a number from 0 for each patient, the same in all; -1 where none is known."""
    held = [patients.cast(NUMBERED) for patients in columns]
    return [patients.to_physical().cast(pl.Int64).fill_null(-1).to_numpy() for patients in held]


def rows_each(*columns: pl.Series) -> list[NDArray[np.int64]]:
    """How many rows each patient has in each column, by number."""
    return [np.bincount(number[number >= 0]) for number in numbers(*columns)]


def among(patients: pl.Series, others: pl.Series) -> pl.Series:
    """Whether each patient is one of the others; false where none is known."""
    number, other = numbers(patients, others)
    # The place after the last number is that of -1, and stays false.
    there = np.zeros(max(number.max(initial=-1), other.max(initial=-1)) + 2, bool)
    there[other] = True
    there[-1] = False
    return pl.Series(there[number])


def facts_of(patients: pl.Series, table: pl.DataFrame) -> pl.DataFrame:
    """The columns of a table, which has one row for each patient it knows, for each of the patients; else null."""
    number, known = numbers(patients, table["patient_id"])
    row = np.full(max(number.max(initial=-1), known.max(initial=-1)) + 2, -1)
    row[known] = np.arange(len(known))
    row[-1] = -1
    at = pl.Series(row[number])
    return table.drop("patient_id").select(pl.all().gather(at.set(at < 0, None)))
