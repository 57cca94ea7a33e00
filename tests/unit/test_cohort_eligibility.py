"""Each criterion of eligibility at its edges, and whole cohorts with all of them against plain loops."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl
import pytest

from precordial.cohort import eligibility

DAY = datetime(2018, 3, 31)


def visits(*rows: tuple[str, str, datetime], **more: list[object]) -> pl.DataFrame:
    """Rows of visit id, patient, arrival."""
    table = pl.DataFrame(
        rows, schema={"visit_id": pl.String, "patient_id": pl.String, "arrival": pl.Datetime("us")}, orient="row"
    )
    return table.with_columns(pl.Series(name, values) for name, values in more.items())


def left(table: pl.DataFrame) -> list[str]:
    return sorted(table["visit_id"].to_list())


def test_complaints_are_whole_words_in_any_case_or_parts_of_a_text() -> None:
    words: list[object] = ["BRÖSTSM", "bröstsmärta", "BröstSm", "CHEST PAIN, DYSPNEA", None]
    table = visits(*((str(i), "A", DAY) for i in range(5)), complaint=words)
    assert left(eligibility.with_complaint(table, ["bröstSm "])) == ["0", "2"]
    assert left(eligibility.with_complaint(table, ["Chest pain", "märta"], contains=True)) == ["1", "3"]
    # A complaint is a text, not a pattern.
    assert left(eligibility.with_complaint(table, ["b.*"], contains=True)) == []


def test_sites_and_period() -> None:
    days = [DAY - timedelta(days=1), DAY, DAY + timedelta(hours=23, minutes=59), DAY + timedelta(days=1)]
    table = visits(*((str(i), "A", day) for i, day in enumerate(days)), site=["Lund", "Malmö", None, "lund"])
    assert left(eligibility.at_sites(table, ["Lund"])) == ["0"]
    day = date(2018, 3, 31)
    assert left(eligibility.in_period(table, day, day)) == ["1", "2"]
    assert left(eligibility.in_period(table, day, None)) == ["1", "2", "3"]
    assert left(eligibility.in_period(table, None, day)) == ["0", "1", "2"]


def test_ages_are_completed_years() -> None:
    ages: list[object] = [17.99, 18.0, 80.99, 81.0, None]
    table = visits(*((str(i), "A", DAY) for i in range(5)), age=ages)
    assert left(eligibility.of_age(table, 18, 80)) == ["1", "2"]
    assert left(eligibility.of_age(table, 18, None)) == ["1", "2", "3"]
    assert left(eligibility.of_age(table, None, 17)) == ["0"]


@pytest.mark.parametrize(("before", "stays"), [(0, True), (1, False), (365, False), (366, True), (-1, True)])
def test_a_washout_looks_back_so_many_days(before: int, stays: bool) -> None:
    earlier = pl.DataFrame({"patient_id": ["A", "B"], "date": [DAY - timedelta(days=before)] * 2})
    table = visits(("1", "A", DAY + timedelta(hours=9)), ("2", "C", DAY))
    assert left(eligibility.washed_out(table, earlier, 365)) == (["1", "2"] if stays else ["2"])


def test_the_first_visit_of_a_patient() -> None:
    table = visits(("10", "A", DAY), ("9", "A", DAY), ("1", "A", DAY + timedelta(days=1)), ("3", "B", DAY))
    for rows in (table, table.reverse()):
        assert left(eligibility.first_of_patient(rows)) == ["3", "9"]
