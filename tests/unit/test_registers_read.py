"""The registers of a study: wide and long, joined, cleaned, and what the account says of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from precordial.errors import RegisterError
from precordial.registers import (
    Account,
    Adjudicated,
    Deaths,
    Diagnoses,
    Ecgs,
    Patients,
    Procedures,
    Visits,
    csv_files,
    read_adjudicated,
    read_deaths,
    read_diagnoses,
    read_ecgs,
    read_patients,
    read_procedures,
    read_visits,
)
from precordial.registers.batches import _Different
from precordial.registers.codes import clean, clean_words

WORDS = {"female": ["F", "kvinna"], "male": ["M"]}
VISITS = {"age": "age", "sex": "sex"}


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str, name: str = "t.csv") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def diagnoses(path: Path, account: Account | None = None, prefixes: Any = None, **options: Any) -> pl.DataFrame:
    given = Diagnoses.model_validate({"file": path, **options})
    return read_diagnoses(given, account or Account(), prefixes=prefixes)


def visits(path: Path, account: Account | None = None, **options: Any) -> pl.DataFrame:
    return read_visits(Visits.model_validate({"file": path, **options}), account or Account(), **WORDS)


# Codes


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("i21.4", "I214"),
        ("I21.4A", "I214A"),
        ("I214-", "I214"),
        (" I21.4*", "I214"),
        ("I21.4†", "I214"),
        ("I21.4+", "I214"),
        ("I 21 . 4", "I214"),
        ("I21.-", "I21"),
        ("410.71", "41071"),
        ("fnc10", "FNC10"),
        ("I21.4\u00a0", "I214"),
        ("-", None),
        ("", None),
    ],
)
def test_codes_in_one_spelling(written: str, code: str | None) -> None:
    assert pl.DataFrame({"c": [written]}).select(clean(pl.col("c"))).item() == code
    assert clean_words([written]) == ([code] if code else [])


def test_cells_that_do_not_look_like_a_code_are_counted_and_kept(table: Callable[..., Path]) -> None:
    cells = ["I21.4", "C4A.0", "410", "410.71", "V45.8", "E880.1", "Z95", "chest pain", "21", "I2", "-", ""]
    path = table("patient_id,code,date\n" + "".join(f"p,{cell},2017-01-01\n" for cell in cells))
    account = Account()
    read = diagnoses(path, account)
    log = account.tables["diagnoses"]
    assert read["code"].to_list()[-3:] == ["CHESTPAIN", "21", "I2"]
    assert log.notes == {"cells that do not look like a code": 4}
    assert log.dropped == {"no code": 2}
    procedures = Account()
    read_procedures(Procedures(file=path), procedures)
    assert procedures.tables["procedures"].notes == {"cells that do not look like a code": 1}


def test_prefixes_choose_codes_and_everything_is_counted_still(table: Callable[..., Path]) -> None:
    path = table("patient_id,code,date\na,i21.4,2017-01-01\nb,I22,2016-01-01\nc,I210-,\n,,2018-01-01\n")
    account = Account()
    chosen = diagnoses(path, account, prefixes=["I21."])
    assert chosen.select("row", "code").rows() == [(2, "I214"), (4, "I210")]
    log = account.tables["diagnoses"]
    assert (log.rows, log.kept, log.patients) == (4, 2, 3)
    assert log.dropped == {"no code that was asked for": 2}
    assert log.dates == {"date": ("2016-01-01", "2018-01-01")}
    assert log.empty == {"patient_id": 1, "date": 1}
    table("patient_id,code,date\na,i21.4,2017-01-01\nb,X,SECRET\nc,Y,SECRET\n")
    with pytest.raises(RegisterError, match=r"row 3, column 'date': this is not a date \(1 more like it\)"):
        diagnoses(path, prefixes=["I21"])


# Wide and long


def test_wide_columns_in_natural_order_with_the_main_one_first(table: Callable[..., Path]) -> None:
    path = table("patient_id,DIA10,DIA2,DIA1,BDIA,date\np,J10,J2,J1,I21,2017-01-01\nq,,,,,2017-01-01\n")
    by_pattern = diagnoses(path, columns={"code": "DIA*"})
    assert by_pattern.select("row", "code", "position").rows() == [(2, "J1", 1), (2, "J2", 2), (2, "J10", 3)]
    main = diagnoses(path, columns={"code": "DIA*", "main": "BDIA"})
    assert main["code"].to_list() == ["I21", "J1", "J2", "J10"]
    listed = diagnoses(path, columns={"code": ["DIA10", "BDIA"], "main": "BDIA"})
    assert listed.select("code", "position").rows() == [("I21", 1), ("J10", 2)]
    one = diagnoses(path, columns={"code": ["BDIA"]})
    assert one.select("code", "position").rows() == [("I21", 1)]
    with pytest.raises(RegisterError, match=r"column 'X\*', key 'cohort\.diagnoses\.columns\.code': no column fits"):
        diagnoses(path, columns={"code": "X*"})


def test_pieces_may_have_different_numbers_of_columns(tmp_path: Path, table: Callable[..., Path]) -> None:
    table("patient_id,DIA1,date\np,J1,2017-01-01\n", "d1.csv")
    table("patient_id,DIA1,DIA2,date\np,J2,J3,2017-01-01\n", "d2.csv")
    read = diagnoses(tmp_path / "d*.csv", columns={"code": "DIA*"})
    assert read.select("part", "row", "code", "position").rows() == [(0, 2, "J1", 1), (1, 2, "J2", 1), (1, 2, "J3", 2)]


codes = st.sampled_from(["I21.4", "i214", "J10", "x y", "-", ""])
people = st.sampled_from(["a", "b", ""])
days = st.sampled_from(["2017-01-01", "2017-01-02", ""])
wide_rows = st.lists(st.tuples(people, days, st.lists(codes, min_size=3, max_size=3)), max_size=8)


@settings(max_examples=40, deadline=None)
@given(rows=wide_rows, prefixes=st.sampled_from([None, ["I21"], ["J", "I214"], []]), order=st.randoms())
def test_wide_and_long_are_the_same_table(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], prefixes: list[str] | None, order: Any
) -> None:
    folder = tmp_path_factory.mktemp("wide")
    wide, long = folder / "wide.csv", folder / "long.csv"

    def write(rows: list[Any]) -> None:
        lines = [",".join([who, when, *cells]) for who, when, cells in rows]
        wide.write_text("\n".join(["patient_id,date,D1,D2,D3", *lines]) + "\n")
        lines = [f"{who},{when},{code},{n}" for who, when, cells in rows for n, code in enumerate(cells, 1)]
        long.write_text("\n".join(["patient_id,date,code,pos", *lines]) + "\n")

    def both() -> list[list[Any]]:
        tables = (
            diagnoses(wide, prefixes=prefixes, columns={"code": "D*"}),
            diagnoses(long, prefixes=prefixes, columns={"position": "pos"}),
        )
        return [sorted(map(repr, one.select(pl.exclude("row")).rows())) for one in tables]

    write(rows)
    first, second = both()
    assert first == second
    order.shuffle(rows)
    write(rows)
    assert both() == [first, first]


@pytest.mark.parametrize(
    ("cell", "position"),
    [
        ("1", 1),
        ("1.0", 1),
        ("HDIA", 1),
        ("hdia", 1),
        ("Main", 1),
        ("2", 2),
        ("17", 17),
        ("0", 2),
        ("BDIA", 2),
        ("", None),
    ],
)
def test_positions(table: Callable[..., Path], cell: str, position: int | None) -> None:
    path = table(f"patient_id,code,date,pos\np,I21,2017-01-01,{cell}\n")
    assert diagnoses(path, columns={"position": "pos"})["position"].to_list() == [position]


def test_values_that_mean_the_main_position(table: Callable[..., Path]) -> None:
    path = table("patient_id,code,date,pos\np,I21,2017-01-01,0\np,I22,2017-01-01,1\n")
    assert diagnoses(path, columns={"position": "pos"}, main_values=["0"])["position"].to_list() == [1, 2]
    assert diagnoses(path)["position"].to_list() == [None, None]


# Spelling of cells


def test_texts_that_mean_empty(table: Callable[..., Path]) -> None:
    path = table("visit_id,patient_id,arrival,complaint,age\n1,NULL,9999-12-31, . ,NA\n2,b,2017-01-01,x,47\n")
    read = visits(path, missing=["NULL", "NA", ".", "9999-12-31"], columns={"age": "age"})
    assert read.row(0) == (2, "1", *[None] * 8)
    assert read["age"].to_list() == [None, 47.0]
    with pytest.raises(RegisterError, match="column 'age': this is not a number"):
        visits(path, columns={"age": "age"})


def test_decimal_commas(table: Callable[..., Path]) -> None:
    path = table('visit_id,patient_id,arrival,complaint,age\n1,a,2017-01-01,x,"47,5"\n2,a,2017-01-01,x,48\n')
    assert visits(path, decimal=",", columns={"age": "age"})["age"].to_list() == [47.5, 48.0]
    with pytest.raises(RegisterError, match="write numbers with a decimal point"):
        visits(path, columns={"age": "age"})
    table("visit_id,patient_id,arrival,complaint,age\n1,a,2017-01-01,x,1.5\n")
    with pytest.raises(RegisterError, match="write numbers with a decimal comma"):
        visits(path, decimal=",", columns={"age": "age"})


def test_bad_cells_end_the_build_or_are_dropped_and_counted(table: Callable[..., Path]) -> None:
    text = "visit_id,patient_id,arrival,complaint,age,sex\n1,a,2017-02-30,x,47,F\n2,a,2017-01-01,x,300,?\n3,a,x,x,y,M\n"
    path = table(text)
    with pytest.raises(RegisterError, match=r"row 2, column 'arrival': this is not a date \(1 more like it\)"):
        visits(path, columns=VISITS)
    account = Account()
    read = visits(path, account, bad_cells="drop", columns=VISITS)
    assert read["arrival"].to_list() == [None, datetime(2017, 1, 1), None]
    assert read["age"].to_list() == [47.0, None, None]
    assert read["sex"].to_list() == [1.0, None, 0.0]
    assert account.tables["visits"].notes == {
        "cells of 'arrival' taken for empty: this is not a date": 2,
        "cells of 'age' taken for empty: this is not a number": 1,
        "cells of 'age' taken for empty: this is no age from 0 to 125 years": 1,
        "cells of 'sex' taken for empty: this is neither a word for female nor for male": 1,
    }


def test_sex_words(table: Callable[..., Path]) -> None:
    path = table("visit_id,patient_id,arrival,complaint,sex\n1,a,2017-01-01,x,KVINNA\n2,a,2017-01-01,x,m\n3,a,,x,\n")
    assert visits(path, columns={"sex": "sex"})["sex"].to_list() == [1.0, 0.0, None]
    table("visit_id,patient_id,arrival,complaint,sex\n1,a,2017-01-01,x,M\n2,a,2017-01-01,x,SECRET\n")
    with pytest.raises(RegisterError, match=r"row 3, column 'sex'.*cohort\.female_values") as error:
        visits(path, columns={"sex": "sex"})
    assert "SECRET" not in str(error.value)


# Joins

ADMISSIONS = "hadm_id,admittime,race\n10,2180-05-06 22:23:00,x\n11,2180-06-26 18:27:00,x\n11,2180-06-26 18:27:00,y\n"
JOIN = {"on": ["hadm_id"], "columns": {"date": "admittime"}}
MIMIC = {"patient_id": "subject_id", "code": "icd_code", "position": "seq_num"}


def test_a_join_gives_the_date_that_diagnoses_lack(table: Callable[..., Path]) -> None:
    other = table(ADMISSIONS, "admissions.csv")
    path = table("subject_id,hadm_id,seq_num,icd_code\n1,10,1,I214\n1,11,2,4111\n2,12,1,I210\n2,,1,I210\n")
    account = Account()
    read = diagnoses(path, account, joins=[{"file": other, **JOIN}], columns=MIMIC)
    assert read.columns == ["row", "patient_id", "code", "date", "register", "position"]
    assert read["date"].to_list() == [datetime(2180, 5, 6, 22, 23), datetime(2180, 6, 26, 18, 27), None, None]
    assert account.tables["diagnoses"].notes == {"rows without a match in admissions.csv": 2}
    assert account.tables["diagnoses"].empty == {"patient_id": 0, "date": 2}
    assert account.tables["diagnoses"].dates["date"] == ("2180-05-06", "2180-06-26")
    assert account.tables["diagnoses: admissions.csv"].rows == 3
    chosen = diagnoses(path, prefixes=["I21"], joins=[{"file": other, **JOIN}], columns=MIMIC)
    assert chosen["code"].to_list() == ["I214", "I210", "I210"]


def test_a_key_that_stands_twice_in_the_other_table(table: Callable[..., Path]) -> None:
    other = table(ADMISSIONS + "10,2180-05-07 22:23:00,x\n", "admissions.csv")
    path = table("subject_id,hadm_id,seq_num,icd_code\n1,10,1,I214\n")
    message = r"admissions\.csv, row 5, column 'hadm_id': the same key also stands in row 2, with other values"
    with pytest.raises(RegisterError, match=message):
        diagnoses(path, joins=[{"file": other, **JOIN}], columns=MIMIC)
    table(ADMISSIONS.replace("2180-05-06", "SECRET"), "admissions.csv")
    with pytest.raises(RegisterError, match=r"admissions\.csv, row 2, column 'admittime': this is not a date"):
        diagnoses(path, joins=[{"file": other, **JOIN}], columns=MIMIC)
    table("hadm,admittime\n", "admissions.csv")
    with pytest.raises(RegisterError, match=r"admissions\.csv, column 'hadm_id', key 'cohort\.diagnoses\.joins\.0"):
        diagnoses(path, joins=[{"file": other, **JOIN}], columns=MIMIC)
    table(ADMISSIONS, "admissions.csv")
    table("subject_id,seq_num,icd_code\n1,1,I214\n")
    with pytest.raises(RegisterError, match=r"t\.csv, column 'hadm_id', key 'cohort\.diagnoses\.joins\.0\.on'"):
        diagnoses(path, joins=[{"file": other, **JOIN}], columns=MIMIC)


def test_joins_of_several_keys_and_other_spelling(table: Callable[..., Path]) -> None:
    stays = table("subject_id,stay_id,intime,sex\n1,30,2180-05-06 19:17:00,F\n1,31,2180-06-26 15:54:00,F\n")
    triage = table("subject_id;stay_id;chiefcomplaint\n1;30;Chest pain\n1;31;NULL\n2;30;x\n", "triage.csv")
    other = {"file": triage, "separator": ";", "missing": ["NULL"]}
    join = {**other, "on": ["subject_id", "stay_id"], "columns": {"complaint": "chiefcomplaint"}}
    columns = {"visit_id": "stay_id", "patient_id": "subject_id", "arrival": "intime", "sex": "sex"}
    read = visits(stays, joins=[join], columns=columns)
    assert read["complaint"].to_list() == ["Chest pain", None]
    people = table("subject_id,gender,anchor_age\n1,M,52\n", "people.csv")
    second = {"file": people, "on": ["subject_id"], "columns": {"age": "anchor_age", "sex": "gender"}}
    del columns["sex"]
    read = visits(stays, joins=[join, second], columns=columns)
    assert read.select("complaint", "age", "sex").rows() == [("Chest pain", 52.0, 0.0), (None, 52.0, 0.0)]


# The other registers


def test_patients_stand_once(table: Callable[..., Path]) -> None:
    columns = {"birth_date": "born", "sex": "sex", "left": "left"}
    path = table("patient_id,born,sex,left\na,1950-01-01,F,\na,1950-01-01,F,\n,1950-01-01,F,\nb,,M,2017-01-01\n")
    account = Account()
    read = read_patients(Patients.model_validate({"file": path, "columns": columns}), account, **WORDS)
    assert read.select("row", "patient_id", "sex", "left").rows() == [
        (2, "a", 1.0, None),
        (5, "b", 0.0, datetime(2017, 1, 1)),
    ]
    assert account.tables["patients"].dropped == {"no patient id": 1, "the same row again": 1}
    assert account.tables["patients"].kept == 2
    table("patient_id,born,sex,left\na,1950-01-01,F,\nb,,,\na,1950-01-02,F,\n")
    with pytest.raises(RegisterError, match=r"row 4, column 'patient_id': the patient also stands in row 2"):
        read_patients(Patients.model_validate({"file": path, "columns": columns}), Account(), **WORDS)


def test_deaths_with_and_without_causes(table: Callable[..., Path]) -> None:
    path = table("patient_id,date,ulorsak,morsak1,morsak2\na,2017-01-01,I219,I10,\nb,2017-01-02,,,\n")
    assert read_deaths(Deaths(file=path), Account()).rows() == [
        (2, "a", None, datetime(2017, 1, 1), None),
        (3, "b", None, datetime(2017, 1, 2), None),
    ]
    account = Account()
    causes = {"code": "morsak*", "main": "ulorsak"}
    read = read_deaths(Deaths.model_validate({"file": path, "columns": causes}), account)
    assert read.select("patient_id", "code", "position").rows() == [
        ("a", "I219", 1),
        ("a", "I10", 2),
        ("b", None, None),
    ]
    assert account.tables["deaths"].kept == 2
    table("patient_id,date\na,2017-01-01\na,2017-01-01\na,2017-02-01\n")
    with pytest.raises(RegisterError, match=r"row 4, column 'patient_id': the patient also died in row 2"):
        read_deaths(Deaths(file=path), Account())


def test_procedures(table: Callable[..., Path]) -> None:
    path = table("patient_id,OP1,OP2,date\na,fng-02,,2017-01-01\nb,,TFC00,2017-01-01\n")
    read = read_procedures(
        Procedures.model_validate({"file": path, "columns": {"code": "OP*"}}), Account(), prefixes=["FNG"]
    )
    assert read.rows() == [(2, "a", "FNG02", datetime(2017, 1, 1), 1)]


def test_ecgs_from_a_table(table: Callable[..., Path]) -> None:
    columns = {"age": "age", "sex": "sex", "site": "site", "waveform": "digest"}
    given = {"file": table("ecg_id,patient_id,recorded_at,age,sex,site,digest\n"), "columns": columns}

    def read(*rows: str) -> pl.DataFrame:
        table("\n".join(["ecg_id,patient_id,recorded_at,age,sex,site,digest", *rows]) + "\n")
        return read_ecgs(Ecgs.model_validate(given), Account(), **WORDS)

    found = read("1,a,2017-01-01 10:00,47,F,X,18446744073709551615", "2,a,2017-01-01 11:00,47,F,,")
    assert found["waveform"].to_list() == [2**64 - 1, None]
    assert found["device"].to_list() == [None, None]
    found = read("1,a,,,,,00000000000000ff", "2,a,,,,,0xFFFFFFFFFFFFFFFF", "3,a,,,,,0123456789abcdef99", "4,a,,,,,12")
    assert found["waveform"].to_list() == [255, 2**64 - 1, 0x0123456789ABCDEF, 0x12]
    with pytest.raises(RegisterError, match="row 3, column 'digest': this is no digest"):
        read("1,a,,,,,12", "2,a,,,,,SECRET")
    with pytest.raises(RegisterError, match="row 3, column 'ecg_id': the ECG also stands in row 2; keep"):
        read("1,a,,,,,12", "1,b,,,,,")
    with pytest.raises(RegisterError, match="row 2, column 'ecg_id': the ECG has no id; give each ECG an id"):
        read(",a,,,,,12")


def test_adjudicated_outcomes(table: Callable[..., Path]) -> None:
    path = table("visit,mi,mace\n1,1,0\n2,,1\n1,1,0\n")
    given = {"file": path, "columns": {"visit_id": "visit"}, "outcomes": {"MI": "mi", "MACE": "mace"}}
    account = Account()
    read = read_adjudicated(Adjudicated.model_validate(given), account)
    assert read.select("visit_id", "MI", "MACE").rows() == [("1", 1.0, 0.0), ("2", None, 1.0)]
    assert account.tables["adjudicated"].kept == 2
    table("visit,mi,mace\n1,1,0\n2,2,1\n")
    with pytest.raises(RegisterError, match="row 3, column 'mi': an outcome must be 0, 1 or empty"):
        read_adjudicated(Adjudicated.model_validate(given), Account())
    table("visit,mi,mace\n1,1,0\n2,0,1\n1,0,0\n")
    with pytest.raises(RegisterError, match="row 4, column 'visit': the visit also stands in row 2"):
        read_adjudicated(Adjudicated.model_validate(given), Account())
    table("p,at,mi\na,2017-01-01 10:00,1\na,2017-01-01 11:00,0\n")
    by_time = {"file": path, "columns": {"patient_id": "p", "arrival": "at"}, "outcomes": {"MI": "mi"}}
    assert read_adjudicated(Adjudicated.model_validate(by_time), Account())["MI"].to_list() == [1.0, 0.0]


# The account


def test_an_account_collects_the_problems_of_all_tables(tmp_path: Path, table: Callable[..., Path]) -> None:
    first = table("visit,patient_id,arrival,complaint,age\n1,a,x,y,z\n2,a,2017-01-01,y,47\n", "visits.csv")
    second = table("patient_id,code,date\na,I21,2017-01-01\nb,I21,2017-01-01,more\nc,I21,1.1.2017\n", "diagnoses.csv")
    account = Account(collect=True)
    read = visits(first, account, columns={"age": "age", "sex": "gender"})
    assert read["arrival"].to_list() == [None, datetime(2017, 1, 1)]
    found = diagnoses(second, account)
    assert found["code"].to_list() == ["I21"] * 3
    nothing = read_patients(Patients(file=tmp_path / "none.csv"), account, **WORDS)
    assert nothing.height == 0
    assert nothing.columns == ["row", "patient_id", "birth_date", "sex", "left"]
    assert len(account.problems) == 7
    for problem, told in zip(
        account.problems,
        [
            r"visits.csv, column 'visit_id', key 'cohort.visits.columns.visit_id': there is no such column",
            r"visits.csv, column 'gender', key 'cohort.visits.columns.sex': there is no such column",
            r"visits.csv, row 2, column 'arrival': this is not a date; write",
            r"visits.csv, row 2, column 'age': this is not a number; write",
            r"diagnoses.csv, row 3: 4 cells where the header has 3; quote cells",
            r"diagnoses.csv, row 4, column 'date': this is not a date; write",
            r"none.csv: there is no such file; set cohort.patients.file",
        ],
        strict=True,
    ):
        assert told in problem
        assert "\n" not in problem


def test_a_collecting_account_goes_on_without_the_columns_of_joins_and_codes(table: Callable[..., Path]) -> None:
    other = table("hadm,admittime\n1,2017-01-01\n", "admissions.csv")
    path = table("subject_id,icd_code,admit\n1,I21,10\n")
    account = Account(collect=True)
    read = diagnoses(path, account, joins=[{"file": other, **JOIN}], columns=MIMIC)
    assert read.select("code", "date", "position").rows() == [("I21", None, None)]
    assert [problem.rpartition("/")[2].partition(":")[0] for problem in account.problems] == [
        "admissions.csv, column 'hadm_id', key 'cohort.diagnoses.joins.0.on'",
        "t.csv, column 'seq_num', key 'cohort.diagnoses.columns.position'",
        "t.csv, column 'hadm_id', key 'cohort.diagnoses.joins.0.on'",
    ]
    assert diagnoses(path, Account(collect=True), columns={"code": "X*"}).height == 0


def test_an_account_tells_what_it_knows(table: Callable[..., Path]) -> None:
    path = table(
        "visit_id,patient_id,arrival,complaint,out\n1,a,2017-03-31,x,\n\n2,b,2018-01-01,x,\n3,a,2016-01-01,,\n"
    )
    account = Account()
    visits(path, account, columns={"discharge": "out"})
    account.tables["visits"].drop("id not valid at that date", 1000)
    account.tables["visits"].rows += 1000
    assert account.text() == (
        "visits  (t.csv)\n"
        "  1 004  rows read\n"
        "      1  − blank row\n"
        "  1 000  − id not valid at that date\n"
        "      3  rows kept\n"
        "      2  patients\n"
        "  arrival    2016-01-01 to 2018-01-01\n"
        "  complaint  0.0997 % empty\n"
        "  discharge  0.299 % empty"
    )
    again = Account.from_json(json.loads(json.dumps(account.as_json())))
    assert again.tables == account.tables
    assert again.text() == account.text()


def test_a_second_reading_is_not_added_to_the_first(table: Callable[..., Path]) -> None:
    path = table("patient_id,code,date\na,I21,2017-01-01\nb,J10,2017-01-01\n")
    account = Account()
    for prefixes in (["I21"], ["J"]):
        assert diagnoses(path, account, prefixes=prefixes).height == 1
        log = account.tables["diagnoses"]
        assert (log.rows, log.kept, log.dropped) == (2, 1, {"no code that was asked for": 1})


def test_small_batches_give_the_same(table: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"p{number % 7},{'I21' if number % 3 else 'J10'},2017-01-{number % 28 + 1:02d}" for number in range(200)]
    path = table("\n".join(["patient_id,code,date", *rows]) + "\n")
    whole, batched = Account(), Account()
    expected = diagnoses(path, whole, prefixes=["I21"])
    monkeypatch.setattr(csv_files, "BLOCK", 100)
    assert diagnoses(path, batched, prefixes=["I21"]).equals(expected)
    assert batched == whole


def test_different_texts_are_counted_over_batches() -> None:
    different = _Different()
    assert different.count() == 0
    for start in range(0, 2_000_000, 500_000):
        different.add(pl.int_range(start, start + 600_000, eager=True).cast(pl.String))
        different.add(pl.Series(["7", None], dtype=pl.String))
    assert different.count() == 2_100_000


# Settings


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        (Visits, {"columns": {"arival": "x"}}, "arival"),
        (Visits, {"file": 7}, "file"),
        (Visits, {"file": []}, "file"),
        (
            Visits,
            {"date_format": {"arival": "%Y"}},
            "date_format names 'arival', and the dates here are arr",
        ),
        (Visits, {"decimal": ";"}, "decimal"),
        (Visits, {"bad_cells": "keep"}, "bad_cells"),
        (
            Visits,
            {"joins": [{"file": "x", "on": ["a"], "columns": {"date": "b"}}]},
            "a join gives 'date', which",
        ),
        (Visits, {"joins": [{"file": "x", "on": [], "columns": {"age": "b"}}]}, "joins.0.on"),
        (Visits, {"joins": [{"file": "x", "on": ["a"], "columns": {}}]}, "joins.0.columns"),
        (
            Visits,
            {"columns": {"age": "x"}, "joins": [{"file": "x", "on": ["a"], "columns": {"age": "b"}}]},
            "'age' is named twice",
        ),
        (Diagnoses, {"joins": [{"file": "x", "on": ["a"], "columns": {"code": "b"}}]}, "a join gives 'code'"),
        (Diagnoses, {"columns": {"code": "D*", "position": "p"}}, "position is for one code a row"),
        (Diagnoses, {"columns": {"code": ["D"], "position": "p"}}, "position is for one code a row"),
        (Diagnoses, {"columns": {"main": "H", "position": "p"}}, "position is for one code a row"),
        (Adjudicated, {"columns": {"visit_id": "v"}, "outcomes": {}}, "outcomes"),
        (Adjudicated, {"columns": {"visit_id": "v"}, "outcomes": {"row": "x"}}, "an outcome cannot be called row"),
        (Adjudicated, {"columns": {"patient_id": "v"}, "outcomes": {"a": "x"}}, "name either the column visit_id"),
        (Adjudicated, {"columns": {}, "outcomes": {"a": "x"}}, "name either the column visit_id"),
    ],
)
def test_settings_that_cannot_be(model: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        model.model_validate({"file": "x.csv", **given})
    assert message in str(error.value).replace("\n", ".")


def test_all_files_are_relative_to_the_study(tmp_path: Path) -> None:
    for name in ("v1.csv", "v2.csv", "other.csv"):
        (tmp_path / name).touch()
    join = {"file": "other.csv", "on": ["a"], "columns": {"age": "b"}}
    given = Visits.model_validate({"file": "v*.csv", "catalog": "c.sas7bcat", "joins": [join]}).resolve(tmp_path)
    assert [path.name for path in given.all_paths()] == ["v1.csv", "v2.csv", "other.csv", "c.sas7bcat"]
    assert all(path.is_absolute() for path in given.all_paths())
    listed = Visits.model_validate({"file": ["v1.csv", "/elsewhere/v2.csv"]}).resolve(tmp_path)
    assert listed.paths() == [tmp_path / "v1.csv", Path("/elsewhere/v2.csv")]
    assert listed.where == str(tmp_path / "v1.csv")
