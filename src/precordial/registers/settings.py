"""What a study file says of each of its registers: the columns that it has, and what is peculiar to it.

Loaded with every study, so without Polars. None for a column: the register has no such column.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from precordial.registers.table_settings import CodeColumns, FilePath, Join, Kind, Strict, TableSettings, Words

__all__ = [
    "Adjudicated",
    "AdjudicatedColumns",
    "DeathColumns",
    "Deaths",
    "Diagnoses",
    "DiagnosisColumns",
    "EcgColumns",
    "Ecgs",
    "FilePath",
    "IdKey",
    "IdKeyColumns",
    "Join",
    "Kind",
    "PatientColumns",
    "Patients",
    "ProcedureColumns",
    "Procedures",
    "Strict",
    "TableSettings",
    "VisitColumns",
    "Visits",
    "Words",
]


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
    inputs: Annotated[tuple[str, ...], Field(strict=False)] = ()


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
            raise ValueError(f"an outcome cannot be called {' or '.join(sorted(taken))}: give it another name")
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
