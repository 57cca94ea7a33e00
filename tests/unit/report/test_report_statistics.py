"""Statistics laid out to be read, and written for programs."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from precordial.errors import PrecordialError
from precordial.evaluation import Estimate, Result, result_rows, with_holm
from precordial.evaluation.description import Comparison, Statistic
from precordial.report.statistics import (
    check_suffix,
    comparison_tables,
    p_text,
    statistics_tables,
    table_differences,
    write_statistics,
)

AUC = Estimate(0.846, 0.826, 0.868, n=6012, events=349, patients=5618)
NONE = Estimate(math.nan, math.nan, math.nan, n=40, events=3)
FOUND = [
    Statistic("AMI", "random_test", "discrimination", "", "auc", AUC),
    Statistic("AMI", "random_test", "zones", "no rule-out, rule-in from 0.6", "npv", NONE),
    Statistic("AMI", "random_test", "groups", "sex: F", "auc", replace(AUC, n=2900, patients=None)),
    Statistic("AMI", "random_test", "groups", "sex", "interaction", NONE, 0.0312),
    Statistic("AMI", "all", "calibration", "", "slope", AUC),
]


def test_parts_have_headings() -> None:
    first, second = statistics_tables(FOUND)
    assert first.title == "AMI on random_test: 6 012 ECGs of 5 618 patients, 349 with the outcome"
    assert first.header[1] == "Value (95 % interval)"
    assert first.rows == (
        ("AUC", "0.846 (0.826–0.868)"),
        ("Zones, no rule-out, rule-in from 0.6", ""),
        ("NPV of the rule-out", "–"),
        ("By group", ""),
        ("sex: F", "0.846 (0.826–0.868)   2 900 ECGs, 349 with the outcome"),
        ("Test of interaction, sex", "p 0.031"),
    )
    assert second.title.startswith("AMI: 6 012 ECGs")


def comparison(b: str, p: float, adjusted: float) -> Comparison:
    return Comparison("ours", b, "AMI", "all", "brier", AUC, NONE, replace(AUC, value=0.1), p, adjusted)


def test_pairs_have_tables_and_several_of_them_adjusted_p_values() -> None:
    (alone,) = comparison_tables([comparison("theirs", 0.01, 0.01)])
    assert alone.title == "ours − theirs, paired, 95 % intervals"
    assert alone.header == ("", "ours", "theirs", "Difference", "p")
    assert alone.rows[1] == ("Brier score", str(AUC), "–", "0.100 (0.826–0.868)", "0.010")
    both = comparison_tables([comparison("x", 0.01, 0.02), comparison("y", 0.0001, 0.0002)])
    assert [table.rows[1][-2:] for table in both] == [("0.010", "0.020"), ("< 0.001", "< 0.001")]


def test_numbers_are_written_whole(tmp_path: Path) -> None:
    write_statistics(tmp_path / "x.json", FOUND, {"file": "f.csv"})
    whole = json.loads((tmp_path / "x.json").read_text())
    assert whole["file"] == "f.csv"
    assert [one["value"] for one in whole["statistics"]] == [0.846, None, 0.846, None, 0.846]
    assert whole["statistics"][3]["p"] == 0.0312
    write_statistics(tmp_path / "x.csv", [comparison("x", 0.01, 0.02)], {})
    with (tmp_path / "x.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["a_value"], row["b_value"], row["value"], row["p_adjusted"]) == ("0.846", "", "0.1", "0.02")
    write_statistics(tmp_path / "none.csv", [], {})
    assert (tmp_path / "none.csv").read_text() == "\n"
    with pytest.raises(PrecordialError, match=r"end its name with \.csv or \.json"):
        check_suffix(tmp_path / "x.txt")


def test_all_differences_of_a_study_with_their_p_values() -> None:
    rows = []
    for pretraining, p in (("age", 0.02), ("sex", 0.0001)):
        for split in ("combined_test", "random_test", "validation"):
            result = Result(split, "AMI", "auc_difference", Estimate(0.02, 0.01, 0.03), p)
            about = {"kind": "difference", "model": "rn-900k", "source_fraction": 1.0, "target_fraction": 0.1}
            rows += result_rows([result, replace(result, metric="x")], run="r", pretraining=pretraining, **about)
    table = table_differences(with_holm(rows))
    assert table.rows == tuple(
        line
        for name in ("Random", "Combined")
        for line in (
            (f"{name}, 2 comparisons", *("",) * 7),
            ("RN-900k", "Age", "1", "0.1", "0", "0.020 (0.010–0.030)", "0.020", "0.020"),
            ("RN-900k", "Sex", "1", "0.1", "0", "0.020 (0.010–0.030)", "< 0.001", "< 0.001"),
        )
    )
    assert "RN-900k" in table.text()


def test_p_values_as_printed() -> None:
    assert [p_text(p) for p in (None, math.nan, 1.0, 0.0499, 0.001, 0.00099)] == [
        "–",
        "–",
        "1.000",
        "0.050",
        "0.001",
        "< 0.001",
    ]
