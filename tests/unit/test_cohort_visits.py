"""The steps from registers to labelled visits, each at its edges."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest

from precordial.cohort import eligibility
from precordial.cohort import visits as steps

NOON = datetime(2017, 3, 31, 12)


def visit_table(*rows: tuple[str, str, float, str, float | None]) -> pl.DataFrame:
    """Rows of visit id, patient, minutes after noon, complaint, discharge in minutes after noon."""
    return pl.DataFrame(
        [
            (i + 2, visit, patient, at(minute), complaint, None if out is None else at(out))
            for i, (visit, patient, minute, complaint, out) in enumerate(rows)
        ],
        schema={
            "row": pl.Int64,
            "visit_id": pl.String,
            "patient_id": pl.String,
            "arrival": pl.Datetime("us"),
            "complaint": pl.String,
            "discharge": pl.Datetime("us"),
        },
        orient="row",
    )


def ecg_table(*rows: tuple[str, str, float]) -> pl.DataFrame:
    """Rows of ecg id, patient, minutes after noon."""
    return pl.DataFrame(
        [(ecg, patient, at(minute)) for ecg, patient, minute in rows],
        schema={"ecg_id": pl.String, "patient_id": pl.String, "recorded_at": pl.Datetime("us")},
        orient="row",
    )


def at(minute: float) -> datetime:
    return NOON + timedelta(minutes=minute)


def test_the_same_second_is_one_visit_the_latest_discharged() -> None:
    table = visit_table(
        ("1", "A", 0, "chest", None),
        ("2", "A", 0, "fall", 90),
        ("3", "A", 0, "chest", 60),
        ("10", "B", 0, "chest", 60),
        ("9", "B", 0, "fall", 60),
        ("7", "C", 0, "chest", None),
        ("8", "C", 1 / 60, "chest", None),
    )
    for rows in (table, table.reverse()):
        assert sorted(steps.merge_same_second(rows)["visit_id"]) == ["2", "7", "8", "9"]
    # The merge comes before the complaint: patient A's visit is for a fall.
    merged = steps.merge_same_second(table)
    assert sorted(eligibility.with_complaint(merged, ["Chest "])["visit_id"]) == ["7", "8"]


def index_of(*minutes: float, **settings: bool) -> str | None:
    """Which of a patient's ECGs, given in minutes from the arrival, is the index ECG with the paper's window."""
    ecgs = ecg_table(*((f"{minute:g}", "A", minute) for minute in minutes), ("other", "B", 0))
    found = steps.index_ecgs(
        visit_table(("1", "A", 0, "chest", None)), ecgs, before_seconds=7200, after_seconds=10800, **settings
    )
    return found["ecg_id"].item() if len(found) else None


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        ([10, 5, 20], "5"),  # the first after arrival
        ([-1, 179], "179"),  # after arrival goes before nearer ones before it
        ([-5, -1, -30], "-1"),  # the last before arrival
        ([0, 1, -1], "0"),  # the arrival itself is after
        ([180], "180"),  # both ends belong to the window
        ([-120], "-120"),
        ([180 + 1 / 60], None),
        ([-120 - 1 / 60], None),
        ([], None),
    ],
)
def test_index_ecg(minutes: list[float], expected: str | None) -> None:
    assert index_of(*minutes) == expected


def test_open_ends_leave_out_the_ends_and_keep_the_arrival() -> None:
    assert index_of(180, ends_belong=False) is None
    assert index_of(-120, ends_belong=False) is None
    assert index_of(-119, 180, ends_belong=False) == "-119"
    assert index_of(0, 1, ends_belong=False) == "0"


def test_an_ecg_serves_the_earliest_arrival_or_the_lowest_visit_id() -> None:
    visits = visit_table(("10", "A", 0, "chest", None), ("9", "A", 30, "chest", None), ("8", "B", 0, "chest", None))
    ecgs = ecg_table(("e", "A", 40), ("f", "B", 1))
    indexed = steps.index_ecgs(visits, ecgs, before_seconds=0, after_seconds=10800)
    assert sorted(indexed["visit_id"]) == ["10", "8", "9"]
    assert sorted(steps.one_visit_per_ecg(indexed)["visit_id"]) == ["10", "8"]
    assert sorted(steps.one_visit_per_ecg(indexed, lowest_visit_id=True)["visit_id"]) == ["8", "9"]


def test_ecgs_of_one_second_are_one() -> None:
    ecgs = ecg_table(("b", "A", 0), ("a", "A", 0), ("c", "A", 1 / 60), ("d", "B", 0))
    for rows in (ecgs, ecgs.reverse()):
        assert sorted(steps.merge_same_second_ecgs(rows)["ecg_id"]) == ["a", "c", "d"]
