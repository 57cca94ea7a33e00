"""Table I, to the letter, on a small cohort: its columns, its rows, and what is beside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from precordial.report import table_one
from precordial.report.paper import TABLE_ONE
from precordial.report.table import Table
from precordial.report.withheld import flow_and_table
from small_cohort import small_cohort

TABLE = """\
Table I. Patient characteristics (shares and ages over ECGs)

Patient characteristics    Source train  Source validation  Target train  Target validation  Random test  Temporal test
-----------------------------------------------------------------------------------------------------------------------
Patients                   27            3                  39            11                 13           9
ECGs                       27            3                  40            12                 14           10
Female sex, %              51.9          0.0                47.5          66.7               50.0         44.4
Age, median (IQR)          61 (52–70)    47 (46–58)         58 (52–64)    72 (61–77)         58 (52–65)   68 (55–75)
AMI, %                     N/A           N/A                7.50          16.67              28.57        10.00
MACE, %                    N/A           N/A                18.42         33.33              21.43        40.00
Visits                     N/A           N/A                40            12                 14           10
Age missing, n (%)         0 (0.0)       0 (0.0)            1 (2.5)       0 (0.0)            0 (0.0)      0 (0.0)
Sex missing, n (%)         0 (0.0)       0 (0.0)            0 (0.0)       0 (0.0)            0 (0.0)      1 (10.0)
MACE unknown, n (%)        N/A           N/A                2 (5.0)       0 (0.0)            0 (0.0)      0 (0.0)
ECG before arrival, n (%)  N/A           N/A                4 (10.0)      2 (16.7)           1 (7.1)      1 (10.0)

Site, n (%)
Lund                       25 (92.6)     2 (66.7)           36 (90.0)     11 (91.7)          13 (92.9)    9 (90.0)
Ystad                      2 (7.4)       1 (33.3)           4 (10.0)      1 (8.3)            1 (7.1)      1 (10.0)

Device, n (%)
MAC0                       3 (11.1)      0 (0.0)            4 (10.0)      2 (16.7)           1 (7.1)      1 (10.0)
"""
END = """\
other                      6 (22.2)      0 (0.0)            8 (20.0)      2 (16.7)           2 (14.3)     2 (20.0)

Age from, n (%)
birth date                 27 (100.0)    3 (100.0)          39 (97.5)     12 (100.0)         14 (100.0)   10 (100.0)
unknown                    0 (0.0)       0 (0.0)            1 (2.5)       0 (0.0)            0 (0.0)      0 (0.0)

