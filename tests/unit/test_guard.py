"""The leakage guard: a clean cohort of each scheme passes, and each kind of planted leak is caught with its rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from clean_cohorts import DAY, SCHEMES, Archive, clean_cohort
from precordial.cohort import Cohort, check_leaks, find_leaks
from precordial.cohort.evidence import number_texts
from precordial.cohort.leaks import RULES
from precordial.errors import ArchiveError, LeakageError

schemes = st.sampled_from(list(SCHEMES))
Planted = tuple[Cohort, Archive, set[int]]
Pick = Callable[[np.ndarray], int]


@given(schemes, st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_clean_cohorts_pass(scheme: str, seed: int) -> None:
    cohort, archive = clean_cohort(scheme, seed)
    report = check_leaks(cohort, *archive)
    target = int((cohort.role == "target").sum())
    checked = dict.fromkeys(RULES, len(cohort)) | dict.fromkeys(("visit", "event", "washout"), target)
    checked["temporal"] = 0 if scheme == "column" else target
    assert report.checked == checked
    assert report.clean
    assert len(report.text().splitlines()) == len(RULES)
    for fold in range(3 if scheme == "k-fold" else 2 if scheme == "sites" else 0):
        check_leaks(cohort.in_fold(fold), *archive)


def other_place(cohort: Cohort, row: int) -> np.ndarray:
    """Rows of other patients in another role or split; in one that goes round, in another fold."""
    apart = (cohort.role != cohort.role[row]) | (cohort.split != cohort.split[row])
    return np.flatnonzero(apart & (cohort.patient_id != cohort.patient_id[row]))


def rows_where(mask: np.ndarray) -> np.ndarray:
    assume(mask.any())
    return np.flatnonzero(mask)


def set_at(values: np.ndarray, row: int, value: Any) -> np.ndarray:
    copy = values.copy()
    copy[row] = value
    return copy


def plant_patient(cohort: Cohort, archive: Archive, pick: Pick) -> Planted:
    row = pick(np.arange(len(cohort)))
    other = pick(other_place(cohort, row))
    planted = replace(cohort, patient_id=set_at(cohort.patient_id, other, cohort.patient_id[row]))
    return planted, archive, {row, other}


def plant_ecg(cohort: Cohort, archive: Archive, pick: Pick) -> Planted:
    """Such as a source ECG that is also the index ECG of a visit."""
    row = pick(np.arange(len(cohort)))
    other = pick(other_place(cohort, row))
    planted = replace(
        cohort,
        ecg_id=set_at(cohort.ecg_id, other, cohort.ecg_id[row]),
        recorded_at=set_at(cohort.recorded_at, other, cohort.recorded_at[row]),
        prediction_time=set_at(cohort.prediction_time, other, np.datetime64("2030-01-01")),
    )
    return planted, archive, {row, other}


def plant_waveform(cohort: Cohort, archive: Archive, pick: Pick) -> Planted:
    row = pick(np.arange(len(cohort)))
    other = pick(other_place(cohort, row))
    ids, times, waveform = archive
    first, second = (int(np.flatnonzero(ids == cohort.ecg_id[i])[0]) for i in (row, other))
    return cohort, (ids, times, set_at(waveform, second, waveform[first])), {row, other}


def plant_visit(cohort: Cohort, archive: Archive, pick: Pick) -> Planted:
    target = rows_where(cohort.role == "target")
    row, other = pick(target), pick(target)
    assume(row != other)
    return replace(cohort, visit_id=set_at(cohort.visit_id, other, cohort.visit_id[row])), archive, {row, other}


def plant_split(cohort: Cohort, archive: Archive, pick: Pick) -> Planted:
    row = pick(rows_where(np.unique(cohort.patient_id, return_inverse=True)[1] >= 0))
    mine = np.flatnonzero(cohort.patient_id == cohort.patient_id[row])
    split = cohort.split.copy()
    split[mine] = "older_visit"
    return replace(cohort, split=split), archive, set(mine.tolist())


def plant_time(cohort: Cohort, archive: Archive, pick: Pick) -> Planted:
    row = pick(np.arange(len(cohort)))
    ids, times, waveform = archive
    late = cohort.prediction_time[row] + np.timedelta64(1, "s")
    return cohort, (ids, set_at(times, int(np.flatnonzero(ids == cohort.ecg_id[row])[0]), late), waveform), {row}


def plant_recorded(cohort: Cohort, archive: Archive, pick: Pick) -> Planted:
    row = pick(np.arange(len(cohort)))
    earlier = cohort.recorded_at[row] - np.timedelta64(1, "s")
    return replace(cohort, recorded_at=set_at(cohort.recorded_at, row, earlier)), archive, {row}


def plant_event(cohort: Cohort, archive: Archive, pick: Pick) -> Planted:
    """An event before arrival, or after its days; or a label without event, or an event without label."""
    row = pick(rows_where(cohort.role == "target"))
    name, first = [("AMI", 0), ("late", 5)][pick(np.arange(2))]
    arrival = cohort.arrival[row]
    kind = pick(np.arange(4))
    event = [arrival + (first - 1) * DAY, arrival + 31 * DAY, np.datetime64("NaT"), arrival + 10 * DAY][kind]
    label = [1.0, 1.0, 1.0, 0.0][kind]
    planted = replace(
        cohort,
        events=dict(cohort.events) | {name: set_at(cohort.events[name], row, event)},
        labels=dict(cohort.labels) | {name: set_at(cohort.labels[name], row, label)},
    )
    return planted, archive, {row}


def plant_washout(cohort: Cohort, archive: Archive, pick: Pick) -> Planted:
    """A visit 1 to 60 days after the event of the patient's visit before it."""
    count = {name: (cohort.patient_id == name).sum() for name in cohort.patient_id[cohort.role == "target"].tolist()}
    several = [name for name, visits in count.items() if visits > 1]
    assume(several)
    name = several[pick(np.arange(len(several)))]
    mine = np.flatnonzero(cohort.patient_id == name)
    first, second = mine[np.argsort(cohort.arrival[mine])][:2].tolist()
    event = (cohort.arrival[second] - (1 + pick(np.arange(60))) * DAY).astype("M8[D]")
    planted = replace(
        cohort,
        events=dict(cohort.events) | {"AMI": set_at(cohort.events["AMI"], first, event)},
        labels=dict(cohort.labels) | {"AMI": set_at(cohort.labels["AMI"], first, 1.0)},
        settings=dict(cohort.settings) | {"outcomes": [{"name": "AMI", "codes": ["I21"], "days": 200}]},
    )
    return planted, archive, {second}


