"""The [cohort] table: strict, with presets, and with paths relative to the study file."""

from __future__ import annotations

import tomllib
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from precordial.cohort.code_lists import code_lists, load_code_list
from precordial.cohort.definitions import Eligibility
from precordial.cohort.schemes import PaperSplit
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
    assert cohort.shared_ecg == "earliest-arrival"
    (outcome,) = cohort.outcomes
    assert (outcome.name, outcome.codes, outcome.from_days, outcome.days) == ("AMI", ("I21",), 0, 30)
    assert (outcome.position, outcome.death, outcome.registers) == ("any", "ignore", None)
    assert cohort.eligibility == Eligibility()
    assert cohort.eligibility.visits == "all"
    assert cohort.split == PaperSplit()
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
    labels = read('kind = "labels"\ndataset = "ptb-xl"\nfolder = "ptbxl"\nlabels = ["MI"]').resolve(Path("/study"))
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
        (REGISTERS + '[[outcomes]]\nname = "A"\ncodes = ["I21"]\ndays = 30.5\n', "days"),
        (REGISTERS + '[[outcomes]]\nname = "A"\ncodes = ["I21"]\nfrom_days = 31\n', "from_days is above days"),
        (REGISTERS + '[[outcomes]]\nname = "A"\n', "name codes, a code_list or procedures"),
        (REGISTERS + '[[outcomes]]\nname = "age"\ncodes = ["I21"]\n', "plain name"),
        (REGISTERS + '[[outcomes]]\nname = "A"\ncodes = ["I21"]\n' * 2, "two outcomes have the same name"),
        (REGISTERS + '[[outcomes]]\nname = "A"\ncode_list = "ami-icd11"\n', "did you mean 'ami-icd10@1'"),
        (REGISTERS + '[[outcomes]]\nname = "A"\nprocedures = ["FNG"]\n', r"no \[cohort.procedures\]"),
        (REGISTERS + '[[outcomes]]\nname = "A"\ndeath = "event"\n', r"no \[cohort.deaths\]"),
        (REGISTERS + '[[outcomes]]\nname = "A"\ncodes = ["I"]\ndeath_causes = ["I"]\n', "death_causes go with"),
        (REGISTERS + '[[outcomes]]\nname = "A"\ncodes = ["I21"]\nposition = "main"\n', "do not say which are"),
        (REGISTERS + "[eligibility]\nmin_age = 80\nmax_age = 18\n", "min_age is above"),
        (REGISTERS + "[eligibility]\nfirst_day = 2018-01-02\nlast_day = 2018-01-01\n", "first_day is after"),
        (REGISTERS + '[eligibility]\nwashout_codes = ["I21"]\n', "how far back"),
        (REGISTERS + '[eligibility]\nsites = ["Lund"]\n', "visits.columns.site"),
        (REGISTERS + '[split]\nscheme = "sites"\nsites = ["Lund"]\n', "visits.columns.site"),
        (REGISTERS + '[split]\nscheme = "column"\ntrain = ["1"]\nvalidation = ["2"]\n', "visits.columns.fold"),
        (REGISTERS + '[split]\nscheme = "column"\ntrain = ["1"]\nvalidation = ["1"]\n', "two splits"),
        (REGISTERS + '[split]\nscheme = "k-fold"\nfolds = 1\n', "folds"),
        (REGISTERS + '[split]\nscheme = "k-folds"\n', "k-folds"),
        (
            REGISTERS + '[adjudicated]\nfile = "a.csv"\ncolumns = { visit_id = "v" }\noutcomes = { MACE = "m" }\n',
            "no outcome",
        ),
        ("before_hours = -1\n" + REGISTERS, "before_hours"),
        ("validation = 1.5\n" + REGISTERS, "below 1"),
        ("validation = true\n" + REGISTERS, "a share is a number"),
        ("validation = 0.7\n" + REGISTERS, "nothing for training"),
        (REGISTERS + '[[outcomes]]\nname = "A"\ncodes = ["."]\n', "every code"),
        ("age_from = []\n" + REGISTERS, "age_from"),
        ('sex_from = ["name"]\n' + REGISTERS, "sex_from"),
        (REGISTERS.replace('["BröstSm"]', "[]"), "complaint"),
        (REGISTERS.replace('["BröstSm"]', '"BröstSm"'), "complaint"),
        (REGISTERS.replace("registers = [", "register = ["), "register"),
        (REGISTERS.replace("columns = { register", "columns = { registers"), "registers"),
        (REGISTERS.replace('registers = ["SV"]', ""), "does not say which"),
        (REGISTERS.replace('{ register = "Register" }', "{}"), "in which column"),
        (REGISTERS.replace('"registers"\ncomp', '"register"\ncomp'), "kind"),
        ('kind = "labels"', "either table"),
        ('kind = "labels"\ndataset = "ptb-xl"\nfolder = "x"\nlabels = ["age"]', "cannot be called age"),
        ('kind = "labels"\ndataset = "ptb-xl"\nfolder = "x"', "label"),
        ('kind = "labels"\nfolder = "x"\n[table]\nfile = "l.csv"\ncolumns = { file = "f" }', "belong to a dataset"),
        ('kind = "labels"\n[table]\nfile = "l.csv"\ncolumns = {}', "either the column"),
        ('kind = "labels"\n[table]\nfile = "l.csv"\ncolumns = { file = "f", ecg_id = "e" }', "either the column"),
        (
            'kind = "labels"\ncontrols_per_case = 0\ndataset = "ptb-xl"\nfolder = "x"\nlabels = ["MI"]',
            "controls_per_case",
        ),
    ],
)
def test_faults(text: str, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        read(text)


def test_the_schema_can_be_written_for_the_docs() -> None:
    assert "temporal_test" in str(ADAPTER.json_schema())


def test_code_lists_are_versioned_and_said_in_full() -> None:
    cohort = read(REGISTERS + '[[outcomes]]\nname = "STEMI"\ncode_list = "stemi-icd10"\ncodes = ["I22"]\n')
    (outcome,) = cohort.outcomes
    assert outcome.code_list == "stemi-icd10@1"
    assert outcome.all_codes == ("I22", "I21.0", "I21.1", "I21.2", "I21.3")
    assert ADAPTER.validate_python(cohort.model_dump(mode="json")) == cohort
    assert load_code_list("ami-icd10@1").codes == ("I21",)
    for name, one in code_lists().items():
        assert name == f"{one.name}@{one.version}"
        assert one.title
        assert one.source
        assert one.codes or one.procedures
        assert all(code.strip() for code in (*one.codes, *one.exclude, *one.procedures))


def test_folds_are_known_from_the_settings() -> None:
    assert read(REGISTERS).folds == ()
    assert read(REGISTERS + '[split]\nscheme = "k-fold"\nfolds = 3\n').folds == ("1", "2", "3")
    text = REGISTERS.replace('arrival = "In"', 'arrival = "In", site = "Ort"')
    assert read(text + '[split]\nscheme = "sites"\nsites = ["Lund", "Malmö"]\n').folds == ("Lund", "Malmö")
    assert read(REGISTERS + "[split]\ntemporal_from = 2018-06-01\n").split.scheme == "paper"
    assert read("temporal_test = 0\n" + REGISTERS).needs_times is False
    assert read("temporal_test = 0\n" + REGISTERS + "[split]\ntemporal_from = 2018-06-01\n").needs_times is True
