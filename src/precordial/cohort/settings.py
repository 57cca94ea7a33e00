"""The [cohort] table of a study file: from registers, or from a table of labels.

Defaults are the paper's. ``rules = "authors-code"`` sets the defaults where the authors' published code
differs from the paper; a key that stands in the file wins over either.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from precordial.registers.settings import (
    Diagnoses,
    Patients,
    Strict,
    TableSettings,
    Visits,
    Words,
)

AgeSource = Literal["birth-date", "first-contact", "header"]
SexSource = Literal["register", "header"]

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "authors-code": {
        "before_hours": 1.0,
        "after_hours": 2.0,
        "window_ends": "open",
        "shared_ecg": "lowest-visit-id",
        "age_from": ["first-contact"],
        "sex_from": ["register"],
    },
}


def exact_share(value: object) -> Fraction:
    """A share of patients as an exact fraction, from "15/100", "0.15" or 0.15.

    >>> exact_share(0.15), exact_share("15/100")
    (Fraction(3, 20), Fraction(3, 20))
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Fraction):
        raise ValueError('a share is a number or a text such as "15/100"')
    try:
        # By way of its text a float means the decimal number that stands in the file.
        share = Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise ValueError('a share is a number or a text such as "15/100"') from None
    if not 0 <= share < 1:
        raise ValueError("a share is at least 0 and below 1")
    return share


Share = Annotated[
    Fraction,
    PlainValidator(exact_share),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number"}], "description": "share of the patients"}),
]


class LabelColumns(Strict):
    """Our names and the label table's. Exactly one of `file` and `ecg_id` says which ECG a row is about.

    `recorded_at`, `age` and `sex` are the archive's (the file's header) where the table has no such column or
    the cell is empty.
    """

    file: str | None = None
    ecg_id: str | None = None
    patient_id: str = "patient_id"
    recorded_at: str | None = None
    age: str | None = None
    sex: str | None = None
    label: str = "label"

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if (self.file is None) == (self.ecg_id is None):
            raise ValueError("name either the column of the ECG's file or that of its ecg_id")
        return self


class LabelTable(TableSettings):
    """A table with one row per ECG, its patient and its label (0, 1 or empty)."""

    columns: LabelColumns


class _Common(Strict):
    seed: int = 0
    temporal_test: Share = Fraction(15, 100)
    random_test: Share = Fraction(15, 100)
    validation: Share = Fraction(15, 100)
    source_validation: Share = Fraction(5, 100)
    female_values: Words = ("F", "female")
    male_values: Words = ("M", "male")

    @model_validator(mode="after")
    def _room_for_training(self) -> Self:
        if self.temporal_test + self.random_test + self.validation >= 1:
            raise ValueError("temporal_test, random_test and validation leave nothing for training")
        return self


class RegistersSettings(_Common):
    """A cohort of emergency visits with an outcome from the registers.

    Attributes:
        rules: where the paper and the authors' code differ, whose values are the defaults.
        complaint: values of the complaint column that mean chest pain; upper and lower case are the same.
        before_hours, after_hours: the index ECG is the first in [arrival, arrival + after], or else the last
            in [arrival − before, arrival).
        window_ends: whether the two outer ends belong to the window.
        shared_ecg: which visit keeps an ECG that is the index ECG of several.
        outcome_codes: prefixes of the codes that are the outcome.
        outcome_days: whole days from the arrival's day, both included.
        age_from, sex_from: where age and sex come from, in this order.
        temporal_test, random_test, validation, source_validation: shares of the patients.
        female_values, male_values: values of the sex columns; upper and lower case are the same.
    """

    kind: Literal["registers"] = "registers"
    rules: Literal["paper", "authors-code"] = "paper"
    complaint: Words
    before_hours: float = Field(2.0, ge=0, allow_inf_nan=False)
    after_hours: float = Field(3.0, ge=0, allow_inf_nan=False)
    window_ends: Literal["closed", "open"] = "closed"
    shared_ecg: Literal["earliest-arrival", "lowest-visit-id"] = "earliest-arrival"
    outcome_codes: Words = ("I21",)
    outcome_days: int = Field(30, ge=0)
    age_from: Annotated[tuple[AgeSource, ...], Field(strict=False, min_length=1)] = (
        "birth-date",
        "first-contact",
        "header",
    )
    sex_from: Annotated[tuple[SexSource, ...], Field(strict=False, min_length=1)] = ("register", "header")
    visits: Visits
    diagnoses: Diagnoses
    patients: Patients | None = None

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            rules = given.get("rules")
            return {**PRESETS.get(rules, {}), **given} if isinstance(rules, str) else given
        return given

    @field_validator("outcome_codes")
    @classmethod
    def _no_empty_prefix(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        if any(not code.strip(" .") for code in codes):
            raise ValueError("an empty prefix would make every diagnosis an outcome")
        return codes

    def resolve(self, base: Path) -> Self:
        """A copy whose files are relative to `base`, the folder of the study file."""
        return self.model_copy(
            update={
                "visits": self.visits.resolve(base),
                "diagnoses": self.diagnoses.resolve(base),
                "patients": self.patients.resolve(base) if self.patients else None,
            }
        )


class LabelsSettings(_Common):
    """A cohort from a table of labelled ECGs: each labelled ECG of a target patient is an example.

    Attributes:
        table: the label table, or
        dataset, folder: name of a public set in `precordial.datasets.DATASETS` and the folder of its tables.
        label: of a set's several labels, the one to predict.
        controls_per_case: target patients are those with a positive label and so many times as many others,
            drawn by seeded hash; the rest are source. None: every patient with a label is target.
        temporal_test, random_test, validation, source_validation: shares of the patients.
        female_values, male_values: values of the sex column; upper and lower case are the same.
    """

    kind: Literal["labels"] = "labels"
    table: LabelTable | None = None
    dataset: str | None = None
    folder: Annotated[Path | None, Field(strict=False)] = None
    label: str | None = None
    controls_per_case: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _table_or_dataset(self) -> Self:
        if (self.table is None) == (self.dataset is None):
            raise ValueError("give either table, a file of your own, or dataset, the name of a public set")
        if self.dataset is not None and (self.folder is None or self.label is None):
            raise ValueError("a dataset needs folder, where its tables are, and label, what to predict")
        if self.table is not None and (self.folder is not None or self.label is not None):
            raise ValueError("folder and label belong to a dataset; a table names its label under columns.label")
        return self

    def resolve(self, base: Path) -> Self:
        """A copy whose files are relative to `base`, the folder of the study file."""
        return self.model_copy(
            update={
                "table": self.table.resolve(base) if self.table else None,
                "folder": base / self.folder if self.folder is not None else None,
            }
        )


CohortSettings = Annotated[RegistersSettings | LabelsSettings, Field(discriminator="kind")]