def plant_temporal(cohort: Cohort, archive: Archive, pick: Pick) -> Planted:
    """A row of the temporal test before all others, as it comes of a wrong clock."""
    newest = rows_where(cohort.split == "temporal_test")
    assume(len(newest) > 1)
    row = pick(newest)
    others = (cohort.role == "target") & (cohort.split != "temporal_test")
    shift = -400 * DAY
    assert (cohort.arrival[row] + shift < cohort.arrival[others]).all()
    moved = {"arrival": set_at(cohort.arrival, row, cohort.arrival[row] + shift)}
    events = {name: set_at(values, row, values[row] + shift) for name, values in cohort.events.items()}
    return replace(cohort, **moved, events=events), archive, {row}


def plant_order(cohort: Cohort, archive: Archive, pick: Pick) -> Planted:
    row = pick(np.arange(len(cohort)))
    mine = np.flatnonzero(cohort.patient_id == cohort.patient_id[row])
    order = cohort.order.copy()
    order[mine] = [-1, 10**6][pick(np.arange(2))]
    return replace(cohort, order=order), archive, set(mine.tolist())


PLANTS: dict[str, Callable[[Cohort, Archive, Pick], Planted]] = {
    name.removeprefix("plant_"): function for name, function in dict(globals()).items() if name.startswith("plant_")
}
# What else a leak of one kind is: a patient in two places has two ranks, too.
ALSO = {
    "patient": {"order", "washout", "event"},
    "split": {"order", "temporal"},
    "temporal": {"washout"},
    "event": {"washout"},
}


