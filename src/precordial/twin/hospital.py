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

from precordial.errors import PrecordialError
from precordial.twin.diagnoses import diagnoses, infarction_within
from precordial.twin.faults import FAULTS, damage, plant, spoil
from precordial.twin.heart import TERRITORIES, Beats, Infarctions, beats
from precordial.twin.muse_writer import Header, muse_xml, to_units
from precordial.twin.people import (
    COMPLAINTS,
    OPENS,
    Population,
    Rows,
    age_at,
    draw_population,
    latest_attack,
)
from precordial.twin.persons import draw_persons
from precordial.twin.signal import record

FOLDERS = ("ecg", "registers", "truth")
BATCH = 128  # ECGs from one random stream; part of what a seed means
ATTACK = ("territory", "severity_mv", "onset")  # severity 0: silent
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

    def text(self) -> str:
        """What was made, in a few lines."""
        faults = ", ".join(f"{count} {name}" for name, count in sorted(self.faults.items()))
        return (
            f"{self.folder}: {self.patients:,} patients, {self.visits:,} visits, {self.ecgs:,} ECG files\n"
            f"{self.chest_pain_visits:,} visits with chest pain, {self.infarctions:,} of them with an infarction "
            f"within 30 days\nplanted faults: {faults}"
        )


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
        patients: how many; about 3.4 ECGs each, of 136 kB.
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
    rows, infarctions = _write_registers(partial, population, rng)
    faults = _write_ecgs(partial, population, seed, rate, progress)
    if out.exists():
        out.rmdir()
    partial.rename(out)
    return Hospital(
        folder=out,
        ecg=out / "ecg",
        registers=out / "registers",
        truth=out / "truth",
        patients=patients,
        visits=rows,
        ecgs=len(population.recordings.time) + faults["duplicate"],
        chest_pain_visits=int((population.visits.complaint == 0).sum()),
        infarctions=infarctions,
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


def _write_registers(folder: Path, population: Population, rng: np.random.Generator) -> tuple[int, int]:
    """Write the three registers and the truth about the visits.

    Returns:
        Rows of visits.csv, and the chest-pain visits with an infarction.
    """
    patients, visits, attacks = population.patients, population.visits, population.attacks
    registers, v = folder / "registers", len(visits.patient)
    sex = np.where(patients.female, "female", "male")
    people = zip(patients.id, patients.born, sex, strict=True)
    _csv(registers / "patients.csv", ("patient_id", "birth_date", "sex"), people)

    ids = [_visit_id(i) for i in range(v)]
    who, what = patients.id[visits.patient], [COMPLAINTS[i] for i in visits.complaint]
    table = list(zip(ids, who, map(_time, visits.arrival), map(_time, visits.discharge), what, strict=True))
    # A few arrivals were registered twice, the second time with an earlier discharge.
    for k, i in enumerate(np.sort(rng.choice(v, math.ceil(0.003 * v), replace=False))):
        early = visits.arrival[i] + (visits.discharge[i] - visits.arrival[i]) // 2
        table.append((_visit_id(v + k), who[i], _time(visits.arrival[i]), _time(early), what[i]))
    _csv(registers / "visits.csv", ("visit_id", "patient_id", "arrival", "discharge", "complaint"), table)

    patient, code, day = diagnoses(visits, attacks, rng)
    found = zip(patients.id[patient], code, day, strict=True)
    _csv(registers / "diagnoses.csv", ("patient_id", "code", "date"), found)

    struck = {int(visit): k for k, visit in enumerate(attacks.visit) if visit >= 0}
    label = infarction_within(visits, patient, code, day)
    truth = [(ids[i], who[i], int(label[i]), *_attack(population, struck.get(i, -1))) for i in range(v)]
    _csv(folder / "truth" / "visits.csv", VISIT_TRUTH, truth)
    return len(table), int(label[visits.complaint == 0].sum())


def _write_ecgs(
    folder: Path, population: Population, seed: int, rate: int, progress: Callable[[int, int], None] | None
) -> dict[str, int]:
    """Write every ECG with its planted fault, and truth.csv; return the number of files with each fault."""
    patients, attacks, recordings = population.patients, population.attacks, population.recordings
    rng = np.random.default_rng([seed, 1])
    opening_age = age_at(patients.born, np.full(len(patients.id), OPENS))
    persons = draw_persons(opening_age, patients.female, rng)
    n = len(recordings.time)
    fault = plant(n, rng)
    age = age_at(patients.born[recordings.patient], recordings.time)
    attack = latest_attack(attacks, recordings)
    rows: list[tuple[object, ...]] = []
    for first in range(0, n, BATCH):
        part = np.arange(first, min(first + BATCH, n))
        rng = np.random.default_rng([seed, 2, first])
        who = recordings.patient[part]
        own, k = persons.take(who), attack[part]
        infarctions = _infarctions(population, part, k)
        stress = np.where(recordings.visit[part] >= 0, rng.normal(9, 6, len(part)), 0)  # pain, fever, fear
        heart = beats(age[part], patients.female[who], own, infarctions, rng, stress)
        signal, template = record(heart, own, rng, rate=rate)
        rhythm, median = to_units(signal), to_units(template)
        for j, i in enumerate(part):
            kind = str(fault[i])
            when: datetime = recordings.time[i].astype(datetime)
            header = _header(heart, j, str(patients.id[who[j]]), when, int(age[i]), bool(patients.female[who[j]]))
            truth = (
                *(header.patient_id, _visit_id(recordings.visit[i]), _time(recordings.time[i])),
                *(f"{age[i]:.2f}", header.sex.lower(), *_attack(population, k[j])),
                *(f"{own.early_repolarisation[j]:.3f}", f"{own.hypertrophy[j]:.2f}"),
                *(f"{value:.1f}" for value in (header.heart_rate, header.pr, header.qrs, header.qt, header.axis)),
            )
            if kind == "flat-lead":
                rhythm[j, rng.integers(8)] = 0
            data = damage(muse_xml(rhythm[j], median[j], spoil(header, kind, rng), rate), kind)
            month = folder / "ecg" / f"{when:%Y}" / f"{when:%m}"
            month.mkdir(parents=True, exist_ok=True)
            name = f"MUSE_{when:%Y%m%d_%H%M%S}_{i:06d}"
            copies = (("", ""), ("_copy", kind)) if kind == "duplicate" else (("", kind),)
            for suffix, noted in copies:
                path = month / f"{name}{suffix}.xml"
                path.write_bytes(data)
                rows.append((path.relative_to(folder).as_posix(), *truth, noted))
        if progress is not None:
            progress(int(part[-1]) + 1, n)
    _csv(folder / "truth" / "truth.csv", ECG_TRUTH, rows)
    return {kind: int((fault == kind).sum()) for kind in FAULTS}


def _header(heart: Beats, row: int, patient_id: str, when: datetime, age: int, female: bool) -> Header:
    """What the device writes beside the waveforms."""
    return Header(
        patient_id=patient_id,
        recorded_at=when,
        age=age,
        sex="FEMALE" if female else "MALE",
        heart_rate=float(heart.heart_rate[row]),
        pr=float(heart.pr[row]),
        qrs=float(heart.qrs[row]),
        qt=float(heart.qt[row]),
        axis=float(heart.axis[row]),
    )


def _infarctions(population: Population, recording: Rows, attack: Rows) -> Infarctions:
    """What has happened to the hearts of these ECGs; attack -1 is nothing."""
    if not len(population.attacks.onset):
        return Infarctions.none(len(recording))
    territory, severity = population.attacks.territory[attack], population.attacks.severity[attack]
    since = population.recordings.time[recording] - population.attacks.onset[attack]
    return Infarctions(
        np.where(attack >= 0, territory, 0).astype(np.int8),
        np.where(attack >= 0, severity, 0).astype(np.float32),
        (since.astype(int) / 3600).astype(np.float32),
    )


def _attack(population: Population, row: int) -> tuple[str, str, str]:
    """Territory, severity and onset of an infarction, for the truth; row -1 is none."""
    if row < 0:
        return "none", "", ""
    attacks = population.attacks
    return TERRITORIES[attacks.territory[row]], f"{attacks.severity[row]:.3f}", _time(attacks.onset[row])


def _visit_id(row: int) -> str:
    """A visit's id; empty for row -1."""
    return f"V{row + 1:07d}" if row >= 0 else ""


def _time(time: np.datetime64) -> str:
    """A time as registers write it."""
    return str(time).replace("T", " ")


def _csv(path: Path, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
