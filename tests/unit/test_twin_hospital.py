"""The synthetic hospital: reproducible, consistent, and with the faults that it says it has."""

from __future__ import annotations

import base64
import csv
import errno
import json
import multiprocessing
import sys
import xml.etree.ElementTree as ET
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from precordial import __version__
from precordial.cli import main
from precordial.cohort import RegistersSettings, build_cohort
from precordial.errors import REASONS, PrecordialError
from precordial.twin import Hospital, make_hospital
from precordial.twin.diagnoses import diagnoses
from precordial.twin.faults import FAULTS
from precordial.twin.people import DELAYED, Attacks, Population, Recordings, age_at, draw_population, latest_attack

PATIENTS, SEED = 60, 3
FORMATS = ("muse", "wfdb")
SUFFIX = {"muse": ".xml", "wfdb": ".hea"}
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Hospital]:
    folder = tmp_path_factory.mktemp("twin")
    return {kind: make_hospital(PATIENTS, SEED, folder / kind, format=kind, workers=1) for kind in FORMATS}


@pytest.fixture(scope="module", params=FORMATS)
def hospital(hospitals: dict[str, Hospital], request: pytest.FixtureRequest) -> Hospital:
    return hospitals[request.param]


@pytest.fixture(scope="module")
def population() -> Population:
    """Registers of a larger hospital, without waveforms."""
    return draw_population(6000, np.random.default_rng(1))


