"""What a study file says of its register tables: files, columns, and how cells are written.

Loaded with every study, so without Polars.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Kind = Literal["text", "date", "number", "age", "sex", "outcome"]
KINDS: dict[str, Kind] = {
    "arrival": "date",
    "discharge": "date",
    "date": "date",
    "birth_date": "date",
    "left": "date",
    "recorded_at": "date",
    "valid_from": "date",
    "valid_to": "date",
    "age": "age",
    "sex": "sex",
    "label": "number",
}

# TOML gives lists and text; only here are they taken for tuples and paths.
Words = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
FilePath = Annotated[Path, Field(strict=False)]
FilePaths = FilePath | Annotated[tuple[FilePath, ...], Field(strict=False, min_length=1)]
CodeColumns = str | Words


class Strict(BaseModel):
    """Settings that take no unknown key and no other type, and do not change."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _File(Strict):
    file: FilePaths
    separator: str = ","
    encoding: str = "utf8"
    missing: Annotated[tuple[str, ...], Field(strict=False)] = ()

    @property
    def where(self) -> str:
        """The file, or the first of several, as a message names it."""
        return str(self.file[0] if isinstance(self.file, tuple) else self.file)

    def paths(self) -> list[Path]:
        """The files, a pattern's in natural order; a pattern that nothing fits stays as it is."""
        return [one for path in _listed(self.file) for one in (_fitting(path) or [path])]

    def resolve(self, base: Path) -> Self:
        """A copy whose files are relative to `base`, the folder of the study file."""
        file = base / self.file if isinstance(self.file, Path) else tuple(base / path for path in self.file)
        return self.model_copy(update={"file": file})


class Join(_File):
    """Columns that stand in another table of the same register.

    Attributes:
        file: of the other table, like a table's own.
        on: the columns, of one name in both tables, whose texts must be equal.
        columns: our names and the other table's.
        separator, encoding, missing: of the other table.
    """

    on: Words
    columns: Annotated[dict[str, str], Field(min_length=1)]


