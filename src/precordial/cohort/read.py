"""Read the tables that a cohort's settings name, in the shape the steps take."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from precordial import registers
from precordial.cohort.settings import LabelsSettings, RegistersSettings
from precordial.errors import RegisterError, SettingsError
from precordial.registers import Account
from precordial.registers.read import plan_of
from precordial.registers.tables import read_plan


def read_visits(settings: RegistersSettings, account: Account | None = None) -> pl.DataFrame:
    """As `precordial.registers.read_visits`."""
    words = {"female": settings.female_values, "male": settings.male_values}
    return registers.read_visits(settings.visits, account or Account(), **words)


def read_diagnoses(settings: RegistersSettings, account: Account | None = None) -> pl.DataFrame:
    """As `precordial.registers.read_diagnoses`, those that are the outcome."""
    return registers.read_diagnoses(settings.diagnoses, account or Account(), prefixes=settings.outcome_codes)


def read_patients(settings: RegistersSettings, account: Account | None = None) -> pl.DataFrame:
    """As `precordial.registers.read_patients`; none without a register."""
    if settings.patients is None:
        return pl.DataFrame(
            schema={"row": pl.Int64, "patient_id": pl.String, "birth_date": pl.Datetime("us"), "sex": pl.Float64}
        )
    words = {"female": settings.female_values, "male": settings.male_values}
    return registers.read_patients(settings.patients, account or Account(), **words)


def read_label_table(
    settings: LabelsSettings, table: pl.DataFrame | None, account: Account | None = None
) -> pl.DataFrame:
    """row, file (or ecg_id), patient_id, recorded_at, age, sex (1 = female), label (0, 1 or null).

    Args:
        settings: their `table` is read; of a public set's table, `settings.label` is taken for the label.
        table: a public set's table.

    Raises:
        RegisterError: a label is neither 0 nor 1.
        SettingsError: the set has no such label.
    """
    if settings.table is not None:
        plan = plan_of(settings.table, "table", female=settings.female_values, male=settings.male_values)
        rows = read_plan(plan, account or Account())
        file: str | Path | None = settings.table.where
        column = settings.table.columns.label
        # Of the two ways to name an ECG, the one that was not chosen is an empty column.
        rows = rows.drop("ecg_id" if settings.table.columns.file is not None else "file")
    else:
        if table is None:
            raise ValueError("the settings name a public set: pass its table")
        column = settings.label or ""
        file = settings.folder
        fixed = {"row", "file", "patient_id", "recorded_at", "age", "sex", "age_above_89"}
        labels = [name for name in table.columns if name not in fixed and not name.startswith("file_")]
        if column not in labels:
            raise SettingsError(
                f"{settings.dataset} has no such label", key="cohort.label", remedy=f"choose one of {', '.join(labels)}"
            )
        rows = table.drop([name for name in labels if name != column]).rename({column: "label"})
    wrong = (rows["label"].is_not_null() & ~rows["label"].is_in([0.0, 1.0])).arg_true()
    if len(wrong):
        raise RegisterError(
            "a label must be 0, 1 or empty", file=file, row=int(rows["row"][int(wrong[0])]), column=column
        )
    return rows
