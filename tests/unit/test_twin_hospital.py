"""The synthetic hospital: reproducible, consistent, and with the faults that it says it has."""

from __future__ import annotations

import base64
import csv
import xml.etree.ElementTree as ET
import zlib
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from precordial.errors import REASONS, PrecordialError
from precordial.twin import Hospital, make_hospital
from precordial.twin.faults import FAULTS
from precordial.twin.people import Attacks, Population, Recordings, age_at, draw_population, latest_attack

PATIENTS, SEED = 60, 3


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    return make_hospital(PATIENTS, SEED, tmp_path_factory.mktemp("twin") / "hospital")


@pytest.fixture(scope="module")
def population() -> Population:
    """Registers of a larger hospital, without waveforms."""
    return draw_population(6000, np.random.default_rng(1))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def content(folder: Path) -> dict[str, int]:
    return {p.relative_to(folder).as_posix(): zlib.crc32(p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


def decode(path: Path) -> tuple[ET.Element, dict[str, np.ndarray], bool]:
    """The file, its rhythm leads as integers, and whether all checksums hold."""
    root = ET.parse(path).getroot()
    rhythm = next(wave for wave in root.findall("Waveform") if wave.findtext("WaveformType") == "Rhythm")
    raw = {
        lead.findtext("LeadID", ""): base64.b64decode(lead.findtext("WaveFormData", ""))
        for lead in rhythm.iter("LeadData")
    }
    sums = {lead.findtext("LeadID", ""): int(lead.findtext("LeadDataCRC32", "")) for lead in rhythm.iter("LeadData")}
    good = all(zlib.crc32(raw[name]) == sums[name] for name in raw)
    return root, {name: np.frombuffer(data, "<i2") for name, data in raw.items()}, good


def test_equal_seeds_give_equal_bytes(hospital: Hospital, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    again = make_hospital(PATIENTS, SEED, tmp_path / "again", progress=lambda done, total: calls.append((done, total)))
    assert content(again.folder) == content(hospital.folder)
    assert again.faults == hospital.faults
    total = hospital.ecgs - hospital.faults["duplicate"]
    assert calls[-1] == (total, total)
    other = make_hospital(PATIENTS, SEED + 1, tmp_path / "other")
    assert content(other.folder).keys() != content(hospital.folder).keys()


def test_counts(hospital: Hospital) -> None:
    assert len(table(hospital.registers / "patients.csv")) == hospital.patients == PATIENTS
    visits = table(hospital.registers / "visits.csv")
    assert len(visits) == hospital.visits
    arrivals = {(row["patient_id"], row["arrival"]) for row in visits if row["complaint"] == "chest pain"}
    assert len(arrivals) == hospital.chest_pain_visits
    assert len(list(hospital.ecg.rglob("*.xml"))) == hospital.ecgs == len(table(hospital.truth / "truth.csv"))
    assert sorted(path.name for path in hospital.folder.iterdir()) == ["ecg", "registers", "truth"]


def test_registers_are_consistent(hospital: Hospital) -> None:
    patients = {row["patient_id"]: row for row in table(hospital.registers / "patients.csv")}
    assert {row["sex"] for row in patients.values()} == {"female", "male"}
    visits = table(hospital.registers / "visits.csv")
    assert len({row["visit_id"] for row in visits}) == len(visits)
    assert {row["patient_id"] for row in visits} == patients.keys()
    for row in visits:
        arrival, discharge = (datetime.fromisoformat(row[name]) for name in ("arrival", "discharge"))
        assert arrival < discharge
        age = (arrival.date() - date.fromisoformat(patients[row["patient_id"]]["birth_date"])).days / 365.25
        assert 17.9 < age < 101
    for row in table(hospital.registers / "diagnoses.csv"):
        assert row["patient_id"] in patients
        date.fromisoformat(row["date"])


def test_truth_of_the_label_by_brute_force(hospital: Hospital) -> None:
    infarctions = defaultdict(list)
    for row in table(hospital.registers / "diagnoses.csv"):
        if row["code"].startswith("I21"):
            infarctions[row["patient_id"]].append(date.fromisoformat(row["date"]))
    visits = {row["visit_id"]: row for row in table(hospital.registers / "visits.csv")}
    chest = 0
    for row in table(hospital.truth / "visits.csv"):
        visit = visits[row["visit_id"]]
        day = datetime.fromisoformat(visit["arrival"]).date()
        label = any(day <= when <= day + timedelta(days=30) for when in infarctions[row["patient_id"]])
        assert int(row["infarction"]) == label
        assert label or row["territory"] == "none"
        chest += label and visit["complaint"] == "chest pain"
    assert chest == hospital.infarctions > 0


def test_every_file_shows_its_fault_and_no_other(hospital: Hospital) -> None:
    truth = table(hospital.truth / "truth.csv")
    born = {row["patient_id"]: row["birth_date"] for row in table(hospital.registers / "patients.csv")}
    found: Counter[str] = Counter()
    contents: dict[bytes, str] = {}
    for row in truth:
        path = hospital.folder / row["file"]
        kind = row["fault"]
        data = path.read_bytes()
        assert (data in contents) == (kind == "duplicate")
        contents[data] = row["file"]
        found[kind] += 1
        if kind == "unreadable":
            with pytest.raises(ET.ParseError):
                decode(path)
            continue
        root, leads, good = decode(path)
        assert good == (kind != "bad-checksum")
        assert any(lead.min() == lead.max() for lead in leads.values()) == (kind == "flat-lead")
        identity = root.findtext("PatientDemographics/PatientID")
        assert identity == ("" if kind == "no-patient-id" else row["patient_id"])
        written = (
            f"{root.findtext('TestDemographics/AcquisitionDate')} {root.findtext('TestDemographics/AcquisitionTime')}"
        )
        when = datetime.fromisoformat(row["recorded_at"])
        assert (written == f"{when:%m-%d-%Y %H:%M:%S}") == (kind != "no-time")
        assert path.parent.relative_to(hospital.ecg).as_posix() == f"{when:%Y/%m}"
        age = int(root.findtext("PatientDemographics/PatientAge", ""))
        true_age = (when.date() - date.fromisoformat(born[row["patient_id"]])).days / 365.25
        assert float(row["age"]) == pytest.approx(true_age, abs=0.006)
        assert (age == int(true_age)) == (kind != "wrong-age")
    del found[""]
    assert found == hospital.faults
    assert set(FAULTS) - set(REASONS) == {"wrong-age"}


def test_visits_of_the_ecgs(hospital: Hospital) -> None:
    visits = {row["visit_id"]: row for row in table(hospital.registers / "visits.csv")}
    for row in table(hospital.truth / "truth.csv"):
        if row["visit_id"]:
            visit = visits[row["visit_id"]]
            assert visit["patient_id"] == row["patient_id"]
            delay = datetime.fromisoformat(row["recorded_at"]) - datetime.fromisoformat(visit["arrival"])
            assert timedelta(hours=-10) <= delay <= timedelta(hours=32)
        if row["onset"]:
            assert row["onset"] <= row["recorded_at"]


def test_population_is_as_asked_for(population: Population) -> None:
    patients, visits, attacks = population.patients, population.visits, population.attacks
    assert patients.chest_pain.mean() == pytest.approx(0.38, abs=0.0001)
    chest = visits.complaint == 0
    assert set(visits.patient[chest]) == set(np.flatnonzero(patients.chest_pain))
    struck = np.isin(np.arange(len(chest)), attacks.visit)
    n = chest.sum()
    assert struck[chest].mean() == pytest.approx(0.15, abs=4 * np.sqrt(0.15 * 0.85 / n))
    silent = attacks.severity == 0
    assert silent.mean() == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / len(silent)))
    age = age_at(patients.born[visits.patient], visits.arrival)
    assert np.median(age[chest & struck]) > np.median(age[chest]) + 5
    assert patients.female[visits.patient[chest & struck]].mean() < 0.43
    # the paper's Table I: target median 61 (46 to 75), source 71 (57 to 81)
    ages = age_at(patients.born, np.full(6000, np.datetime64("2024-01-01")))
    np.testing.assert_allclose(np.quantile(ages[patients.chest_pain], (0.25, 0.5, 0.75)), (46, 61, 75), atol=3)
    np.testing.assert_allclose(np.quantile(ages[~patients.chest_pain], (0.25, 0.5, 0.75)), (57, 71, 81), atol=3)


def test_population_has_every_difficulty(population: Population) -> None:
    visits, recordings, attacks = population.visits, population.recordings, population.attacks
    chest = visits.complaint == 0
    own = np.flatnonzero((recordings.visit >= 0) & chest[recordings.visit])
    delay = (recordings.time[own] - visits.arrival[recordings.visit[own]]).astype(int) / 3600
    within, before = (delay >= 0) & (delay <= 3), (delay >= -2) & (delay < 0)
    index, only_before = set(recordings.visit[own[within]]), set(recordings.visit[own[before]])
    without = set(np.flatnonzero(chest)) - index - only_before
    assert 0.80 < len(index) / chest.sum() < 0.96
    assert 0.02 < len(only_before - index) / chest.sum() < 0.10
    assert 0.02 < len(without) / chest.sum() < 0.12
    assert (delay > 3).any()
    assert (delay < -2).any()
    assert (recordings.visit == -1).mean() > 0.3
    assert np.bincount(visits.patient[chest]).max() > 1
    wait = (
        attacks.day[attacks.visit >= 0] - visits.arrival[attacks.visit[attacks.visit >= 0]].astype("datetime64[D]")
    ).astype(int)
    assert (wait == 0).mean() > 0.6
    assert ((wait > 3) & (wait <= 30)).any()
    assert np.isnat(attacks.day).any()
    assert np.all(np.diff(recordings.time.astype(int)) >= 0)


def test_latest_attack_by_brute_force(population: Population) -> None:
    attacks, recordings = population.attacks, population.recordings
    found = latest_attack(attacks, recordings)
    rows = np.flatnonzero(np.isin(recordings.patient, attacks.patient))
    assert (found[np.setdiff1d(np.arange(len(found)), rows)] == -1).all()
    for i in rows:
        before = np.flatnonzero((attacks.patient == recordings.patient[i]) & (attacks.onset <= recordings.time[i]))
        assert found[i] == (before[attacks.onset[before].argmax()] if len(before) else -1)


def test_no_attack_at_all() -> None:
    no_time = np.array([], "datetime64[s]")
    none = Attacks(
        np.array([], int), np.array([], int), no_time, no_time.astype("datetime64[D]"), np.array([], int), np.array([])
    )
    one = Recordings(np.array([4]), np.array([-1]), np.array(["2023-05-01T10:00:00"], "datetime64[s]"))
    assert latest_attack(none, one).tolist() == [-1]


def test_a_folder_in_use_is_refused(hospital: Hospital, tmp_path: Path) -> None:
    before = content(hospital.folder)
    with pytest.raises(PrecordialError, match="name a new or an empty folder"):
        make_hospital(20, 1, hospital.folder)
    assert content(hospital.folder) == before
    (tmp_path / "mine.partial").mkdir()
    (tmp_path / "mine.partial" / "thesis.txt").write_text("mine")
    with pytest.raises(PrecordialError, match="move it away"):
        make_hospital(20, 1, tmp_path / "mine")
    assert (tmp_path / "mine.partial" / "thesis.txt").exists()


def test_an_interrupted_run_leaves_no_hospital_and_can_be_repeated(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_hospital(20, 1, tmp_path / "h", progress=interrupt)
    assert not (tmp_path / "h").exists()
    (tmp_path / "h").mkdir()  # an empty folder is as good as none
    made = make_hospital(20, 1, tmp_path / "h", rate=250)
    assert not (tmp_path / "h.partial").exists()
    path = next(made.ecg.rglob("*.xml"))
    assert all(len(lead) == 2500 for lead in decode(path)[1].values())


@pytest.mark.parametrize(
    "change", [{"patients": 5}, {"seed": -1}, {"prevalence": 0.0}, {"chest_pain": 1.0}, {"silent": 1.5}]
)
def test_impossible_requests(change: dict[str, float], tmp_path: Path) -> None:
    wanted = {"patients": 30, "seed": 1, "out": tmp_path / "h", **change}
    with pytest.raises(PrecordialError):
        make_hospital(**wanted)  # type: ignore[arg-type]
    assert not any(tmp_path.iterdir())