@pytest.mark.parametrize("kind", PLANTS)
@given(scheme=schemes, seed=st.integers(0, 10**6), data=st.data())
@settings(max_examples=15, deadline=None)
def test_each_planted_leak_is_caught_with_its_rule_and_rows(
    kind: str, scheme: str, seed: int, data: st.DataObject
) -> None:
    def pick(rows: np.ndarray) -> int:
        assume(len(rows) > 0)
        return int(data.draw(st.sampled_from(rows.tolist())))

    cohort, archive, rows = PLANTS[kind](*clean_cohort(scheme, seed), pick)
    report = find_leaks(cohort, *archive)
    assert set(report.broken[kind].tolist()) >= rows
    if kind != "patient":  # all rows of both patients
        assert set(report.broken[kind].tolist()) == rows
    assert {name for name, broken in report.broken.items() if len(broken)} - {kind} <= ALSO.get(kind, set())
    with pytest.raises(LeakageError) as error:
        report.require_clean()
    message = str(error.value)
    assert RULES[kind].broken in message
    assert "secret" not in message
    assert "\n" not in message
    for row in sorted(report.broken[kind].tolist())[:10]:
        assert f"row {row + 2} (ECG {cohort.ecg_id[row]}, {cohort.role[row]} {cohort.split[row]})" in message


def test_every_rule_has_its_leak_planted() -> None:
    # No cohort can break "fraction" while its ranks are right; the next test breaks the function itself.
    assert set(PLANTS) == set(RULES) - {"fraction"}


def test_a_fraction_that_touches_a_test_set_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    cohort, archive = clean_cohort("k-fold", 0)
    monkeypatch.setattr("precordial.cohort.leaks.in_fraction", lambda training, order, fraction: order < 2)
    report = find_leaks(cohort, *archive)
    assert len(report.broken["fraction"])
    monkeypatch.setattr(
        "precordial.cohort.leaks.in_fraction",
        lambda training, order, fraction: ~training | (order % 2 == len(fraction) % 2),
    )
    assert len(find_leaks(cohort, *archive).broken["fraction"]), "these do not nest"


@given(st.integers(0, 10**6), st.data())
@settings(max_examples=30, deadline=None)
def test_a_waveform_in_two_folds_is_caught(seed: int, data: st.DataObject) -> None:
    """No split says so before the folds are resolved."""
    cohort, (ids, times, waveform) = clean_cohort("k-fold", seed)
    going = np.flatnonzero(cohort.split == "fold")
    row = data.draw(st.sampled_from(going.tolist()))
    others = going[cohort.fold[going] != cohort.fold[row]]
    other = data.draw(st.sampled_from(others.tolist()))
    first, second = (int(np.flatnonzero(ids == cohort.ecg_id[i])[0]) for i in (row, other))
    report = find_leaks(cohort, ids, times, set_at(waveform, second, waveform[first]))
    assert report.broken["waveform"].tolist() == sorted([row, other])


def test_times_that_nobody_knows_are_not_checked() -> None:
    cohort, (ids, times, waveform) = clean_cohort("paper", 1)
    nothing = np.full(len(cohort), np.datetime64("NaT", "s"))
    unknown = np.where(np.isin(ids, cohort.ecg_id[:5]), np.datetime64("NaT"), times)
    report = check_leaks(replace(cohort, recorded_at=nothing), ids, unknown, waveform)
    assert report.checked["time"] == len(cohort) - 5
    assert report.checked["recorded"] == 0


def test_without_an_archive_waveforms_are_not_checked() -> None:
    cohort, (ids, times, _) = clean_cohort("paper", 1)
    assert check_leaks(cohort, ids, times, None).checked["waveform"] == 0


