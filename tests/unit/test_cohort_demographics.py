"""Age and sex at the ECG: which source is taken, and the authors' arithmetic."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl

from precordial.cohort.demographics import add_age_and_sex, first_contacts

ALL = {"age_from": ("birth-date", "first-contact", "header"), "sex_from": ("register", "header")}


def result(age_from: tuple[str, ...] = ALL["age_from"], sex_from: tuple[str, ...] = ALL["sex_from"]) -> Any:
    ecgs = pl.DataFrame(
        {
            "ecg_id": ["1", "2", "3", "4"],
            "patient_id": ["born", "seen", "header", "nothing"],
            "recorded_at": [datetime(2017, 3, 31, 23, 59)] * 4,
            "age": [1.0, 2.0, 33.0, float("nan")],
            "sex": [0.0, 0.0, 1.0, None],
        }
    )
    visits = pl.DataFrame(
        {
            "patient_id": ["seen", "seen", "born", "seen"],
            "arrival": [datetime(2018, 1, 2), datetime(2017, 1, 2, 3), datetime(2017, 1, 1), datetime(2016, 1, 1)],
            "age": [72.0, 71.0, 20.0, None],
            "sex": [0.0, 1.0, None, None],
        }
    )
    patients = pl.DataFrame({"patient_id": ["born"], "birth_date": [datetime(1950, 4, 1)], "sex": [1.0]})
    table = add_age_and_sex(ecgs, first_contacts(visits), patients, age_from=age_from, sex_from=sex_from)
    return {row["ecg_id"]: row for row in table.iter_rows(named=True)}


def test_the_register_goes_before_the_header() -> None:
    rows = result()
    assert rows["1"]["age"] == 24_471 / 365.25  # days from 1950-04-01 to 2017-03-31, by `date`
    # 71.5 years are 26 106 whole days, and 88 days passed from 2017-01-02 to 2017-03-31.
    assert rows["2"]["age"] == (26_106 + 88) / 365.125
    assert rows["3"]["age"] == 33
    assert rows["4"]["age"] is None
    assert [rows[i]["age_source"] for i in "1234"] == ["birth-date", "first-contact", "header", ""]
    assert [rows[i]["sex"] for i in "1234"] == [1, 1, 1, None]
    assert [rows[i]["sex_source"] for i in "1234"] == ["register", "register", "header", ""]


def test_the_authors_take_the_first_contact_only() -> None:
    rows = result(("first-contact",), ("register",))
    # 20.5 years are 7 485 whole days, and 89 days passed from 2017-01-01 to 2017-03-31.
    assert rows["1"]["age"] == (7_485 + 89) / 365.125
    assert [rows[i]["age_source"] for i in "1234"] == ["first-contact", "first-contact", "", ""]
    assert rows["3"]["age"] is None
    assert rows["3"]["sex"] is None


def test_an_ecg_before_the_first_contact_is_younger() -> None:
    ecgs = pl.DataFrame(
        {"ecg_id": ["1"], "patient_id": ["A"], "recorded_at": [datetime(2016, 1, 1)], "age": [None], "sex": [None]},
        schema_overrides={"age": pl.Float64, "sex": pl.Float64},
    )
    contacts = first_contacts(
        pl.DataFrame({"patient_id": ["A"], "arrival": [datetime(2017, 1, 1)], "age": [50.0], "sex": [0.0]})
    )
    none = pl.DataFrame(schema={"patient_id": pl.String, "birth_date": pl.Datetime("us"), "sex": pl.Float64})
    table = add_age_and_sex(ecgs, contacts, none, **ALL)
    assert table["age"].item() == (18_438 - 366) / 365.125