Sex from, n (%)
register                   27 (100.0)    3 (100.0)          40 (100.0)    12 (100.0)         14 (100.0)   9 (90.0)
unknown                    0 (0.0)       0 (0.0)            0 (0.0)       0 (0.0)            0 (0.0)      1 (10.0)
"""


def cells(table: Table, row: str) -> tuple[str, ...]:
    return next(line[1:] for line in table.rows if line[0] == row)


def test_the_papers_rows_come_first_and_then_the_others() -> None:
    text = table_one(small_cohort(outcomes=("AMI", "MACE"))).text()
    assert text.startswith(TABLE)
    assert text.endswith(END)
    assert [row[0] for row in table_one(small_cohort()).rows[:5]] == [
        "Patients",
        "ECGs",
        "Female sex, %",
        "Age, median (IQR)",
        "AMI, %",
    ]


def test_what_nobody_knows_has_no_row() -> None:
    cohort = small_cohort()
    unknown = {name: np.full(len(cohort), "") for name in ("site", "device", "age_source", "sex_source")}
    bare = table_one(replace(cohort, **unknown, arrival=None, recorded_at=None))
    assert [row[0] for row in bare.rows[5:]] == ["Age missing, n (%)", "Sex missing, n (%)"]
    empty = cohort._rows(cohort.split != "validation")
    assert {cells(table_one(empty), row)[3] for row in ("Female sex, %", "Age, median (IQR)", "AMI, %")} == {"–"}
    assert cells(table_one(empty), "Lund")[3] == "0"


def test_a_device_called_other_stays_apart_from_the_other_devices() -> None:
    cohort = small_cohort()
    cohort = replace(cohort, device=np.where(cohort.device == "MAC0", "other", cohort.device))
    found = [row[1] for row in table_one(cohort).rows if row[0] == "other"]
    assert sorted(found) == ["3 (11.1)", "6 (22.2)"]


def test_folds_and_sites_have_columns_in_place_of_splits() -> None:
    table = table_one(small_cohort((9, 8, 7), folds=("1", "2", "3")))
    assert table.header[1:] == ("Source train", "Source validation", "Fold 1", "Fold 2", "Fold 3")
    assert cells(table, "Patients") == ("27", "3", "8", "7", "6")
    assert table_one(small_cohort((9, 8), folds=("Lund", "Malmö"))).header[3:] == ("Site Lund", "Site Malmö")
    cohort = small_cohort()
    there = replace(cohort, split=np.where(cohort.split == "random_test", "site_test", cohort.split))
    assert table_one(there).header[3:] == (
        "Target train",
        "Target validation",
        "Random test",
        "Site test",
        "Temporal test",
    )


def test_the_papers_numbers_stand_beside() -> None:
    table = table_one(small_cohort(), paper=True)
    assert table.header[1:5] == ("Source train", "Paper", "Source validation", "Paper")
    assert cells(table, "Patients")[1::2] == tuple(numbers[0] for numbers in TABLE_ONE.values())
    assert cells(table, "AMI, %")[1::2] == ("N/A", "N/A", "5.76", "5.72", "5.81", "5.81")
    assert set(cells(table, "Visits")[1::2]) == {""}


def test_standardised_differences() -> None:
    cohort = small_cohort()
    table = table_one(cohort, differences=True)
    assert table.header[-2:] == ("SMD, random test", "SMD, temporal test")
    training, test = cohort.select(role="target", split="train"), cohort.select(role="target", split="random_test")
    p, q = (float(np.nanmean(part.sex)) for part in (training, test))
    expected = abs(p - q) / np.sqrt((p * (1 - p) + q * (1 - q)) / 2)
    assert cells(table, "Female sex, %")[-2] == f"{expected:.2f}"
    means, variances = zip(*((np.nanmean(part.age), np.nanvar(part.age)) for part in (training, test)), strict=True)
    expected = abs(means[0] - means[1]) / np.sqrt(sum(variances) / 2)
    assert cells(table, "Age, median (IQR)")[-2] == f"{expected:.2f}"
    assert cells(table, "Patients")[-2:] == ("", "")
    assert "SMD" not in "".join(table_one(small_cohort((9, 8), folds=("1", "2")), differences=True).header)


def test_small_counts_are_left_out() -> None:
    _, table = flow_and_table(small_cohort(), 5, differences=True)
    assert "counts below 5, and what would give them away, are left out" in table.title
    assert cells(table, "Patients")[:6] == ("27", "< 5", "39", "11", "13", "9")
    assert cells(table, "Age, median (IQR)")[:2] == ("61 (52–70)", "*")
    assert cells(table, "AMI, %")[2:] == ("*", "*", "*", "*", "*", "*")
    assert cells(table, "Lund")[2:6] == ("≥ 5",) * 4
    assert cells(table, "Ystad")[2:6] == ("< 5",) * 4
    assert cells(table, "Female sex, %")[3] == "*"  # four men


@pytest.mark.parametrize("name", ["text", "csv", "markdown", "latex"])
def test_nothing_left_out_is_in_any_format(name: str) -> None:
    _, table = flow_and_table(small_cohort(), 5)
    assert "(7.5" not in getattr(table, name)()
    assert "7.50" not in getattr(table, name)()
