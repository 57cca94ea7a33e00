"""Cohorts through the command line: registers checked, built, drawn, verified, and what is said of each mistake."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from command_line import CommandLine
from precordial.cohort import Cohort
from precordial.twin import make_hospital

STUDY = """
name = "cohort"
out = "work"

[cohort]
kind = "registers"
complaint = ["chest pain"]

[cohort.ecgs]
file = "registers/ecgs.csv"
columns = { age = "age", sex = "sex" }

[cohort.visits]
file = "registers/visits.csv"
columns = { discharge = "discharge" }

[cohort.diagnoses]
file = "registers/diagnoses.csv"

[cohort.patients]
file = "registers/patients.csv"
columns = { birth_date = "birth_date", sex = "sex" }

[[grid]]
models = ["cnn-20k"]
"""


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_hospital(
        400, 5, tmp_path_factory.mktemp("twin") / "hospital", prevalence=0.3, registers_only=True
    ).folder


@pytest.fixture
def study(hospital: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A study file beside registers of its own, which may be changed."""
    shutil.copytree(hospital / "registers", tmp_path / "registers")

    def write(more: str = "") -> Path:
        (tmp_path / "study.toml").write_text(STUDY + more)
        return tmp_path / "study.toml"

    return write


def change(path: Path, row: int, column: str, value: str) -> str:
    """Write a cell of a CSV file, rows counted as a spreadsheet does; what stood there."""
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    place = header.index(column)
    before, rows[row - 2][place] = rows[row - 2][place], value
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return before


def test_from_check_to_verified_cohort(command: CommandLine, study: Callable[[str], Path]) -> None:
    path = study("")
    folder = path.parent / "work" / "cohort"
    said = command.done("cohort", "check", path)
    assert "visits  (visits.csv)" in said
    assert "visits are for one of the study's complaints" in said
    assert "the ECG nearest to arrival, within 24 h: median +0." in said
    assert said.endswith("the cohort can be built\n")
    assert not folder.exists(), "a check builds nothing"

    built = command.done("cohort", "build", path)
    assert {"cohort.csv", "flow.svg", "flow.png", "flow.txt", "leakage.json", "account.json"} <= {
        file.name for file in folder.iterdir()
    }
    cohort = Cohort.load(folder)
    assert cohort.outcomes == ("AMI",)
    visits = cohort.flow["target/visits"].visits
    with (path.parent / "registers" / "visits.csv").open() as file:
        assert visits == len(file.readlines()) - 1
    # A label in the cohort is a diagnosis in the register, on the day that stands beside it.
    with (path.parent / "registers" / "diagnoses.csv").open() as file:
        infarctions = {
            (row["patient_id"], row["date"]) for row in csv.DictReader(file) if row["code"].startswith("I21")
        }
    cases = cohort.select(role="target").label == 1
    target = cohort.select(role="target")
    assert cases.sum() > 10
    for patient, day in zip(target.patient_id[cases], target.events["AMI"][cases].astype("datetime64[D]"), strict=True):
        assert (patient, str(day)) in infarctions
    account = json.loads((folder / "account.json").read_text())
    assert account["tables"]["visits"]["rows"] == visits
    assert built.count("\n") > 20

    verified = command.done("cohort", "verify", path)
    assert "a patient is in one role and split only" in verified
    assert command.done("cohort", "flow", path).strip() in built
    assert "Patients" in command.done("cohort", "table", path)
    assert "cohort.ecgs" in command.complaint("study", "run", path), "nothing can be trained on a table"


def test_a_check_tells_all_mistakes_at_once(command: CommandLine, study: Callable[[str], Path]) -> None:
    path = study("")
    registers = path.parent / "registers"
    secret = change(registers / "visits.csv", 7, "patient_id", "ZEBRA-4711")
    change(registers / "visits.csv", 5, "arrival", "31/12/2024")
    change(registers / "visits.csv", 9, "arrival", "yesterday")
    change(registers / "diagnoses.csv", 3, "date", "2024-02-30")
    change(registers / "patients.csv", 4, "sex", "unknown")
    code, out, _ = command.run("cohort", "check", path)
    assert code == 2
    assert "visits.csv, row 5, column 'arrival': this is not a date (1 more like it); write dates as" in out
    assert "diagnoses.csv, row 3, column 'date': this is not a date; write dates as" in out
    assert "patients.csv, row 4, column 'sex': this is neither a word for female nor for male" in out
    assert out.endswith("3 to be mended\n")
    assert secret not in out
    assert "ZEBRA" not in out
    # A build ends with the first of them, and leaves nothing behind.
    said = command.complaint("cohort", "build", path)
    assert "visits.csv, row 5, column 'arrival': this is not a date" in said
    assert not (path.parent / "work" / "cohort").exists()


def test_dropped_cells_are_counted(command: CommandLine, study: Callable[[str], Path]) -> None:
    path = study("")
    change(path.parent / "registers" / "visits.csv", 5, "arrival", "31/12/2024")
    text = path.read_text().replace('columns = { discharge = "discharge" }', 'bad_cells = "drop"')
    path.write_text(text)
    command.done("cohort", "build", path)
    cohort = Cohort.load(path.parent / "work" / "cohort")
    assert cohort.flow["target/complete"].excluded_visits == 1
    assert "'arrival'" in json.dumps(cohort.account["tables"]["visits"]["notes"])


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ('[[cohort.outcomes]]\nname = "AMI"\ncode_list = "ami"\n', "cohort.outcomes.0.code_list"),
        ('[cohort.split]\nscheme = "sites"\nsites = ["Lund"]\n', "visits.columns.site"),
        ("[cohort.eligibility]\nmin_years = 18\n", "did you mean 'min_age'?"),
        ('[[cohort.outcomes]]\nname = "MACE"\ncode_list = "mace-icd10-kva"\n', "there is no [cohort.procedures]"),
        ("[cohort.eligibility]\nfirst_day = 2031-01-01\n", "(outside the period)"),
        ("[cohort.eligibility]\nmin_age = 120\n", "(of another or unknown age)"),
    ],
)
def test_mistakes_of_the_study_file(command: CommandLine, study: Callable[[str], Path], more: str, key: str) -> None:
    assert key in command.complaint("cohort", "build", study(more))


def test_several_outcomes_eligibility_and_folds(command: CommandLine, study: Callable[[str], Path]) -> None:
    path = study(
        """
[cohort.eligibility]
min_age = 40
washout_days = 365
visits = "first-with-ecg"

[[cohort.outcomes]]
name = "AMI"
code_list = "ami-icd10"

[[cohort.outcomes]]
name = "chest pain again"
codes = ["R07"]
position = "any"
days = 7

[cohort.split]
scheme = "k-fold"
folds = 3
temporal_from = 2024-09-01
"""
    )
    said = command.done("cohort", "build", path)
    cohort = Cohort.load(path.parent / "work" / "cohort")
    target = cohort.select(role="target")
    assert cohort.outcomes == ("AMI", "chest pain again")
    assert (target.age >= 40).all()
    assert len(set(target.patient_id)) == len(target), "one visit a patient"
    assert set(target.split) == {"fold", "temporal_test"}
    newest = target.arrival[target.split == "temporal_test"]
    assert newest.min() >= np.datetime64("2024-09-01")
    assert set(target.fold) == {-1, 0, 1, 2}
    assert "without an earlier infarction" in said
    assert "the patient's first with an index ECG" in said
    command.done("cohort", "verify", path)


def test_code_lists_are_printed(command: CommandLine) -> None:
    said = command.done("cohort", "codes")
    assert "ami-icd10@1: Acute myocardial infarction\n  codes: I21\n  source: " in said
