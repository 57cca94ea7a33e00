"""A synthetic hospital on disk, as a user would have one: ECG files in dated folders, and registers as CSV."""

from __future__ import annotations

import csv
import math
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from precordial.errors import PrecordialError
from precordial.twin.heart import TERRITORIES, Infarctions, beats, draw_persons
from precordial.twin.muse_writer import Header, muse_xml, to_units
from precordial.twin.people import (
    COMPLAINTS,
    OPENS,
    Population,
    age_at,
    diagnoses,
    draw_population,
    infarction_within,
    latest_attack,
)
from precordial.twin.signal import record

FOLDERS = ("ecg", "registers", "truth")
BATCH = 128  # ECGs from one random stream; part of what a seed means
# Planted faults and the share of the ECGs that has each; at least one of each kind. The names are the reasons of
# precordial.errors where the file becomes unusable; a wrong age stands in the header of a usable file.
FAULTS = {
    "bad-checksum": 0.004,
    "flat-lead": 0.004,
    "unreadable": 0.003,
    "no-patient-id": 0.003,
    "no-time": 0.002,
    "duplicate": 0.004,
    "wrong-age": 0.01,
}
ATTACK = ("territory", "severity_mv", "onset")  # severity 0: silent; an onset after the ECG: not yet there
VISIT_TRUTH = ("visit_id", "patient_id", "infarction", *ATTACK)
ECG_TRUTH = (
    *("file", "patient_id", "visit_id", "recorded_at", "age", "sex", *ATTACK),
    *("early_repolarisation_mv", "hypertrophy", "heart_rate", "pr_ms", "qrs_ms", "qt_ms", "axis_deg", "fault"),
)


@dataclass(frozen=True)
class Hospital:
    """What `make_hospital` made.

    Attributes:
        folder: all of it. ecg: the files. registers: visits.csv, diagnoses.csv and patients.csv.
        truth: truth.csv (one row per ECG file) and visits.csv (one per visit): not for the study to see.
        patients: number of patients. visits: rows of visits.csv. ecgs: number of files.
        chest_pain_visits: those with this complaint, each arrival counted once.
        infarctions: chest-pain visits with an I21 from the day of arrival to 30 days after.
        faults: files with each planted fault, see `FAULTS`.
    """

    folder: Path
    ecg: Path
    registers: Path
    truth: Path
    patients: int
    visits: int
    ecgs: int
    chest_pain_visits: int
    infarctions: int
    faults: dict[str, int]


def make_hospital(
    patients: int,
    seed: int,
    out: str | Path,
    *,
    chest_pain: float = 0.38,
    prevalence: float = 0.15,
    silent: float = 0.25,
    rate: int = 500,
    progress: Callable[[int, int], None] | None = None,
) -> Hospital:
    """Write a hospital.

    Everything is a function of the arguments: equal ones give equal files, byte for byte, on one machine.
    The folder appears only when it is complete.

    Args:
        patients: how many; about 2.9 ECGs each.
        seed: not negative.
        out: the new folder; it must not exist, or be empty.
        chest_pain: share of the patients who come with chest pain.
        prevalence: infarctions within 30 days among chest-pain visits (the paper's are 0.058).
        silent: share of the infarctions that no ECG shows.
        rate: samples per second of the ECGs.
        progress: called with (files written, files in all).

    Raises:
        PrecordialError: the folder is in use, or a number is out of range.
    """
    out = Path(out)
    if patients < 20 or seed < 0:
        raise PrecordialError("a hospital needs at least 20 patients and a seed of 0 or more")
    if not all(0 < share < 1 for share in (chest_pain, prevalence)) or not 0 <= silent <= 1:
        raise PrecordialError("chest_pain and prevalence are shares between 0 and 1, silent from 0 to 1")
    partial = _empty(out)
    for name in FOLDERS:
        (partial / name).mkdir(parents=True)
    rng = np.random.default_rng([seed, 0])
    population = draw_population(patients, rng, chest_pain=chest_pain, prevalence=prevalence, silent=silent)
    rows = _write_registers(partial, population, rng)
    faults = _write_ecgs(partial, population, seed, rate, progress)
    if out.exists():
        out.rmdir()
    partial.rename(out)
    chest = population.visits.complaint == 0
    return Hospital(
        folder=out,
        ecg=out / "ecg",
        registers=out / "registers",
        truth=out / "truth",
        patients=patients,
        visits=rows,
        ecgs=len(population.recordings.time) + faults["duplicate"],
        chest_pain_visits=int(chest.sum()),
        infarctions=int(infarction_within(population.visits, population.attacks)[chest].sum()),
        faults=faults,
    )


