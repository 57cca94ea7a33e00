"""MIMIC-IV-ECG, MIMIC-IV-ED and the hosp module of MIMIC-IV: the tables' own columns, gzipped as they are published."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

from public_sets.signals import write_record

COLUMNS = {
    "mimic-iv-ed/ed/edstays": "subject_id,hadm_id,stay_id,intime,outtime,gender,race,arrival_transport,disposition",
    "mimic-iv-ed/ed/triage": (
        "subject_id,stay_id,temperature,heartrate,resprate,o2sat,sbp,dbp,pain,acuity,chiefcomplaint"
    ),
    "mimic-iv-ed/ed/diagnosis": "subject_id,stay_id,seq_num,icd_code,icd_version,icd_title",
    "mimic-iv/hosp/admissions": (
        "subject_id,hadm_id,admittime,dischtime,deathtime,admission_type,admit_provider_id,admission_location,"
        "discharge_location,insurance,language,marital_status,race,edregtime,edouttime,hospital_expire_flag"
    ),
    "mimic-iv/hosp/diagnoses_icd": "subject_id,hadm_id,seq_num,icd_code,icd_version",
    "mimic-iv/hosp/patients": "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod",
    "mimic-iv-ecg/record_list": "subject_id,study_id,file_name,ecg_time,path",
}


@dataclass(frozen=True)
class Story:
    """What happens to a patient: a visit with a complaint, an ECG some minutes after arrival, admissions.

    Attributes:
        complaint: as written by the triage nurse; None: no visit.
        ecg: minutes from the arrival; None: the only ECG is of the year before.
        admissions: days from the arrival, ICD code, its version; day 0 is the visit's own admission.
        outcome: what the study must find: 1, 0, or None for a patient who is no target.
        source: whether the ECG is one of the source.
        event: days from the arrival to the event of an outcome of 1.
        died: days from the arrival.
        triage: whether the visit stands in the triage table.
    """

    complaint: str | None
    ecg: int | None
    admissions: tuple[tuple[int, str, int], ...] = ()
    outcome: int | None = None
    source: bool = False
    event: int = 0
    died: int | None = None
    triage: bool = True


STORIES = {
    "infarction": Story("CHEST PAIN", 12, ((0, "I2102", 10),), 1),
    "one of several complaints": Story("Dyspnea, Chest pain, N/V", 5, (), 0),
    "infarction within 30 days": Story('"CHEST PAIN" - R/O MI', 20, ((30, "I214", 10),), 1, event=30),
    "infarction too late": Story("Chest pain", 40, ((31, "I214", 10),), 0),
    "infarction of the year before": Story("Chest pain", 0, ((-365, "I214", 10),), 0),
    "infarction by ICD-9": Story("L CHEST PAIN", 15, ((0, "41071", 9),), 1),
    "old infarction, ICD-9's 412 and ICD-10's I25.2": Story("Chest pain", 8, ((0, "412", 9), (2, "I252", 10)), 0),
    "no ECG at the visit": Story("Chest pain", None, ((0, "I2109", 10),), None, True),
    "another complaint": Story("Abd pain", 10, ((0, "K8020", 10),), None, True),
    "no complaint": Story("", 10, (), None, True),
    "no visit": Story(None, 0),
    "two infarctions": Story("Chest pressure/SOB", 3, ((20, "I219", 10), (5, "I2119", 10)), 1, event=5, died=21),
    "only a later episode of care, ICD-9": Story("Chest tightness", 30, ((0, "41072", 9),), 0),
    "ECG as the window ends": Story("chest pain", 180, (), 0),
    "ECG after the window": Story("Chest pain", 181, ((0, "I214", 10),), None, True),
    "ECG as the window begins": Story("CHEST PAIN", -120, ((0, "I10", 10),), 0),
    "ECG before the window": Story("Chest pain", -121, (), None, True),
    "dead without an infarction": Story("Chest pain, Syncope", 7, ((0, "I469", 10),), 0, died=0),
    "other pain of the chest": Story("CHEST WALL PAIN", 7, ((0, "I214", 10),), None, True),
    "no row in the triage table": Story("Chest pain", 10, ((0, "I214", 10),), None, True, triage=False),
}


@dataclass
class Answers:
    """By visit its outcome, the day of its event, its patient and the patient's age; the patients of the source.

    `deaths` are the days of death of target patients, by visit.
    """

    outcome: dict[str, int] = field(default_factory=dict)
    events: dict[str, date] = field(default_factory=dict)
    deaths: dict[str, date] = field(default_factory=dict)
    patients: dict[str, str] = field(default_factory=dict)
    ages: dict[str, int] = field(default_factory=dict)
    source: set[str] = field(default_factory=set)


def write_mimic(folder: Path, each: int = 2, *, waveforms: bool = True) -> Answers:
    """`each` patients for every story, in an order that is not that of their ids."""
    rows: dict[str, list[list[object]]] = {name: [] for name in COLUMNS}
    answers = Answers()
    for number in range(each * len(STORIES)):
        story = list(STORIES.values())[number % len(STORIES)]
        _write_patient(folder, number, story, rows, answers, waveforms)
    for name, header in COLUMNS.items():
        text = "\n".join([header, *(",".join(_cell(cell) for cell in row) for row in reversed(rows[name]))]) + "\n"
        path = folder / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == "mimic-iv-ecg/record_list":
            path.write_text(text)
        else:
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(text.encode()))
    return answers


def _write_patient(
    folder: Path, number: int, story: Story, rows: dict[str, list[list[object]]], answers: Answers, waveforms: bool
) -> None:
    subject, stay, study, first = 10_000_000 + 37 * number, 39_000_000 - number, 40_000_000 + number, 20_000_000
    arrival = datetime(
        2110 + number % 70, 1 + number % 12, 1 + number % 28, number % 20, 30
    )  # admitted on the same day
    sex = "FM"[number % 2]
    anchor_age, anchor_year = 40 + number % 40, arrival.year - number % 3
    dead = None if story.died is None else arrival + timedelta(days=story.died, hours=4)
    rows["mimic-iv/hosp/patients"].append(
        [subject, sex, anchor_age, anchor_year, "2014 - 2016", dead.date() if dead else ""]
    )
    own = ""
    for place, (days, code, version) in enumerate(story.admissions):
        hospital = first + 10 * number + place
        admitted = arrival + timedelta(days=days, hours=3)
        own = str(hospital) if days == 0 and not own else own
        times = [admitted, admitted + timedelta(days=3), dead or ""]
        kind = ["EW EMER.", "P001AB", "EMERGENCY ROOM", "HOME", "Medicare", "English", "MARRIED", "WHITE", "", ""]
        rows["mimic-iv/hosp/admissions"].append([subject, hospital, *times, *kind, int(bool(dead))])
        for position, diagnosis in enumerate(("I10" if version == 10 else "4019", code), 1):
            rows["mimic-iv/hosp/diagnoses_icd"].append([subject, hospital, position, diagnosis, version])
    if story.complaint is not None:
        leaves = arrival + timedelta(hours=6)
        disposition = "ADMITTED" if own else "HOME"
        rows["mimic-iv-ed/ed/edstays"].append(
            [subject, own, stay, arrival, leaves, sex, "WHITE", "AMBULANCE", disposition]
        )
        if story.triage:
            vital_signs = [98.1, 88.0, 16.0, 99.0, 132.0, 81.0]
            rows["mimic-iv-ed/ed/triage"].append([subject, stay, *vital_signs, 7, 2.0, story.complaint])
        rows["mimic-iv-ed/ed/diagnosis"].append([subject, stay, 1, "R079", 10, "Chest pain, unspecified"])
    time = arrival + (timedelta(days=-365) if story.ecg is None else timedelta(minutes=story.ecg))
    path = f"files/p{subject // 10_000}/p{subject}/s{study}/{study}"
    rows["mimic-iv-ecg/record_list"].append([subject, study, study, time, path])
    if waveforms:
        write_record(folder / "mimic-iv-ecg" / f"{path}.hea", study, ending="dat")
    if story.outcome is not None:
        answers.outcome[str(stay)] = story.outcome
        answers.patients[str(stay)] = str(subject)
        answers.ages[str(stay)] = anchor_age + time.year - anchor_year
        if story.outcome:
            answers.events[str(stay)] = arrival.date() + timedelta(days=story.event)
        if dead:
            answers.deaths[str(stay)] = dead.date()
    if story.source:
        answers.source.add(str(subject))


def _cell(cell: object) -> str:
    text = "" if cell is None else str(cell)
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"') else text
