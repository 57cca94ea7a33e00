"""The WFDB files of the twin: read by a small decoder of their own, by the project's reader, and into a cohort."""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from precordial.archive import Archive, ingest
from precordial.cohort import Cohort, LabelsSettings, RegistersSettings, build_cohort
from precordial.formats import read_ecg
from precordial.twin import Hospital, make_hospital, synthetic_ecgs
from precordial.twin.header import Header, to_units
from precordial.twin.wfdb_writer import wfdb_files

HEADER = Header("T0000042", datetime(2024, 3, 9, 7, 5, 1), 63, "FEMALE", 71, 160, 90, 400, 35, site=0, device=1)
ROWS = {"V1": 0, "V2": 1, "V3": 2, "V4": 3, "V5": 4, "V6": 5, "I": 6, "II": 7}


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Hospital]:
    """The same hospital in both formats."""
    folder = tmp_path_factory.mktemp("twin")
    return {kind: make_hospital(130, 5, folder / kind, format=kind, workers=1) for kind in ("muse", "wfdb")}


@pytest.fixture(scope="module")
def archives(hospitals: dict[str, Hospital]) -> dict[str, Archive]:
    found = {}
    for kind, hospital in hospitals.items():
        ingest(hospital.ecg, hospital.folder.with_name(f"{kind}-archive"), workers=1)
        found[kind] = Archive(hospital.folder.with_name(f"{kind}-archive"))
    return found


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for suffix, data in files.items():
        (folder / f"rec{suffix}").write_bytes(data)
    return folder / "rec.hea"


def test_header_and_samples() -> None:
    units = to_units(synthetic_ecgs([63], [1], seed=2)[0])
    files = wfdb_files("rec", units, units[:, :600], HEADER)
    record, *lines = files[".hea"].decode().splitlines()
    assert record == "rec 12 500 5000 07:05:01 09/03/2024"
    assert lines[12:] == [
        "#Age: 63",
        "#Sex: Female",
        "#Patient: T0000042",
        "#Site: Emergency department",
        "#Device: MAC5K",
    ]
    stored = np.frombuffer(files[".dat"], "<i2").reshape(5000, 12).T
    leads = {}
    for line, samples in zip(lines[:12], stored, strict=True):
        file, kind, gain, bits, zero, first, checksum, block, name = line.split()
        assert (file, kind, bits, zero, block) == ("rec.dat", "16", "16", "0", "0")
        assert 1000 / float(gain.removesuffix("(0)/mV")) == pytest.approx(4.88, rel=1e-12)
        assert int(first) == samples[0]
        assert np.int16(int(checksum)) == samples.sum(dtype=np.int16)
        leads[name] = samples.astype(int)
    assert list(leads) == ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
    for name, row in ROWS.items():
        np.testing.assert_array_equal(leads[name], units[row])
    np.testing.assert_array_equal(leads["III"], leads["II"] - leads["I"])
    for name, twice in (
        ("aVR", -leads["I"] - leads["II"]),
        ("aVL", 2 * leads["I"] - leads["II"]),
        ("aVF", 2 * leads["II"] - leads["I"]),
    ):
        assert np.abs(2 * leads[name] - twice).max() <= 1  # half a unit


def test_leads_beyond_16_bits_are_clipped() -> None:
    units = np.zeros((8, 10), np.int16)
    units[6], units[7] = -30000, 30000
    stored = np.frombuffer(wfdb_files("rec", units, units, HEADER)[".dat"], "<i2").reshape(10, 12).T
    assert stored[2].tolist() == [32767] * 10


def test_the_reader_gets_back_what_was_written(tmp_path: Path) -> None:
    signal = synthetic_ecgs([63], [1], seed=2)[0]
    ecg = read_ecg(write(tmp_path, wfdb_files("rec", to_units(signal), signal, HEADER)))
    assert (ecg.recorded_at, ecg.age, ecg.sex, ecg.rate) == (HEADER.recorded_at, 63, "female", 500)
    assert ecg.patient_id == HEADER.patient_id
    assert ecg.flags == 0
    for name, row in ROWS.items():
        assert np.abs(ecg.signal[ecg.leads.index(name)] - signal[row]).max() <= 0.00244 + 1e-6


def test_no_time_and_no_patient(tmp_path: Path) -> None:
    units = to_units(synthetic_ecgs([63], [1], seed=2)[0])
    bare = Header("", None, 63, "MALE", 71, 160, 90, 400, 35)
    files = wfdb_files("rec", units, units, bare)
    assert b"#Patient" not in files[".hea"]
    assert files[".hea"].startswith(b"rec 12 500 5000\n")
    ecg = read_ecg(write(tmp_path, files))
    assert (ecg.recorded_at, ecg.patient_id) == (None, None)


@pytest.mark.parametrize("kind", ["muse", "wfdb"])
def test_ingest_rejects_what_was_planted(
    hospitals: dict[str, Hospital], archives: dict[str, Archive], kind: str
) -> None:
    hospital, archive = hospitals[kind], archives[kind]
    rejected = {"bad-checksum", "flat-lead", "unreadable", "duplicate"}
    if kind == "muse":  # a WFDB record may lack patient and time: the cohort leaves such ECGs out
        rejected |= {"no-patient-id", "no-time"}
    assert archive.reject_counts() == {name: n for name, n in sorted(hospital.faults.items()) if name in rejected}
    reason = {row["source"]: row["reason"] for row in archive.rejects()}
    planted = {row["file"].removeprefix("ecg/"): row["fault"] for row in table(hospital.truth / "truth.csv")}
    assert reason == {file: fault for file, fault in planted.items() if fault in rejected}
    assert len(archive) + len(reason) == hospital.ecgs == len(planted)


