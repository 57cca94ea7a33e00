"""Read the tables that a cohort's settings name, in the shape the steps take."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from precordial.cohort.demographics import sex_from_text
from precordial.cohort.labels import label_names
from precordial.cohort.settings import LabelsSettings, RegistersSettings, TableSettings
from precordial.errors import RegisterError, SettingsError
from precordial.registers import Kind, read_table

TYPES: dict[str, Kind] = {
    "arrival": "date",
    "discharge": "date",
    "date": "date",
    "birth_date": "date",
    "recorded_at": "date",
    "age": "number",
    "label": "number",
}
OLDEST = 125
_EMPTY = {"date": pl.Datetime("us"), "number": pl.Float64(), "text": pl.String()}


def read_visits(settings: RegistersSettings) -> pl.DataFrame:
    """row, visit_id, patient_id, arrival, complaint, discharge, age (years), sex (1 = female)."""
    return _with_sex(_read(settings.visits, "cohort.visits"), settings, settings.visits)


def read_diagnoses(settings: RegistersSettings) -> pl.DataFrame:
    """row, patient_id, code, date, register."""
    return _read(settings.diagnoses, "cohort.diagnoses")


def read_patients(settings: RegistersSettings) -> pl.DataFrame:
    """row, patient_id, birth_date, sex (1 = female); one row per patient, none without a register.

    Raises:
        RegisterError: a patient stands in two rows that differ.
    """
    if settings.patients is None:
        return pl.DataFrame(
            schema={"row": pl.Int64, "patient_id": pl.String, "birth_date": pl.Datetime("us"), "sex": pl.Float64}
        )
    table = _read(settings.patients, "cohort.patients").drop_nulls("patient_id")
    table = _with_sex(table, settings, settings.patients)
    facts = ["patient_id", "birth_date", "sex"]
    table = table.sort("row").unique(facts, keep="first", maintain_order=True)
    twice = table.filter(pl.col("patient_id").is_duplicated()).sort("patient_id", "row")["row"].to_list()
    if twice:
        raise RegisterError(
            f"the patient also stands in row {twice[0]}, with another birth date or sex",
            file=settings.patients.file,
            row=twice[1],
            column=settings.patients.columns.patient_id,
            remedy="keep the row that is right",
        )
    return table


def read_label_table(settings: LabelsSettings, table: pl.DataFrame | None) -> pl.DataFrame:
    """row, file (or ecg_id), patient_id, recorded_at, age, sex (1 = female), label (0, 1 or null).

    Args:
        settings: their `table` is read; of a public set's table, `settings.label` is taken for the label.
        table: a public set's table.

    Raises:
        RegisterError: a label is neither 0 nor 1.
        SettingsError: the set has no such label.
    """
    if settings.table is not None:
        rows = _read(settings.table, "cohort.table")
        rows = _with_sex(rows, settings, settings.table)
        file: Path | None = settings.table.file
        column = settings.table.columns.label
        # Of the two ways to name an ECG, the one that was not chosen is an empty column.
        rows = rows.drop("ecg_id" if settings.table.columns.file is not None else "file")
    else:
        if table is None:
            raise ValueError("the settings name a public set: pass its table")
        column = settings.label or ""
        file = settings.folder
        labels = label_names(table.columns)
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


def _read(table: TableSettings, key: str) -> pl.DataFrame:
    """Read a table; columns that the register does not have are there, empty."""
    columns = table.columns.model_dump(by_alias=True)  # type: ignore[attr-defined]
    mapped = {ours: theirs for ours, theirs in columns.items() if theirs is not None}
    types = {name: TYPES.get(name, "text") for name in columns}
    read = read_table(
        table.file,
        mapped,
        types=types,
        separator=table.separator,
        encoding=table.encoding,
        date_format=table.date_format,
        key=f"{key}.columns",
    )
    outside = ~read["age"].is_between(0, OLDEST) if "age" in mapped else pl.Series([False])
    wrong = outside.fill_null(False).arg_true()
    if len(wrong):
        raise RegisterError(
            f"this is no age from 0 to {OLDEST} years",
            file=table.file,
            row=int(read["row"][int(wrong[0])]),
            column=mapped["age"],
            remedy="correct it or leave the cell empty; PTB-XL's 300 means above 89: write 90",
        )
    missing = [pl.lit(None, _EMPTY[kind]).alias(name) for name, kind in types.items() if name not in mapped]
    return read.with_columns(missing)


def _with_sex(table: pl.DataFrame, settings: RegistersSettings | LabelsSettings, file: TableSettings) -> pl.DataFrame:
    column = file.columns.sex  # type: ignore[attr-defined]
    return sex_from_text(
        table, female=settings.female_values, male=settings.male_values, file=file.file, column=column or ""
    )
