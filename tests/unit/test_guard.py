"""The leakage guard: a clean cohort passes, and each kind of planted leak is caught with its rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from precordial.cohort import Cohort, check_leaks
from precordial.cohort.guard import RULES
from precordial.errors import ArchiveError, LeakageError

PLACES = [("source", "train"), ("source", "validation"), *(("target", name) for name in ("train", "temporal_test"))]
Archive = tuple[NDArray[np.str_], NDArray[np.datetime64], NDArray[np.uint64]]


def clean(rows: int = 24) -> tuple[Cohort, Archive]:
    """Two ECGs a patient, patients dealt to the four places in turn; and the archive they are from, backwards."""
    patient = np.arange(rows) // 2
    place = np.array(PLACES)[patient % 4]
    times = np.datetime64("2017-01-01", "s") + np.arange(rows).astype("timedelta64[h]")
    ids = np.array([f"{i:016x}" for i in range(rows)])
    cohort = Cohort(
        ecg_id=ids,
        patient_id=np.array([f"secret-{i}" for i in patient]),
        visit_id=ids,
        prediction_time=times,
        role=place[:, 0],
        split=place[:, 1],
        order=np.zeros(rows, np.int64),
        age=np.zeros(rows),
        sex=np.zeros(rows),
        label=np.zeros(rows),
        age_source=np.full(rows, ""),
        sex_source=np.full(rows, ""),
    )
    waveform = np.arange(rows, dtype=np.uint64) + np.uint64(2**63)
    return cohort, (ids[::-1], times[::-1], waveform[::-1])


def plant(cohort: Cohort, archive: Archive, kind: str, row: int, other: int) -> tuple[Cohort, Archive]:
    """The cohort and archive with one leak of this kind between two rows."""
    ids, times, waveform = archive[0].copy(), archive[1].copy(), archive[2].copy()
    at = {identifier: i for i, identifier in enumerate(ids.tolist())}
    changes: dict[str, Any] = {}
    if kind == "patient":
        changes["patient_id"] = cohort.patient_id.copy()
        changes["patient_id"][other] = cohort.patient_id[row]
    elif kind == "ecg":
        changes["ecg_id"] = cohort.ecg_id.copy()
        changes["ecg_id"][other] = cohort.ecg_id[row]
        changes["prediction_time"] = np.full(len(cohort), times.max())
    elif kind == "time":
        times[at[str(cohort.ecg_id[row])]] += np.timedelta64(1, "s")
    else:
        waveform[at[str(cohort.ecg_id[other])]] = waveform[at[str(cohort.ecg_id[row])]]
    return replace(cohort, **changes), (ids, times, waveform)


def test_a_clean_cohort_passes() -> None:
    cohort, archive = clean()
    report = check_leaks(cohort, *archive)
    assert report.checked == dict.fromkeys(RULES, 24)
    assert len(report.text().splitlines()) == 4


def test_times_that_the_archive_does_not_know_are_not_checked() -> None:
    cohort, (ids, times, waveform) = clean()
    unknown = times.copy()
    unknown[:5] = np.datetime64("NaT")
    assert check_leaks(cohort, ids, unknown, waveform).checked["time"] == 19


def test_one_patient_may_have_the_same_waveform_twice_in_one_split() -> None:
    cohort, archive = clean()
    check_leaks(*plant_tuple(plant(cohort, archive, "waveform", 0, 1)))


def plant_tuple(planted: tuple[Cohort, Archive]) -> tuple[Any, ...]:
    cohort, archive = planted
    return cohort, *archive


@given(st.sampled_from(list(RULES)), st.integers(0, 23), st.integers(0, 23))
@settings(max_examples=60, deadline=None)
def test_each_planted_leak_is_caught_with_its_rows(kind: str, row: int, other: int) -> None:
    cohort, archive = clean()
    apart = row // 2 % 4 != other // 2 % 4
    leaky = kind == "time" or apart
    planted = plant_tuple(plant(cohort, archive, kind, row, other))
    if not leaky:
        check_leaks(*planted)
        return
    with pytest.raises(LeakageError) as error:
        check_leaks(*planted)
    message = str(error.value)
    words = {"patient": "a patient is in", "time": "after its", "ecg": "an ECG is in", "waveform": "a waveform stands"}
    for name, text in words.items():
        assert (text in message) == (name == kind), message
    for number in {row} if kind == "time" else {row, other}:
        assert f"row {number + 2} (ECG " in message
    assert "secret" not in message


def test_leaks_of_all_kinds_are_told_at_once_and_long_lists_are_cut() -> None:
    cohort, (ids, times, waveform) = clean(100)
    late = times + np.timedelta64(1, "D")
    with pytest.raises(LeakageError, match=r"a patient is in two.*; an ECG was recorded after") as error:
        check_leaks(replace(cohort, patient_id=np.full(100, "one")), ids, late, waveform)
    message = str(error.value)
    assert message.count(", row 11 (ECG") == 2
    assert "row 12 " not in message
    assert message.count(" and 90 more (") == 2
    assert "\n" not in message


def test_a_leak_names_the_table_and_the_way_to_the_files(tmp_path: Path) -> None:
    leaky = plant_tuple(plant(*clean(), "patient", 0, 2))
    with pytest.raises(LeakageError) as error:
        check_leaks(*leaky, file=tmp_path / "cohort.csv")
    assert str(error.value).startswith(f"{tmp_path / 'cohort.csv'}: a patient is in two")
    assert str(error.value).endswith("in Python, precordial.Archive(DIR).table(), column 'source'")


def test_an_ecg_that_is_not_in_the_archive() -> None:
    cohort, (ids, times, waveform) = clean()
    with pytest.raises(ArchiveError, match="does not have the ECGs of row 25"):
        check_leaks(cohort, ids[1:], times[1:], waveform[1:])