def _empty(out: Path) -> Path:
    """The folder to write into, beside the final one; what an interrupted run left there is removed."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise PrecordialError("there is something here already", file=out, remedy="name a new or an empty folder")
    partial = out.with_name(out.name + ".partial")
    if partial.exists():
        if not partial.is_dir() or not {path.name for path in partial.iterdir()} <= set(FOLDERS):
            raise PrecordialError("this is no unfinished hospital", file=partial, remedy="move it away")
        shutil.rmtree(partial)
    return partial


def _write_registers(folder: Path, population: Population, rng: np.random.Generator) -> int:
    """Write the three registers and the truth about the visits; return the rows of visits.csv."""
    patients, visits, attacks = population.patients, population.visits, population.attacks
    registers, v = folder / "registers", len(visits.patient)
    sex = np.where(patients.female, "female", "male")
    people = zip(patients.id, patients.born, sex, strict=True)
    _csv(registers / "patients.csv", ("patient_id", "birth_date", "sex"), people)

    ids = [f"V{i:07d}" for i in range(1, v + 1)]
    who, what = patients.id[visits.patient], [COMPLAINTS[i] for i in visits.complaint]
    table = list(zip(ids, who, map(_time, visits.arrival), map(_time, visits.discharge), what, strict=True))
    # A few arrivals were registered twice, the second time with an earlier discharge.
    for k, i in enumerate(np.sort(rng.choice(v, math.ceil(0.003 * v), replace=False)), start=1):
        early = visits.arrival[i] + (visits.discharge[i] - visits.arrival[i]) // 2
        table.append((f"V{v + k:07d}", who[i], _time(visits.arrival[i]), _time(early), what[i]))
    _csv(registers / "visits.csv", ("visit_id", "patient_id", "arrival", "discharge", "complaint"), table)

    patient, code, day = diagnoses(visits, attacks, rng)
    found = zip(patients.id[patient], code, day, strict=True)
    _csv(registers / "diagnoses.csv", ("patient_id", "code", "date"), found)

    struck = {int(visit): k for k, visit in enumerate(attacks.visit) if visit >= 0}
    label = infarction_within(visits, attacks).astype(int)
    truth = []
    for i in range(v):
        k = struck.get(i)
        attack = ("none", "", "") if k is None else _attack(population, k)
        truth.append((ids[i], who[i], label[i], *attack))
    _csv(folder / "truth" / "visits.csv", VISIT_TRUTH, truth)
    return len(table)


def _write_ecgs(
    folder: Path, population: Population, seed: int, rate: int, progress: Callable[[int, int], None] | None
) -> dict[str, int]:
    """Write every ECG with its planted fault, and truth.csv; return the number of files with each fault."""
    patients, attacks, recordings = population.patients, population.attacks, population.recordings
    rng = np.random.default_rng([seed, 1])
    opening_age = age_at(patients.born, np.full(len(patients.id), OPENS))
    persons = draw_persons(opening_age, patients.female, rng)
    n = len(recordings.time)
    fault = _plant(n, rng)
    age = age_at(patients.born[recordings.patient], recordings.time)
    attack = latest_attack(attacks, recordings)
    rows: list[tuple[object, ...]] = []
    for first in range(0, n, BATCH):
        part = np.arange(first, min(first + BATCH, n))
        rng = np.random.default_rng([seed, 2, first])
        who = recordings.patient[part]
        own, k = persons.take(who), attack[part]
        infarctions = Infarctions(
            np.where(k >= 0, attacks.territory[k], 0).astype(np.int8),
            np.where(k >= 0, attacks.severity[k], 0).astype(np.float32),
            ((recordings.time[part] - attacks.onset[k]).astype(int) / 3600).astype(np.float32),
        )
        stress = np.where(recordings.visit[part] >= 0, rng.normal(9, 6, len(part)), 0)  # pain, fever, fear
        heart = beats(age[part], patients.female[who], own, infarctions, rng, stress)
        signal, template = record(heart, own, rng, rate=rate)
        rhythm, median = to_units(signal), to_units(template)
        for j, i in enumerate(part):
            kind = fault[i]
            when: datetime = recordings.time[i].astype(datetime)
            name = f"ecg/{when:%Y/%m}/MUSE_{when:%Y%m%d_%H%M%S}_{i:06d}.xml"
            header = Header(
                patient_id="" if kind == "no-patient-id" else str(patients.id[who[j]]),
                recorded_at=None if kind == "no-time" else when,
                age=_wrong(int(age[i]), rng) if kind == "wrong-age" else int(age[i]),
                sex="FEMALE" if patients.female[who[j]] else "MALE",
                heart_rate=float(heart.heart_rate[j]),
                pr=float(heart.pr[j]),
                qrs=float(heart.qrs[j]),
                qt=float(heart.qt[j]),
                axis=float(heart.axis[j]),
            )
            if kind == "flat-lead":
                rhythm[j, rng.integers(8)] = 0
            data = muse_xml(rhythm[j], median[j], header, rate)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(_damage(data, kind))
            truth = (
                patients.id[who[j]],
                f"V{recordings.visit[i] + 1:07d}" if recordings.visit[i] >= 0 else "",
                _time(recordings.time[i]),
                f"{age[i]:.2f}",
                header.sex.lower(),
                *(_attack(population, k[j]) if k[j] >= 0 else ("none", "", "")),
                f"{own.early_repolarisation[j]:.3f}",
                f"{own.hypertrophy[j]:.2f}",
                *(f"{value:.1f}" for value in (header.heart_rate, header.pr, header.qrs, header.qt, header.axis)),
            )
            rows.append((name, *truth, "" if kind == "duplicate" else kind))
            if kind == "duplicate":
                copy = name.replace(".xml", "_copy.xml")
                (folder / copy).write_bytes(data)
                rows.append((copy, *truth, kind))
        if progress is not None:
            progress(int(part[-1]) + 1, n)
    _csv(folder / "truth" / "truth.csv", ECG_TRUTH, rows)
    return {kind: int((fault == kind).sum()) for kind in FAULTS}


def _plant(n: int, rng: np.random.Generator) -> NDArray[np.str_]:
    """Which fault each of n ECGs gets; "" for none."""
    fault = np.full(n, "", dtype="U16")
    places = iter(rng.permutation(n))
    for kind, share in FAULTS.items():
        for _ in range(math.ceil(share * n)):
            fault[next(places)] = kind
    return fault


def _wrong(age: int, rng: np.random.Generator) -> int:
    """An age that is wrong by 12 to 40 years, or 0."""
    return max(age + int(rng.integers(12, 41)) * int(rng.choice((-1, 1))), 0)


def _damage(data: bytes, kind: str) -> bytes:
    """The file as it came off the disk."""
    if kind == "unreadable":
        return data[: len(data) * 6 // 10]
    if kind == "bad-checksum":  # one character in the last lead of the Rhythm
        place = data.rindex(b"<WaveFormData>") + 2000
        place += data[place : place + 1] == b"\n"
        return data[:place] + (b"B" if data[place : place + 1] == b"A" else b"A") + data[place + 1 :]
    return data


def _attack(population: Population, row: int) -> tuple[str, str, str]:
    """Territory, severity and onset of an infarction, for the truth."""
    attacks = population.attacks
    return TERRITORIES[attacks.territory[row]], f"{attacks.severity[row]:.3f}", _time(attacks.onset[row])


def _time(time: np.datetime64) -> str:
    """A time as registers write it."""
    return str(time).replace("T", " ")


def _csv(path: Path, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