@pytest.fixture(scope="module")
def registers_of_20000(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    return make_hospital(20_000, 2, tmp_path_factory.mktemp("twin") / "hospital", registers_only=True)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def content(folder: Path) -> dict[str, int]:
    return {p.relative_to(folder).as_posix(): zlib.crc32(p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


@dataclass
class Decoded:
    """What stands in a file; `good` is whether all checksums hold."""

    leads: dict[str, np.ndarray]
    good: bool
    patient_id: str
    written: str
    age: int
    site: str
    device: str


def decode_muse(path: Path) -> Decoded:
    root = ET.parse(path).getroot()
    rhythm = next(wave for wave in root.findall("Waveform") if wave.findtext("WaveformType") == "Rhythm")
    raw = {
        lead.findtext("LeadID", ""): base64.b64decode(lead.findtext("WaveFormData", ""))
        for lead in rhythm.iter("LeadData")
    }
    sums = {lead.findtext("LeadID", ""): int(lead.findtext("LeadDataCRC32", "")) for lead in rhythm.iter("LeadData")}
    day, clock = (root.findtext(f"TestDemographics/Acquisition{what}", "") for what in ("Date", "Time"))
    return Decoded(
        leads={name: np.frombuffer(data, "<i2") for name, data in raw.items()},
        good=all(zlib.crc32(raw[name]) == sums[name] for name in raw),
        patient_id=root.findtext("PatientDemographics/PatientID", ""),
        written="" if day == "00-00-0000" else f"{datetime.strptime(f'{day} {clock}', '%m-%d-%Y %H:%M:%S')}",
        age=int(root.findtext("PatientDemographics/PatientAge", "")),
        site=root.findtext("TestDemographics/SiteName", ""),
        device=root.findtext("TestDemographics/AcquisitionDevice", ""),
    )


def decode_wfdb(path: Path) -> Decoded:
    (_, count, _, samples, *when), *rows = (line.split() for line in path.read_text().splitlines())
    lines, comments = rows[: int(count)], {row[0]: " ".join(row[1:]) for row in rows[int(count) :]}
    data = np.fromfile(path.with_name(lines[0][0]), "<i2").reshape(int(samples), len(lines)).T
    return Decoded(
        leads={line[-1]: row for line, row in zip(lines, data, strict=True)},
        good=all(int(line[6]) == int(row.sum(dtype=np.int16)) for line, row in zip(lines, data, strict=True)),
        patient_id=comments.get("#Patient:", ""),
        written=f"{datetime.strptime(' '.join(when), '%H:%M:%S %d/%m/%Y')}" if when else "",
        age=int(comments["#Age:"]),
        site=comments["#Site:"],
        device=comments["#Device:"],
    )


DECODE = {".xml": decode_muse, ".hea": decode_wfdb}


def decode(path: Path) -> Decoded:
    return DECODE[path.suffix](path)


def test_equal_seeds_give_equal_bytes(hospitals: dict[str, Hospital], tmp_path: Path) -> None:
    hospital = hospitals["muse"]
    calls: list[tuple[int, int]] = []
    again = make_hospital(PATIENTS, SEED, tmp_path / "again", progress=lambda done, total: calls.append((done, total)))
    assert content(again.folder) == content(hospital.folder)
    assert again.faults == hospital.faults
    total = hospital.ecgs - hospital.faults["duplicate"]
    assert calls[-1] == (total, total)
    other = make_hospital(PATIENTS, SEED + 1, tmp_path / "other")
    assert content(other.folder).keys() != content(hospital.folder).keys()


def test_several_processes_write_the_same_bytes(hospitals: dict[str, Hospital], tmp_path: Path) -> None:
    hospital = hospitals["wfdb"]
    assert hospital.ecgs > 128  # more than one batch, or there is one process only
    again = make_hospital(PATIENTS, SEED, tmp_path / "again", format="wfdb", workers=2)
    assert content(again.folder) == content(hospital.folder)


def test_registers_only_are_the_registers_of_the_full_hospital(hospital: Hospital, tmp_path: Path) -> None:
    made = make_hospital(PATIENTS, SEED, tmp_path / "made", registers_only=True)
    assert not any(made.ecg.iterdir())
    names = ["diagnoses.csv", "patients.csv", "visits.csv"]
    assert sorted(path.name for path in made.registers.iterdir()) == sorted([*names, "ecgs.csv"])
    for path in [*(made.registers / name for name in names), made.truth / "visits.csv"]:
        assert path.read_bytes() == (hospital.folder / path.relative_to(made.folder)).read_bytes()
    full = table(hospital.truth / "truth.csv")
    assert all(row["file"] for row in full)
    assert table(made.truth / "truth.csv") == [{**row, "file": ""} for row in full]
    unusable = {"bad-checksum", "flat-lead", "unreadable", "no-patient-id", "no-time"}
    usable = [row for row in full if row["fault"] not in unusable]
    ecgs = table(made.registers / "ecgs.csv")
    assert len({row["ecg_id"] for row in ecgs}) == len(ecgs)
    known = {(row["patient_id"], row["recorded_at"]) for row in ecgs}
    assert known == {(row["patient_id"], row["recorded_at"]) for row in usable}
    assert len(ecgs) == len(usable) - hospital.faults["duplicate"]
    assert "ECGs without files" in made.text()
    assert (made.ecgs, made.infarctions) == (hospital.ecgs, hospital.infarctions)


def test_settings_are_kept_with_the_truth(tmp_path: Path) -> None:
    given = {"chest_pain": 0.5, "prevalence": 0.2, "silent": 0.1, "clinic_ecgs": 1.5}
    given |= {"rate": 100, "format": "wfdb", "registers_only": True}
    made = make_hospital(30, 8, tmp_path / "made", **given)  # type: ignore[arg-type]
    kept = json.loads((made.truth / "settings.json").read_text())
    fixed = {"delayed": DELAYED, "made_by": f"precordial {__version__}"}
    assert kept == {"patients": 30, "seed": 8, **given, **fixed}


def test_counts(hospital: Hospital) -> None:
    assert len(table(hospital.registers / "patients.csv")) == hospital.patients == PATIENTS
    visits = table(hospital.registers / "visits.csv")
    assert len(visits) == hospital.visits
    arrivals = {(row["patient_id"], row["arrival"]) for row in visits if row["complaint"] == "chest pain"}
    assert len(arrivals) == hospital.chest_pain_visits
    truth = table(hospital.truth / "truth.csv")
    paths = {hospital.folder / row["file"] for row in truth}
    assert {path for path in hospital.ecg.rglob("*") if path.suffix in SUFFIX.values()} == paths
    assert len(paths) == hospital.ecgs == len(truth)
    for name, count in (
        ("ECG files", hospital.ecgs),
        ("patients", PATIENTS),
        ("visits with chest pain", len(arrivals)),
    ):
        assert f"{count} {name}" in hospital.text()
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
        data = path.read_bytes() + (path.with_suffix(".dat").read_bytes() if path.suffix == ".hea" else b"")
        assert (data in contents) == (kind == "duplicate")
        contents[data] = row["file"]
        found[kind] += 1
        if kind == "unreadable":
            with pytest.raises((ET.ParseError, ValueError)):
                decode(path)
            continue
        file = decode(path)
        assert file.good == (kind != "bad-checksum")
        assert any(lead.min() == lead.max() for lead in file.leads.values()) == (kind == "flat-lead")
        assert file.patient_id == ("" if kind == "no-patient-id" else row["patient_id"])
        assert file.written == ("" if kind == "no-time" else row["recorded_at"])
        when = datetime.fromisoformat(row["recorded_at"])
        folder = path.parent.relative_to(hospital.ecg).as_posix()
        assert folder.removesuffix("/copy" if kind == "duplicate" else "") == f"{when:%Y/%m}"
        true_age = (when.date() - date.fromisoformat(born[row["patient_id"]])).days / 365.25
        assert float(row["age"]) == pytest.approx(true_age, abs=1e-6)
        assert (file.age == int(true_age)) == (kind != "wrong-age")
    del found[""]
    assert found == hospital.faults
    assert set(FAULTS) - set(REASONS) == {"wrong-age"}


def test_two_sites_and_two_devices(hospital: Hospital) -> None:
    """The ECGs of other clinics come from the other site; both sites have both devices, in other shares."""
    devices: dict[str, Counter[str]] = defaultdict(Counter)
    for row in table(hospital.truth / "truth.csv"):
        if row["fault"] != "unreadable":
            file = decode(hospital.folder / row["file"])
            assert file.site == ("Emergency department" if row["visit_id"] else "Outpatient clinics")
            devices[file.site][file.device] += 1
    first, second = (devices[site] for site in ("Emergency department", "Outpatient clinics"))
    assert first.keys() == second.keys() == {"MAC55", "MAC5K"}
    assert first["MAC55"] > first["MAC5K"]
    assert second["MAC55"] < second["MAC5K"]


def test_truth_of_the_hearts(registers_of_20000: Hospital) -> None:
    """The beat parameters are those of living hearts, and what stands beside the infarctions fits them."""
    truth = pl.read_csv(registers_of_20000.truth / "truth.csv", null_values="")
    for name, low, high in (("heart_rate", 42, 140), ("pr_ms", 110, 260), ("qrs_ms", 70, 180), ("qt_ms", 260, 600)):
        assert truth[name].is_between(low, high).all(), name
    assert set(truth["bundle_branch"]) == {"none", "right", "left"}
    wide = truth.filter(pl.col("bundle_branch") != "none")["qrs_ms"]
    narrow = truth.filter(pl.col("bundle_branch") == "none")["qrs_ms"]
    assert wide.min() > narrow.max()  # type: ignore[operator]
    assert (truth["ventricular_ectopics_per_min"] >= 0).all()
    none = truth.filter(pl.col("territory") == "none")
    assert none["severity_mv"].is_null().all()
    assert none["onset"].is_null().all()
    # In the first day of an anterior infarction that shows, the ST vector points forwards, away from the back.
    onset = pl.col("onset").str.to_datetime()
    hours = (pl.col("recorded_at").str.to_datetime() - onset).dt.total_seconds() / 3600
    anterior = truth.filter(
        (pl.col("territory") == "anterior") & (pl.col("severity_mv") > 0.1) & hours.is_between(1, 24)
    )
    assert len(anterior) > 100
    assert anterior["st_z_mv"].mean() < none["st_z_mv"].mean() - 0.05  # type: ignore[operator]


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


@pytest.mark.parametrize("prevalence", [0.058, 0.4])
def test_prevalence_is_as_asked_for(prevalence: float, tmp_path: Path) -> None:
    made = make_hospital(20_000, 11, tmp_path / "h", prevalence=prevalence, registers_only=True)
    n = made.chest_pain_visits
    assert made.infarctions / n == pytest.approx(prevalence, abs=3 * np.sqrt(prevalence * (1 - prevalence) / n))


def test_risk_and_delay_of_the_visits(registers_of_20000: Hospital) -> None:
    """The risk is calibrated, in men and women and in every tenth of it; who comes days later is marked."""
    register = pl.read_csv(registers_of_20000.registers / "visits.csv").select("visit_id", "complaint", "arrival")
    patients = pl.read_csv(registers_of_20000.registers / "patients.csv")
    truth = pl.read_csv(registers_of_20000.truth / "visits.csv").join(register, on="visit_id")
    truth = truth.join(patients, on="patient_id").with_columns(struck=pl.col("territory") != "none")
    chest = truth.filter(pl.col("complaint") == "chest pain").with_columns(
        tenth=pl.col("risk").rank("ordinal") * 10 // pl.len()
    )
    assert chest["risk"].mean() == pytest.approx(0.15, abs=1e-4)
    for group in ("tenth", "sex", "complaint"):
        rows = truth if group == "complaint" else chest
        for _, part in rows.group_by(group):
            risk = part["risk"].to_numpy()
            spread = np.sqrt((risk * (1 - risk)).sum())
            assert part["struck"].sum() == pytest.approx(risk.sum(), abs=4 * spread)
    one = chest.group_by("patient_id").agg(pl.col("risk").n_unique())
    assert one["risk"].max() == 1  # sex and the age of the heart decide
    late = truth.filter("struck").with_columns(
        after=pl.col("onset").str.to_datetime() > pl.col("arrival").str.to_datetime()
    )
    assert late["delayed"].cast(pl.Boolean).equals(late["after"].alias("delayed"))
    assert late["delayed"].mean() == pytest.approx(DELAYED, abs=4 * np.sqrt(DELAYED / len(late)))
    assert truth.filter(~pl.col("struck"))["delayed"].sum() == 0


def test_a_cohort_without_files(registers_of_20000: Hospital) -> None:
    """truth.csv serves as the index of ECGs that a cohort is built from."""
    hospital = registers_of_20000
    given = {
        "complaint": ["chest pain"],
        "visits": {"file": "visits.csv", "columns": {"discharge": "discharge"}},
        "diagnoses": {"file": "diagnoses.csv"},
        "patients": {"file": "patients.csv", "columns": {"birth_date": "birth_date", "sex": "sex"}},
    }
    ecgs = pl.read_csv(hospital.truth / "truth.csv", try_parse_dates=True).select(
        pl.int_range(pl.len()).cast(pl.String).alias("ecg_id"),
        "patient_id",
        "recorded_at",
        "age",
        (pl.col("sex") == "female").cast(pl.Float64),
        pl.lit("").alias("source"),
    )
    cohort = build_cohort(RegistersSettings.model_validate(given).resolve(hospital.registers), ecgs)
    target = cohort.select(role="target")
    label = {row["visit_id"]: int(row["infarction"]) for row in table(hospital.truth / "visits.csv")}
    assert [label[visit] for visit in target.visit_id.tolist()] == target.label.astype(int).tolist()
    assert len(target) > 0.75 * hospital.chest_pain_visits
    assert cohort.flow["target/complaint"].visits == hospital.chest_pain_visits


def test_diagnoses_of_every_kind(population: Population) -> None:
    visits, attacks = population.visits, population.attacks
    patient, code, day = diagnoses(visits, attacks, np.random.default_rng(4))
    assert np.all(np.diff(day.astype(int)) >= 0)
    arrivals = set(zip(visits.patient.tolist(), visits.arrival.astype("datetime64[D]").tolist(), strict=True))
    heart = np.char.startswith(code, "I21")
    old = code == "I25.2"
    rows = list(zip(patient.tolist(), day.tolist(), strict=True))
    assert all(row in arrivals for row, is_heart in zip(rows, heart, strict=True) if not is_heart)
    # Every attack within the registers stands there on its day, and nothing else does but a second coding of it.
    known = ~np.isnat(attacks.day)
    mine = set(zip(attacks.patient[known].tolist(), attacks.day[known].tolist(), strict=True))
    written = [row for row, is_heart in zip(rows, heart, strict=True) if is_heart]
    assert mine <= set(written)
    again = len(written) - known.sum()
    assert again / known.sum() == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / known.sum()))
    # An infarction from before is coded once, when the patient first comes.
    assert sorted(patient[old]) == sorted(attacks.patient[~known])
    for who, when in zip(patient[old], day[old], strict=True):
        assert when == visits.arrival[visits.patient == who].min().astype("datetime64[D]")


def test_population_is_as_asked_for(population: Population) -> None:
    patients, visits, attacks = population.patients, population.visits, population.attacks
    assert patients.chest_pain.mean() == pytest.approx(0.38, abs=0.0001)
    chest = visits.complaint == 0
    assert set(visits.patient[chest]) == set(np.flatnonzero(patients.chest_pain))
    struck = np.isin(np.arange(len(chest)), attacks.visit)
    n = chest.sum()
    assert struck[chest].mean() == pytest.approx(0.15, abs=4 * np.sqrt(0.15 * 0.85 / n))
    silent = attacks.severity[attacks.onset > np.datetime64("2022-06-01")] == 0  # old ones are known by their traces
    assert silent.mean() == pytest.approx(0.43, abs=4 * np.sqrt(0.43 * 0.57 / len(silent)))
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


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_run_leaves_no_hospital_and_can_be_repeated(workers: int, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_hospital(PATIENTS, 1, tmp_path / "h", progress=interrupt, workers=workers)
    assert not any(tmp_path.iterdir())
    assert not multiprocessing.active_children()
    (tmp_path / "h").mkdir()  # an empty folder is as good as none
    (tmp_path / "h.partial" / "ecg").mkdir(parents=True)  # and what a kill left there is in nobody's way
    made = make_hospital(20, 1, tmp_path / "h", rate=100)
    assert [path.name for path in tmp_path.iterdir()] == ["h"]
    path = next(made.ecg.rglob("*.xml"))
    assert all(len(lead) == 1000 for lead in decode(path).leads.values())


@pytest.mark.skipif(
    sys.version_info < (3, 11, 7), reason="older Pythons may wait for ever for a killed worker (gh-94777)"
)
def test_a_killed_worker_is_said(tmp_path: Path) -> None:
    def kill(done: int, total: int) -> None:
        for process in multiprocessing.active_children():
            process.kill()

    with pytest.raises(PrecordialError, match="ended unexpectedly"):
        make_hospital(300, 1, tmp_path / "h", progress=kill, workers=2)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_is_said(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(self: Path, data: bytes) -> int:
        raise OSError(code, "what the system says", str(self))

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(PrecordialError if code == errno.ENOSPC else OSError, match=r"disk is full|the system says"):
        make_hospital(20, 1, tmp_path / "h")
    assert not any(tmp_path.iterdir())


IMPOSSIBLE = [
    {"patients": 5},
    {"seed": -1},
    {"prevalence": 0.0},
    {"chest_pain": 1.0},
    {"chest_pain": float("nan")},
    {"silent": 1.5},
    {"rate": 250},
]


@pytest.mark.parametrize("change", [*IMPOSSIBLE, {"format": "dicom"}, {"workers": 0}])
def test_impossible_requests(change: dict[str, Any], tmp_path: Path) -> None:
    wanted = {"patients": 30, "seed": 1, "out": tmp_path / "h", **change}
    with pytest.raises(PrecordialError):
        make_hospital(**wanted)
    assert not any(tmp_path.iterdir())


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["precordial", "twin", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def test_the_command_hands_everything_on(command: Command, tmp_path: Path) -> None:
    given = {"patients": 30, "seed": 8, "chest-pain": 0.5, "prevalence": 0.2, "silent": 0.1, "rate": 100}
    words = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    code, out, err = command("--out", tmp_path / "c", *words, "--format", "wfdb", "--workers", "1")
    assert (code, err) == (0, "")
    assert out.startswith(f"{tmp_path / 'c'}: 30 patients")
    wanted = {name.replace("-", "_"): value for name, value in given.items()}
    made = make_hospital(**wanted, format="wfdb", out=tmp_path / "p")  # type: ignore[arg-type]
    assert content(tmp_path / "c") == content(made.folder)
    code, out, err = command("--out", tmp_path / "r", *words, "--registers-only")
    assert (code, err) == (0, "")
    assert not any((tmp_path / "r" / "ecg").iterdir())


@pytest.mark.parametrize("change", IMPOSSIBLE)
def test_the_command_says_in_one_line_what_is_wrong(change: dict[str, Any], command: Command, tmp_path: Path) -> None:
    words = [word for name, value in change.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    code, out, err = command("--out", tmp_path / "h", *words)
    assert (code, out) == (2, "")
    assert err.startswith("precordial: ")
    assert err.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_the_command_names_a_folder_in_use(command: Command, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    code, out, err = command("--out", tmp_path)
    assert (code, out) == (2, "")
    assert err == f"precordial: {tmp_path}: there is something here already; name a new or an empty folder\n"


@pytest.mark.parametrize(("option", "value"), [("--format", "dicom"), ("--workers", "0"), ("--rate", "fast")])
def test_the_command_knows_its_options(option: str, value: str, command: Command, tmp_path: Path) -> None:
    code, out, err = command("--out", tmp_path / "h", option, value)
    assert (code, out) == (2, "")
    assert f"Invalid value for '{option}'" in err
    assert not any(tmp_path.iterdir())


def test_the_command_stopped_says_that_nothing_is_kept(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> Hospital:
        raise KeyboardInterrupt

    monkeypatch.setattr("precordial.twin.make_hospital", interrupted)
    code, _, err = command("--out", tmp_path / "h")
    assert code == 130
    assert "nothing of the unfinished hospital is kept" in err
    assert "goes on from there" not in err
