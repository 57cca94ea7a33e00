"""Whole cohorts from small registers, against an independent reckoning in plain loops."""

from __future__ import annotations

import csv
import random
import tempfile
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from precordial.cohort import Cohort, Flow, RegistersSettings, build_cohort, check_leaks
from precordial.errors import RegisterError

START = datetime(2017, 1, 1)
Row = dict[str, Any]


def hospital(seed: int) -> tuple[list[Row], list[Row], list[Row]]:
    """Visits, diagnoses and ECGs of a few patients on a coarse grid of times, so that edges and ties are common."""
    rng = random.Random(seed)

    def moment() -> datetime:
        return START + timedelta(minutes=30 * rng.randrange(30), days=rng.choice([0, 0, 0, 20, 40]))

    patients = [f"0{i}" for i in range(rng.randint(1, 8))]
    visits = [
        {
            "visit_id": str(i),
            "patient_id": rng.choice([*patients, ""]) if rng.random() < 0.1 else rng.choice(patients),
            "arrival": moment(),
            "complaint": rng.choice(["chest", "chest", "fall", ""]),
            "discharge": rng.choice(["", moment()]),
        }
        for i in rng.sample(range(60), rng.randint(3, 25))
    ]
    diagnoses = [
        {
            "patient_id": rng.choice(patients),
            "code": rng.choice(["I21.4", "I210", "I22"]),
            "date": rng.choice(["", (moment() + timedelta(days=rng.choice([0, 30, 31]))).date()]),
        }
        for _ in range(rng.randint(0, 6))
    ]
    ecgs = [
        {
            "ecg_id": f"{i:04x}",
            "patient_id": rng.choice([*patients, "stranger", None]),
            "recorded_at": None if rng.random() < 0.05 else moment(),
        }
        for i in rng.sample(range(500), rng.randint(5, 60))
    ]
    return visits, diagnoses, ecgs


def write(path: Path, rows: list[Row], columns: list[str]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def build(visits: list[Row], diagnoses: list[Row], ecgs: list[Row], **changes: Any) -> Cohort:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "visits.csv", visits, ["visit_id", "patient_id", "arrival", "complaint", "discharge"])
        write(folder / "diagnoses.csv", diagnoses, ["patient_id", "code", "date"])
        given = {
            "complaint": ["chest"],
            "visits": {"file": "visits.csv", "columns": {"discharge": "discharge"}},
            "diagnoses": {"file": "diagnoses.csv"},
            **changes,
        }
        return build_cohort(RegistersSettings.model_validate(given).resolve(folder), ecg_table(ecgs))