def test_what_was_decided_by_hand_is_dated_on_the_day_of_arrival() -> None:
    """Though the days of the outcome begin later; but not before arrival, and never without a label."""
    cohort, archive = clean_cohort("paper", 2)
    row = int(np.flatnonzero((cohort.role == "target") & (cohort.labels["late"] == 0))[0])
    by_hand = dict(cohort.settings) | {"adjudicated": {"columns": {"outcomes": {"late": "decided"}}}}

    def decided(label: float, event: np.datetime64, settings: Any) -> list[int]:
        labels = dict(cohort.labels) | {"late": set_at(cohort.labels["late"], row, label)}
        events = dict(cohort.events) | {"late": set_at(cohort.events["late"], row, event)}
        found = find_leaks(replace(cohort, labels=labels, events=events, settings=settings), *archive)
        return found.broken["event"].tolist()

    day = cohort.arrival[row].astype("M8[D]")
    assert decided(1, day, by_hand) == []
    assert decided(1, day, cohort.settings) == [row]
    assert decided(1, day - 1, by_hand) == [row]
    assert decided(1, np.datetime64("NaT"), by_hand) == [row]
    assert decided(0, day, by_hand) == [row]


@pytest.mark.parametrize(
    "cohort_settings",
    [
        {"eligibility": {}},
        {"eligibility": {"washout_days": 60, "washout_codes": ["I25"]}},
        {"outcomes": [{"name": "AMI", "codes": ["I21"], "death": "event"}]},
        {"outcomes": [{"name": "AMI", "codes": ["I21"], "registers": ["regional"]}]},
        {"adjudicated": {"columns": {"outcomes": {"AMI": "decided"}}}},
        {"outcomes": [{"name": "AMI", "codes": ["I21"], "procedures": ["FNG"]}]},
    ],
)
def test_a_wash_out_that_the_events_do_not_show_is_not_checked(cohort_settings: dict[str, Any]) -> None:
    cohort, archive = clean_cohort("paper", 3)
    cohort = replace(cohort, settings=dict(cohort.settings) | cohort_settings)
    assert check_leaks(cohort, *archive).checked["washout"] == 0


def test_leaks_of_all_kinds_are_told_at_once_and_long_lists_are_cut() -> None:
    cohort, (ids, times, waveform) = clean_cohort("paper", 0, patients=100)
    with pytest.raises(LeakageError, match=r"a patient is in two.*; an ECG was recorded after") as error:
        check_leaks(replace(cohort, patient_id=np.full(len(cohort), "one")), ids, times + DAY, waveform)
    message = str(error.value)
    assert message.count(", row 11 (ECG") >= 2
    assert message.count(f" and {len(cohort) - 10} more (") >= 2
    assert max(int(row) for row in re.findall(r"row (\d+) ", message.partition("; an ECG was")[0])) == 11


def test_a_leak_names_the_table_and_the_way_to_the_files(tmp_path: Path) -> None:
    cohort, archive = clean_cohort("paper", 0)
    late = (archive[0], archive[1] + DAY, archive[2])
    with pytest.raises(LeakageError) as error:
        check_leaks(cohort, *late, file=tmp_path / "cohort.csv")
    assert str(error.value).startswith(f"{tmp_path / 'cohort.csv'}: an ECG was recorded after")
    assert str(error.value).endswith("in Python, precordial.Archive(DIR).table(), column 'source'")


def test_an_ecg_that_is_not_in_the_archive() -> None:
    cohort, archive = clean_cohort("paper", 0)
    here = archive[0] != cohort.ecg_id[3]
    with pytest.raises(ArchiveError, match=r"does not have the ECGs of row 5 \(ECG"):
        check_leaks(cohort, *(values[here] for values in archive))  # type: ignore[arg-type]


@given(st.lists(st.text("ab0é", max_size=5)), st.booleans())
def test_numbers_of_texts(texts: list[str], collide: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if collide:  # as if all texts had one hash
            patch.setattr("precordial.cohort.evidence._hashes", lambda texts: np.zeros(len(texts), np.uint64))
        numbers = number_texts(np.array(texts, np.str_)).tolist()
    assert len(numbers) == len(texts)
    assert len(set(numbers)) == len(set(texts)) == len(set(zip(numbers, texts, strict=True)))
    assert set(numbers) == set(range(len(set(texts))))


def test_an_empty_cohort_has_no_leak() -> None:
    cohort, archive = clean_cohort("paper", 0)
    assert check_leaks(cohort.select(role="none"), *archive).clean
