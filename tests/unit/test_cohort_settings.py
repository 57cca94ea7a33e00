"""The [cohort] table: strict, with presets, and with paths relative to the study file."""

from __future__ import annotations

import tomllib
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from precordial.cohort.settings import PRESETS, CohortSettings, LabelsSettings, RegistersSettings

ADAPTER: TypeAdapter[Any] = TypeAdapter(CohortSettings)
REGISTERS = """
kind = "registers"
complaint = ["BröstSm"]
[visits]
file = "visits.csv"
columns = { arrival = "In", discharge = "Ut" }
[diagnoses]
file = "sub/diagnoses.csv"
registers = ["SV"]
columns = { register = "Register" }
"""


def read(text: str) -> Any:
    return ADAPTER.validate_python(tomllib.loads(text))


def test_the_papers_defaults() -> None:
    cohort = read(REGISTERS)
    assert isinstance(cohort, RegistersSettings)
    assert (cohort.before_hours, cohort.after_hours, cohort.window_ends) == (2, 3, "closed")
    assert (cohort.shared_ecg, cohort.outcome_codes, cohort.outcome_days) == ("earliest-arrival", ("I21",), 30)
    shares = (cohort.temporal_test, cohort.random_test, cohort.validation, cohort.source_validation)
    assert shares == (Fraction(3, 20),) * 3 + (Fraction(1, 20),)
    assert cohort.visits.columns.arrival == "In"
    assert cohort.visits.columns.patient_id == "patient_id"


def test_the_authors_code_and_a_key_that_wins() -> None:
    cohort = read('rules = "authors-code"\nafter_hours = 4\n' + REGISTERS)
    assert (cohort.before_hours, cohort.after_hours, cohort.window_ends) == (1, 4, "open")
    assert cohort.shared_ecg == "lowest-visit-id"
    assert (cohort.age_from, cohort.sex_from) == (("first-contact",), ("register",))
    assert read('rules = "paper"\n' + REGISTERS) == read(REGISTERS)
    assert set(PRESETS) == {"paper", "authors-code"}


@pytest.mark.parametrize("share", ["0.15", "'15/100'", "'0.15'", "'3/20'"])
def test_shares_are_the_decimals_that_are_written(share: str) -> None:
    assert read(f"validation = {share}\n" + REGISTERS).validation == Fraction(3, 20)


def test_settings_come_back_from_their_dump() -> None:
    cohort = read('rules = "authors-code"\nvalidation = 0.1\n' + REGISTERS)
    assert ADAPTER.validate_python(cohort.model_dump(mode="json")) == cohort


def test_resolve() -> None:
    cohort = read(REGISTERS + '[patients]\nfile = "/abs/patients.csv"\n').resolve(Path("/study"))
    assert cohort.visits.file == Path("/study/visits.csv")
    assert cohort.diagnoses.file == Path("/study/sub/diagnoses.csv")
    assert cohort.patients.file == Path("/abs/patients.csv")
    labels = read('kind = "labels"\ndataset = "ptb-xl"\nfolder = "ptbxl"\nlabel = "MI"').resolve(Path("/study"))
    assert labels.folder == Path("/study/ptbxl")
    labels = read('kind = "labels"\n[table]\nfile = "l.csv"\ncolumns = { file = "path" }').resolve(Path("/study"))
    assert isinstance(labels, LabelsSettings)
    assert labels.table is not None
    assert labels.table.file == Path("/study/l.csv")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("seed = '1'\n" + REGISTERS, "seed"),
        ("after_hour = 3\n" + REGISTERS, "after_hour"),
        ("outcome_days = 30.5\n" + REGISTERS, "outcome_days"),
        ("before_hours = -1\n" + REGISTERS, "before_hours"),
        ("validation = 1.5\n" + REGISTERS, "below 1"),
        ("validation = true\n" + REGISTERS, "a share is a number"),
        ("validation = 0.7\n" + REGISTERS, "nothing for training"),
        ('outcome_codes = ["."]\n' + REGISTERS, "every diagnosis an outcome"),
        ("age_from = []\n" + REGISTERS, "age_from"),
        ('sex_from = ["name"]\n' + REGISTERS, "sex_from"),
        (REGISTERS.replace('["BröstSm"]', "[]"), "complaint"),
        (REGISTERS.replace('["BröstSm"]', '"BröstSm"'), "complaint"),
        (REGISTERS.replace("registers = [", "register = ["), "register"),
        (REGISTERS.replace("columns = { register", "columns = { position"), "position"),
        (REGISTERS.replace('registers = ["SV"]', ""), "does not say which"),
        (REGISTERS.replace('{ register = "Register" }', "{}"), "in which column"),
        (REGISTERS.replace('"registers"\ncomp', '"register"\ncomp'), "kind"),
        ('kind = "labels"', "either table"),
        ('kind = "labels"\ndataset = "ptb-xl"\nfolder = "x"', "label"),
        ('kind = "labels"\nfolder = "x"\n[table]\nfile = "l.csv"\ncolumns = { file = "f" }', "belong to a dataset"),
        ('kind = "labels"\n[table]\nfile = "l.csv"\ncolumns = {}', "either the column"),
        ('kind = "labels"\n[table]\nfile = "l.csv"\ncolumns = { file = "f", ecg_id = "e" }', "either the column"),
        (
            'kind = "labels"\ncontrols_per_case = 0\ndataset = "ptb-xl"\nfolder = "x"\nlabel = "MI"',
            "controls_per_case",
        ),
    ],
)
def test_faults(text: str, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        read(text)


def test_the_schema_can_be_written_for_the_docs() -> None:
    assert "temporal_test" in str(ADAPTER.json_schema())