def test_both_formats_hold_the_same_ecgs(hospitals: dict[str, Hospital], archives: dict[str, Archive]) -> None:
    assert hospitals["muse"].faults == hospitals["wfdb"].faults
    found = []
    for kind, hospital in hospitals.items():
        archive = archives[kind]
        number = {row["file"].removeprefix("ecg/"): row["file"][-10:-4] for row in table(hospital.truth / "truth.csv")}
        assert set(archive.index["uv_per_unit"].round(9)) == {4.88}
        digest = dict(zip((number[t["source"]] for t in archive.texts()), archive.index["waveform"], strict=True))
        found.append(digest)
    shared = found[0].keys() & found[1].keys()
    assert len(shared) == len(found[0])
    assert all(found[0][k] == found[1][k] for k in shared)


def test_a_cohort_from_the_record_list(hospitals: dict[str, Hospital], archives: dict[str, Archive]) -> None:
    hospital, archive = hospitals["wfdb"], archives["wfdb"]
    columns = {name: name for name in ("file", "patient_id", "recorded_at", "age", "sex")}
    given = {"kind": "labels", "table": {"file": "labels.csv", "columns": {**columns, "labels": ["infarction"]}}}
    settings = LabelsSettings.model_validate(given).resolve(hospital.registers)
    cohort = build_cohort(settings, archive.table(), rejects=archive.reject_counts())
    ecgs = {row["file"]: row for row in table(hospital.truth / "truth.csv")}
    visits = {row["visit_id"]: row for row in table(hospital.truth / "visits.csv")}
    register = {row["visit_id"]: row for row in table(hospital.registers / "visits.csv")}
    usable = {file.removeprefix("ecg/"): row for file, row in ecgs.items() if row["fault"] in ("", "wrong-age")}
    expected = {}
    for file, row in usable.items():
        visit = register.get(row["visit_id"])
        if visit is not None and visit["complaint"] == "chest pain":
            delay = datetime.fromisoformat(row["recorded_at"]) - datetime.fromisoformat(visit["arrival"])
            if timedelta(hours=-2) <= delay <= timedelta(hours=3):
                expected[file] = int(visits[row["visit_id"]]["infarction"])
    source = {ecg_id: text["source"] for ecg_id, text in zip(archive.ids.tolist(), archive.texts(), strict=True)}
    target, others = cohort.select(role="target"), cohort.select(role="source")
    found = {source[ecg_id]: int(label) for ecg_id, label in zip(target.ecg_id.tolist(), target.label, strict=True)}
    assert found.items() <= expected.items()
    left_out = cohort.flow["target/splits"].excluded_ecgs
    assert left_out is not None
    assert len(found) + left_out == len(expected) > 40
    assert 0 < sum(found.values()) < len(found)
    # Everybody without such an ECG is source; and age comes from the list, not from the header with its faults.
    patients = {usable[file]["patient_id"] for file in expected}
    rest = {file for file, row in usable.items() if row["patient_id"] not in patients}
    assert {source[ecg_id] for ecg_id in others.ecg_id.tolist()} == rest
    assert set(target.age_source) == {"table"}
    for ecg_id, age in zip(target.ecg_id.tolist(), target.age, strict=True):
        assert age == float(ecgs["ecg/" + source[ecg_id]]["age"])


def test_a_cohort_from_the_registers_is_the_same_in_both_formats(
    hospitals: dict[str, Hospital], archives: dict[str, Archive]
) -> None:
    """Faults lie at the same ECGs; where MUSE is rejected for its patient or time, WFDB is left out by the cohort."""
    given = {
        "complaint": ["chest pain"],
        "visits": {"file": "visits.csv", "columns": {"discharge": "discharge"}},
        "diagnoses": {"file": "diagnoses.csv"},
        "patients": {"file": "patients.csv", "columns": {"birth_date": "birth_date", "sex": "sex"}},
    }
    cohorts: dict[str, Cohort] = {}
    found = {}
    for kind, hospital in hospitals.items():
        archive = archives[kind]
        settings = RegistersSettings.model_validate(given).resolve(hospital.registers)
        cohorts[kind] = cohort = build_cohort(settings, archive.table(), rejects=archive.reject_counts())
        target = cohort.select(role="target")
        row = archive.rows(target.ecg_id)
        waveform = archive.index["waveform"][row].tolist()
        about = (column.tolist() for column in (target.patient_id, target.split, target.label, target.age, target.sex))
        found[kind] = dict(zip(target.visit_id.tolist(), zip(waveform, *about, strict=True), strict=True))
    assert found["wfdb"] == found["muse"]
    assert len(found["muse"]) > 30
    assert len(cohorts["wfdb"].select(role="source")) == len(cohorts["muse"].select(role="source")) > 30
    faults = hospitals["wfdb"].faults
    left_out = cohorts["wfdb"].flow["archive/identified"].excluded_ecgs
    assert left_out == faults["no-patient-id"] + faults["no-time"] > 0
    assert cohorts["muse"].flow["archive/identified"].excluded_ecgs == 0