class TableSettings(_File):
    """A register extract: CSV (also with .gz), Parquet, SAS (.sas7bdat, .xpt) or Stata (.dta), by its suffix.

    Attributes:
        file: path, relative to the study file; or a list of paths, or a pattern with ``*``, for an extract that comes
            in pieces.
        separator: between the cells of a CSV file.
        encoding: of a CSV file, by its Python name; of a SAS or Stata file it is known.
        date_format: strftime pattern of dates that are text, for all columns or as a table from our column to its
            pattern; None: ISO 8601.
        decimal: the sign before the decimals of numbers that are text.
        missing: texts that mean an empty cell.
        bad_cells: what becomes of a date or number that is none: "error" ends the build, "drop" takes the cell for
            empty and counts it.
        joins: columns that stand in other tables.
    """

    date_format: str | dict[str, str] | None = None
    decimal: Literal[".", ","] = "."
    bad_cells: Literal["error", "drop"] = "error"
    joins: Annotated[tuple[Join, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _names_are_ours(self) -> Self:
        columns: Strict | None = getattr(self, "columns", None)
        if columns is None:
            return self
        ours = {field.alias or name: name for name, field in type(columns).model_fields.items()}
        joined = [name for join in self.joins for name in join.columns]
        for name in joined:
            if name not in ours or name in ("code", "main"):
                raise ValueError(f"a join gives '{name}', which is not a column that a join can give here")
            if joined.count(name) > 1 or ours[name] in columns.model_fields_set:
                raise ValueError(f"'{name}' is named twice, in columns or joins")
        dates = sorted(name for name in ours if KINDS.get(name) == "date")
        for name in self.date_format if isinstance(self.date_format, dict) else ():
            if name not in dates:
                raise ValueError(f"date_format names '{name}', and the dates here are {', '.join(dates) or 'none'}")
        return self

    def resolve(self, base: Path) -> Self:
        """A copy whose files, and those of its joins, are relative to `base`, the folder of the study file."""
        joins = tuple(join.resolve(base) for join in self.joins)
        return super().resolve(base).model_copy(update={"joins": joins})

    def all_paths(self) -> list[Path]:
        """The files of the table and of its joins."""
        return [*self.paths(), *(path for join in self.joins for path in join.paths())]

    def names(self) -> dict[str, Any]:
        """Our names and the file's, without those that joins give; None: the register has no such column."""
        columns: Strict = self.columns  # type: ignore[attr-defined]
        joined = {name for join in self.joins for name in join.columns}
        return {ours: theirs for ours, theirs in columns.model_dump(by_alias=True).items() if ours not in joined}

    def pattern_of(self, column: str) -> str | None:
        """The pattern of the dates of one of our columns; None: ISO 8601."""
        return self.date_format.get(column) if isinstance(self.date_format, dict) else self.date_format


def natural_key(text: str) -> list[tuple[int, int | str]]:
    """Sorts DIA2 before DIA10."""
    parts = re.split(r"([0-9]+)", text)
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts if part]


def _listed(files: Path | tuple[Path, ...]) -> tuple[Path, ...]:
    return files if isinstance(files, tuple) else (files,)


def _fitting(path: Path) -> list[Path]:
    """The files that a pattern means; only ``*`` is special."""
    if "*" not in str(path):
        return []
    pattern = glob.escape(str(path)).replace("[*]", "*")
    found = glob.glob(pattern)  # noqa: PTH207 (the folders of a whole path may have stars too)
    return [Path(name) for name in sorted(found, key=natural_key)]


class VisitColumns(Strict):
    """Our names and the visit register's; None: the register has no such column."""

    visit_id: str = "visit_id"
    patient_id: str = "patient_id"
    arrival: str = "arrival"
    complaint: str = "complaint"
    discharge: str | None = None
    age: str | None = None
    sex: str | None = None
    site: str | None = None
    fold: str | None = None


class Visits(TableSettings):
    """The register of emergency visits."""

    columns: VisitColumns = VisitColumns()


class _Coded(TableSettings):
    main_values: Words = ("1", "main", "HDIA", "H")


class _CodeColumns(Strict):
    code: CodeColumns | None = "code"
    main: str | None = None
    position: str | None = None

    @property
    def wide(self) -> bool:
        """Whether a row has several codes."""
        return self.main is not None or not isinstance(self.code, str | None) or "*" in (self.code or "")

    @model_validator(mode="after")
    def _position_is_said_once(self) -> Self:
        if self.wide and self.position is not None:
            raise ValueError("position is for one code a row; with several, main names the column of the main code")
        return self


class DiagnosisColumns(_CodeColumns):
    """Our names and the diagnosis register's; `date` is the day that counts (admission)."""

    # `register` itself is taken by Python's abstract classes.
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    patient_id: str = "patient_id"
    code: CodeColumns = "code"
    date: str = "date"
    register_: str | None = Field(None, alias="register")


class Diagnoses(_Coded):
    """The register of diagnoses, any position.

    The paper takes the national inpatient register only: give a file that holds no other, or name it.

    Attributes:
        registers: values of `columns.register` that count; None: the file is one register.
        main_values: values of `columns.position` that mean the main diagnosis, in upper or lower case.
    """

    columns: DiagnosisColumns = DiagnosisColumns()
    registers: Words | None = None

    @property
    def has_positions(self) -> bool:
        """Whether the register says which diagnosis is the main one."""
        return self.columns.position is not None or self.columns.wide

    @model_validator(mode="after")
    def _registers_are_named(self) -> Self:
        if self.registers is not None and self.columns.register_ is None:
            raise ValueError("registers are named, but columns.register does not say in which column they stand")
        if self.registers is None and self.columns.register_ is not None:
            raise ValueError("columns.register is given, but registers does not say which of them count")
        return self


class PatientColumns(Strict):
    """Our names and the patient register's; None: the register has no such column."""

    patient_id: str = "patient_id"
    birth_date: str | None = None
    sex: str | None = None
    left: str | None = None


class Patients(TableSettings):
    """The register of patients, one row each."""

    columns: PatientColumns = PatientColumns()


class DeathColumns(_CodeColumns):
    """Our names and the register of deaths'; None: the register has no such column."""

    patient_id: str = "patient_id"
    date: str = "date"
    code: CodeColumns | None = None


class Deaths(_Coded):
    """The register of deaths.

    Attributes:
        main_values: values of `columns.position` that mean the underlying cause, in upper or lower case.
    """

    columns: DeathColumns = DeathColumns()


class ProcedureColumns(_CodeColumns):
    """Our names and the register of procedures'."""

    patient_id: str = "patient_id"
    code: CodeColumns = "code"
    date: str = "date"


class Procedures(_Coded):
    """The register of procedures.

    Attributes:
        main_values: values of `columns.position` that mean the main procedure, in upper or lower case.
    """

    columns: ProcedureColumns = ProcedureColumns()


class EcgColumns(Strict):
    """Our names and those of a table of ECGs; None: the table has no such column."""

    ecg_id: str = "ecg_id"
    patient_id: str = "patient_id"
    recorded_at: str = "recorded_at"
    age: str | None = None
    sex: str | None = None
    site: str | None = None
    device: str | None = None
    waveform: str | None = None


class Ecgs(TableSettings):
    """A table of ECGs, in place of an archive."""

    columns: EcgColumns = EcgColumns()


class AdjudicatedColumns(Strict):
    """Our names and those of a table of adjudicated outcomes: the visit, or its patient and arrival."""

    visit_id: str | None = None
    patient_id: str | None = None
    arrival: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        by_time = self.patient_id is not None and self.arrival is not None
        half = (self.patient_id is None) != (self.arrival is None)
        if half or by_time == (self.visit_id is not None):
            raise ValueError("name either the column visit_id, or both patient_id and arrival")
        return self


class Adjudicated(TableSettings):
    """Outcomes that somebody judged, visit by visit.

    Attributes:
        outcomes: table from the name of an outcome to its column, which holds 0, 1 or nothing.
    """

    columns: AdjudicatedColumns
    outcomes: Annotated[dict[str, str], Field(min_length=1)]

    @model_validator(mode="after")
    def _no_name_of_ours(self) -> Self:
        taken = {"row", "part", *AdjudicatedColumns.model_fields} & set(self.outcomes)
        if taken:
            raise ValueError(f"an outcome cannot be called {_and(taken)}: give it another name")
        return self


class IdKeyColumns(Strict):
    """Our names and those of a key of ids; None: the key has no such column."""

    old: str = "old"
    new: str = "new"
    valid_from: str | None = None
    valid_to: str | None = None


class IdKey(TableSettings):
    """Which id became which: of patients with several ids, and of ids that were given anew."""

    columns: IdKeyColumns = IdKeyColumns()


def _and(names: Iterable[str]) -> str:
    return " or ".join(sorted(names))
