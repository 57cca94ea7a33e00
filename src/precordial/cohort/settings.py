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

from precordial.cohort.cohort import LABEL
from precordial.cohort.definitions import PAPER_OUTCOMES, Eligibility, FollowUp, Outcome
from precordial.cohort.schemes import ColumnSplit, FoldSplit, PaperSplit, SiteSplit, SplitSettings
from precordial.registers.settings import (
    Adjudicated,
    Deaths,
    Diagnoses,
    Ecgs,
    IdKey,
    Patients,
    Procedures,
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

    `recorded_at`, `age`, `sex`, `site` and `device` are the archive's (the file's header) where the table has no such
    column or the cell is empty. `labels` are columns of 0, 1 or nothing, each an outcome of its name; `fold` is a split
    that is given. `inputs` are columns of numbers that models may read beside the ECG.
    """

    file: str | None = None
    ecg_id: str | None = None
    patient_id: str = "patient_id"
    recorded_at: str | None = None
    age: str | None = None
    sex: str | None = None
    site: str | None = None
    device: str | None = None
    fold: str | None = None
    labels: Words = ("label",)
    inputs: Annotated[tuple[str, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if (self.file is None) == (self.ecg_id is None):
            raise ValueError("name either the column of the ECG's file or that of its ecg_id")
        return self


class LabelTable(TableSettings):
    """A table with one row per ECG, its patient and its labels (0, 1 or empty)."""

    columns: LabelColumns

    def names(self) -> dict[str, Any]:
        """As of every table; labels are "label:NAME", as in a cohort."""
        names = super().names()
        return names | {LABEL + name: name for name in names.pop("labels")}


class _Common(Strict):
    seed: int = 0
    split: SplitSettings = PaperSplit()
    temporal_test: Share = Fraction(15, 100)
    random_test: Share = Fraction(15, 100)
    validation: Share = Fraction(15, 100)
    source_validation: Share = Fraction(5, 100)
    female_values: Words = ("F", "female")
    male_values: Words = ("M", "male")

    @field_validator("split", mode="before")
    @classmethod
    def _paper_scheme(cls, given: Any) -> Any:
        return {"scheme": "paper", **given} if isinstance(given, Mapping) else given

    @model_validator(mode="after")
    def _room_for_training(self) -> Self:
        if self.temporal_test + self.random_test + self.validation >= 1:
            raise ValueError("temporal_test, random_test and validation leave nothing for training")
        return self

    @property
    def needs_times(self) -> bool:
        """Whether there is a temporal test, for which every example must have a time."""
        if isinstance(self.split, ColumnSplit):
            return bool(self.split.temporal_test)
        return self.temporal_test > 0 or self.split.temporal_from is not None

    @property
    def folds(self) -> tuple[str, ...]:
        """Names of the folds that are tested one after the other; none where the test set stays the same."""
        if isinstance(self.split, FoldSplit):
            return tuple(str(number + 1) for number in range(self.split.folds))
        return self.split.sites if isinstance(self.split, SiteSplit) else ()


class RegistersSettings(_Common):
    """A cohort of emergency visits with outcomes from the registers.

    Attributes:
        rules: where the paper and the authors' code differ, whose values are the defaults.
        complaint: values of the complaint column that mean chest pain; upper and lower case are the same. Without
            them every complaint will do.
        complaint_match: whether a complaint must be one of these words, or contain one.
        eligibility: who else is left out.
        before_hours, after_hours: the index ECG is the first in [arrival, arrival + after], or else the last
            in [arrival − before, arrival).
        window_ends: whether the two outer ends belong to the window.
        shared_ecg: which visit keeps an ECG that is the index ECG of several.
        outcomes: what is to be predicted; the first is the main one.
        follow_up: until when events would be in the registers.
        age_from, sex_from: where age and sex come from, in this order.
        split: how patients are divided.
        temporal_test, random_test, validation, source_validation: shares of the patients.
        female_values, male_values: values of the sex columns; upper and lower case are the same.
        visits, diagnoses, patients, deaths, procedures: the registers.
        id_key: a key of merged and reused patient ids, applied to every register and to the ECGs.
        ecgs: a table of ECGs in place of an archive; such a cohort can be looked at, and not trained on.
        adjudicated: labels that somebody has decided; they stand above the registers'.
    """

    kind: Literal["registers"] = "registers"
    rules: Literal["paper", "authors-code"] = "paper"
    complaint: Words | None = None
    complaint_match: Literal["exact", "contains"] = "exact"
    eligibility: Eligibility = Eligibility()
    before_hours: float = Field(2.0, ge=0, allow_inf_nan=False)
    after_hours: float = Field(3.0, ge=0, allow_inf_nan=False)
    window_ends: Literal["closed", "open"] = "closed"
    shared_ecg: Literal["earliest-arrival", "lowest-visit-id"] = "earliest-arrival"
    outcomes: Annotated[tuple[Outcome, ...], Field(strict=False, min_length=1)] = PAPER_OUTCOMES
    follow_up: FollowUp = FollowUp()
    age_from: Annotated[tuple[AgeSource, ...], Field(strict=False, min_length=1)] = (
        "birth-date",
        "first-contact",
        "header",
    )
    sex_from: Annotated[tuple[SexSource, ...], Field(strict=False, min_length=1)] = ("register", "header")
    visits: Visits
    diagnoses: Diagnoses
    patients: Patients | None = None
    deaths: Deaths | None = None
    procedures: Procedures | None = None
    id_key: IdKey | None = None
    ecgs: Ecgs | None = None
    adjudicated: Adjudicated | None = None

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            rules = given.get("rules")
            return {**PRESETS.get(rules, {}), **given} if isinstance(rules, str) else given
        return given

    @model_validator(mode="after")
    def _needs(self) -> Self:
        """Refuse what a register that is not named would have to say."""
        names = [outcome.name for outcome in self.outcomes]
        if len(set(names)) != len(names):
            raise ValueError("two outcomes have the same name")
        for outcome in self.outcomes:
            if outcome.all_procedures and self.procedures is None:
                raise ValueError(f"outcome {outcome.name} has procedures, and there is no [cohort.procedures]")
            if outcome.death != "ignore" and self.deaths is None:
                raise ValueError(f"outcome {outcome.name} looks at deaths, and there is no [cohort.deaths]")
            if outcome.registers and self.diagnoses.columns.register_ is None:
                raise ValueError(f"outcome {outcome.name} names registers, and diagnoses.columns.register is not given")
            if outcome.position == "main" and not self.diagnoses.has_positions:
                raise ValueError(
                    f"outcome {outcome.name} takes main diagnoses, and diagnoses.columns do not say which are: "
                    "name position, or several code columns"
                )
        if self.adjudicated is not None:
            unknown = set(self.adjudicated.outcomes) - set(names)
            if unknown:
                raise ValueError(f"adjudicated.outcomes has {sorted(unknown)[0]!r}, which is no outcome")
        needs_site = isinstance(self.split, SiteSplit) or self.eligibility.sites is not None
        if needs_site and self.visits.columns.site is None:
            raise ValueError("sites are asked for, and visits.columns.site does not say where they stand")
        if isinstance(self.split, ColumnSplit) and self.visits.columns.fold is None:
            raise ValueError("the split is a column's, and visits.columns.fold does not say which")
        return self

    def resolve(self, base: Path) -> Self:
        """A copy whose files are relative to `base`, the folder of the study file."""
        return self.model_copy(update={name: table.resolve(base) for name, table in self.tables.items()})

    @property
    def washout_codes(self) -> tuple[str, ...]:
        """Prefixes of the diagnoses of the wash-out."""
        return self.eligibility.washout_codes or self.outcomes[0].all_codes

    @property
    def tables(self) -> dict[str, TableSettings]:
        """The registers that are named, by their keys."""
        names = ("visits", "diagnoses", "patients", "deaths", "procedures", "id_key", "ecgs", "adjudicated")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def files(self) -> list[Path]:
        """Every file that the cohort is made from."""
        return [path for table in self.tables.values() for path in table.all_paths()]


class LabelsSettings(_Common):
    """A cohort from a table of labelled ECGs: each labelled ECG of a target patient is an example.

    Attributes:
        table: the label table, or
        dataset, folder: name of a public set in `precordial.datasets.DATASETS` and the folder of its tables.
        labels: of a set's labels, those to predict, by name or by a pattern such as ``statement:*``.
        controls_per_case: target patients are those with a positive label (the first of `labels`) and so many times as
            many others, drawn by seeded hash; the rest are source.
        target_share: share of the patients with a label, drawn by seeded hash, who are target; the rest are source.
            Without either, every patient with a label is target.
        split: how patients are divided.
        temporal_test, random_test, validation, source_validation: shares of the patients.
        female_values, male_values: values of the sex column; upper and lower case are the same.
    """

    kind: Literal["labels"] = "labels"
    table: LabelTable | None = None
    dataset: str | None = None
    folder: Annotated[Path | None, Field(strict=False)] = None
    labels: Words | None = None
    controls_per_case: int | None = Field(None, ge=1)
    target_share: Share | None = None

    @model_validator(mode="after")
    def _table_or_dataset(self) -> Self:
        if (self.table is None) == (self.dataset is None):
            raise ValueError("give either table, a file of your own, or dataset, the name of a public set")
        if self.dataset is not None and (self.folder is None or self.labels is None):
            raise ValueError("a dataset needs folder, where its tables are, and labels, what to predict")
        if self.table is not None and (self.folder is not None or self.labels is not None):
            raise ValueError("folder and labels belong to a dataset; a table names its labels under columns.labels")
        own = self.table.columns.labels if self.table is not None else self.labels or ()
        if {"age", "sex"} & set(own):
            raise ValueError("a label cannot be called age or sex, which are what the source is trained on")
        if self.controls_per_case is not None and self.target_share is not None:
            raise ValueError("give controls_per_case or target_share, not both")
        if self.table is not None and isinstance(self.split, ColumnSplit) and self.table.columns.fold is None:
            raise ValueError("the split is a column's, and table.columns.fold does not say which")
        return self

    def resolve(self, base: Path) -> Self:
        """A copy whose files are relative to `base`, the folder of the study file."""
        return self.model_copy(
            update={
                "table": self.table.resolve(base) if self.table else None,
                "folder": (base / self.folder).resolve() if self.folder is not None else None,
            }
        )

    def files(self) -> list[Path]:
        """The files of the label table; a public set knows its own."""
        return self.table.all_paths() if self.table else []


CohortSettings = Annotated[RegistersSettings | LabelsSettings, Field(discriminator="kind")]