def ecg_table(ecgs: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(
        [(row["ecg_id"], row["patient_id"], row["recorded_at"], None, None, row["ecg_id"]) for row in ecgs],
        schema={
            "ecg_id": pl.String,
            "patient_id": pl.String,
            "recorded_at": pl.Datetime("us"),
            "age": pl.Float64,
            "sex": pl.Float64,
            "source": pl.String,
        },
        orient="row",
    )


def by_hand(
    visits: list[Row], diagnoses: list[Row], ecgs: list[Row], authors: bool
) -> tuple[dict[str, tuple[str, float]], set[str], int]:
    """Target visits (before the splits) with ECG and label; the source's ECGs of patients without a target visit;
    and how many chest-pain visits there were. In loops, as one would do it on paper."""
    before, after = (timedelta(hours=1), timedelta(hours=2)) if authors else (timedelta(hours=2), timedelta(hours=3))
    usable: dict[tuple[str, datetime], str] = {}
    for ecg in ecgs:
        if ecg["patient_id"] and ecg["recorded_at"]:
            key = (ecg["patient_id"], ecg["recorded_at"])
            usable[key] = min(usable.get(key, "z"), ecg["ecg_id"])
    merged: dict[tuple[str, datetime], Row] = {}
    for visit in visits:
        if not visit["patient_id"] or not visit["complaint"]:
            continue
        key = (visit["patient_id"], visit["arrival"])
        other = merged.get(key)

        def rank(row: Row) -> tuple[bool, datetime, int]:
            return (row["discharge"] != "", row["discharge"] or START, -int(row["visit_id"]))

        if other is None or rank(visit) > rank(other):
            merged[key] = visit
    chest = [visit for visit in merged.values() if visit["complaint"] == "chest"]
    taken: dict[str, Row] = {}
    for visit in chest:
        later, earlier = [], []
        for (patient, moment), ecg_id in usable.items():
            if patient != visit["patient_id"]:
                continue
            if authors and not visit["arrival"] - before < moment < visit["arrival"] + after:
                continue
            if visit["arrival"] <= moment <= visit["arrival"] + after:
                later.append((moment, ecg_id))
            elif visit["arrival"] - before <= moment < visit["arrival"]:
                earlier.append((moment, ecg_id))
        chosen = min(later)[1] if later else max(earlier)[1] if earlier else None
        if chosen is None:
            continue
        rival = taken.get(chosen)
        if rival is not None:
            if authors and int(rival["visit_id"]) < int(visit["visit_id"]):
                continue
            if not authors and rival["arrival"] < visit["arrival"]:
                continue
        taken[chosen] = visit
    target = {}
    for ecg_id, visit in taken.items():
        label = 0.0
        for diagnosis in diagnoses:
            if diagnosis["patient_id"] == visit["patient_id"] and diagnosis["code"].startswith("I21"):
                day = diagnosis["date"]
                if day and 0 <= (day - visit["arrival"].date()).days <= 30:
                    label = 1.0
        target[visit["visit_id"]] = (ecg_id, label)
    known = {visit["patient_id"] for visit in visits if visit["patient_id"]}
    known -= {visit["patient_id"] for visit in taken.values()}
    source = {ecg_id for (patient, _), ecg_id in usable.items() if patient in known}
    return target, source, len(chest)


def rows_of(cohort: Cohort) -> dict[str, tuple[str, float]]:
    part = cohort.select(role="target")
    return {
        str(visit): (str(ecg), float(label))
        for visit, ecg, label in zip(part.visit_id, part.ecg_id, part.label, strict=True)
    }


def flow_adds_up(flow: Flow) -> None:
    for branch in ("archive", "target", "source"):
        steps = [step for step in flow.steps if step.branch == branch and not step.part]
        for before, after in pairwise(steps):
            for name in ("patients", "visits", "ecgs"):
                kept, had, lost = (
                    getattr(after, name),
                    getattr(before, name),
                    getattr(after, f"excluded_{name}"),
                )
                if kept is not None and had is not None:
                    assert kept + lost == had, (branch, after.key, name)
        parts = [step for step in flow.steps if step.branch == branch and step.part]
        if parts:
            for name in ("patients", "visits", "ecgs"):
                counts = [getattr(part, name) for part in parts]
                whole = getattr(steps[-1], name)
                assert counts == [None] * len(parts) if whole is None else sum(counts) == whole


@given(st.integers(0, 10**6), st.booleans(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_whole_cohorts_by_property(seed: int, authors: bool, shuffle: random.Random) -> None:
    visits, diagnoses, ecgs = hospital(seed)
    target, source, chest = by_hand(visits, diagnoses, ecgs, authors)
    rules = {"rules": "authors-code" if authors else "paper"}
    if not target:
        with pytest.raises(RegisterError):
            build(visits, diagnoses, ecgs, **rules)
        return
    cohort = build(visits, diagnoses, ecgs, **rules)
    flow = cohort.flow
    flow_adds_up(flow)
    kept = rows_of(cohort)
    assert kept.items() <= target.items()
    dropped = flow["target/splits"].excluded_visits
    assert len(target) - len(kept) == dropped
    assert flow["target/complaint"].visits == chest
    assert flow["target/one-visit-per-ecg"].visits == len(target)
    assert set(cohort.select(role="source").ecg_id.tolist()) == source
    patients = {role: set(cohort.select(role=role).patient_id.tolist()) for role in ("source", "target")}
    assert not patients["source"] & patients["target"]
    arrivals = {visit["visit_id"]: visit["arrival"] for visit in visits}
    part = cohort.select(role="target")
    window = timedelta(hours=2 if authors else 3)
    assert [time.item() for time in part.prediction_time] == [arrivals[str(visit)] + window for visit in part.visit_id]

    check_leaks(
        cohort,
        np.array([ecg["ecg_id"] for ecg in ecgs]),
        np.array([ecg["recorded_at"] for ecg in ecgs], "datetime64[us]"),
        np.arange(len(ecgs), dtype=np.uint64),
    )
    for rows in (visits, diagnoses, ecgs):
        shuffle.shuffle(rows)
    assert build(visits, diagnoses, ecgs, **rules).digest == cohort.digest, "the order of rows matters"


def visit(number: int, patient: str, minute: int = 0, complaint: str = "chest") -> Row:
    return {
        "visit_id": str(number),
        "patient_id": patient,
        "arrival": START + timedelta(minutes=minute),
        "complaint": complaint,
        "discharge": "",
    }


def ecg(identifier: str, patient: str | None, minute: int | None = 0) -> Row:
    recorded = None if minute is None else START + timedelta(minutes=minute)
    return {"ecg_id": identifier, "patient_id": patient, "recorded_at": recorded}


def test_every_exclusion_is_in_the_flow_chart() -> None:
    day = 24 * 60
    visits = [
        visit(1, "A"),
        visit(2, "A", 20),  # its only ECG serves visit 1
        visit(3, "B"),  # no ECG in the window: B stays in the source
        visit(4, "C", 10 * day),  # older visit of the temporal test's patient
        visit(5, "C", 30 * day),
        visit(6, "D", 0, "fall"),
        visit(7, ""),
        visit(8, "E", 0, "fall"),
        visit(9, "F", 5),
    ]
    ecgs = [
        ecg("a1", "A", 30),
        ecg("b1", "B", 600),
        ecg("c1", "C", 10 * day + 1),
        ecg("c2", "C", 30 * day + 1),
        ecg("c3", "C", 50 * day),  # C is in the temporal test: not in the source
        ecg("d1", "D"),
        ecg("d2", "D", 0),  # the same second
        ecg("f1", "F", 6),
        ecg("s1", "stranger"),
        ecg("n1", None),
        ecg("n2", "A", None),
    ]
    settings = {"temporal_test": "1/3", "random_test": 0, "validation": 0, "source_validation": 0}
    diagnoses = [{"patient_id": "C", "code": "I214", "date": (START + timedelta(days=40)).date()}]
    cohort = build(visits, diagnoses, ecgs, **settings)
    flow = cohort.flow
    flow_adds_up(flow)
    assert rows_of(cohort) == {"1": ("a1", 0), "5": ("c2", 1), "9": ("f1", 0)}
    assert dict(zip(cohort.select(role="target").visit_id, cohort.select(role="target").split, strict=True)) == {
        "5": "temporal_test",
        "1": "train",
        "9": "train",
    }
    assert sorted(cohort.select(role="source").ecg_id) == ["b1", "d1"]

    assert flow["archive/identified"].excluded_ecgs == 2
    assert flow["archive/merged"].excluded_ecgs == 1
    assert flow["target/visits"].visits == 9
    assert flow["target/complete"].excluded_visits == 1
    assert flow["target/complaint"].excluded_visits == 2
    step = flow["target/index-ecg"]
    assert (step.excluded_visits, step.excluded_patients, step.touched_patients) == (1, 1, 1)
    step = flow["target/one-visit-per-ecg"]
    assert (step.excluded_visits, step.excluded_patients, step.touched_patients) == (1, 0, 1)
    step = flow["target/splits"]
    assert (step.excluded_visits, step.excluded_patients, step.touched_patients) == (1, 0, 1)
    assert flow["target/temporal_test"].reasons["with the outcome"] == 1
    assert flow["source/known"].excluded_ecgs == 1
    assert flow["source/others"].excluded_ecgs == 5
    assert flow["source/others"].reasons == {
        "patients with chest pain but without an index ECG stay": 1,
        "ECGs of theirs": 1,
    }
    text = flow.text()
    assert "− 1 visit of 1 patient: without a usable ECG from 2 h before to 3 h after arrival\n" in text
    assert "− 1 visit of 1 patient: their ECG serves another visit (who stay)" in text
    assert Flow.from_json(flow.as_json()) == flow


def test_unusable_ecgs_are_counted_by_reason(tmp_path: Path) -> None:
    write(tmp_path / "v.csv", [visit(1, "A")], ["visit_id", "patient_id", "arrival", "complaint", "discharge"])
    write(tmp_path / "d.csv", [], ["patient_id", "code", "date"])
    settings = RegistersSettings.model_validate(
        {"complaint": ["chest"], "visits": {"file": "v.csv"}, "diagnoses": {"file": "d.csv"}}
    ).resolve(tmp_path)
    rejects = {"flat-lead": 2, "bad-checksum": 1}
    cohort = build_cohort(settings, ecg_table([ecg("a", "A")]), rejects=rejects)
    assert (cohort.flow["archive/files"].ecgs, cohort.flow["archive/usable"].excluded_ecgs) == (4, 3)
    assert cohort.flow["archive/usable"].reasons == {"unusable: bad-checksum": 1, "unusable: flat-lead": 2}
    assert len(cohort) == 1, "a cohort without source"
    assert cohort.settings["seed"] == 0


@pytest.mark.parametrize(
    ("visits", "problem"),
    [
        ([visit(1, "A"), visit(1, "B")], r"visits\.csv, row 3, column 'visit_id'.*also stands in row 2"),
        ([visit(1, "A", 0, "fall")], r"no visit has one of the complaints"),
        ([visit(1, "Z")], r"none of the 1 visits has an index ECG; 0 patients"),
    ],
)
def test_faults(visits: list[Row], problem: str) -> None:
    with pytest.raises(RegisterError, match=problem):
        build(visits, [], [ecg("a", "A")])


def test_ages_and_sexes_come_from_the_registers(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("visit_id,patient_id,arrival,complaint,a,s\n1,A,2017-01-01,chest,50,F\n")
    (tmp_path / "d.csv").write_text("patient_id,code,date\n")
    (tmp_path / "p.csv").write_text("patient_id,born\nA,1967-01-01\nA,1967-01-01\nB,\n")
    given = {
        "complaint": ["chest"],
        "visits": {"file": "v.csv", "columns": {"age": "a", "sex": "s"}},
        "diagnoses": {"file": "d.csv"},
        "patients": {"file": "p.csv", "columns": {"birth_date": "born"}},
    }
    settings = RegistersSettings.model_validate(given).resolve(tmp_path)
    cohort = build_cohort(settings, ecg_table([ecg("a", "A")]))
    assert (cohort.age.tolist(), cohort.age_source.tolist()) == ([18_263 / 365.25], ["birth-date"])
    assert (cohort.sex.tolist(), cohort.sex_source.tolist()) == ([1.0], ["register"])
    (tmp_path / "p.csv").write_text("patient_id,born\nA,1967-01-01\nA,1968-01-01\n")
    with pytest.raises(RegisterError, match=r"p\.csv, row 3, column 'patient_id'.*also stands in row 2"):
        build_cohort(settings, ecg_table([ecg("a", "A")]))
    (tmp_path / "p.csv").write_text("patient_id,birth\nA,1967-01-01\n")
    with pytest.raises(RegisterError, match=r"column 'born', key 'cohort\.patients\.columns\.birth_date'"):
        build_cohort(settings, ecg_table([ecg("a", "A")]))
