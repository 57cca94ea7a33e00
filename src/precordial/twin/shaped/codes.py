"""Diagnoses, procedures, deaths and emigrations of the shaped registers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from precordial.twin.diagnoses import CODES, INFARCT_CODES
from precordial.twin.shaped.chest_pain import ChestPain
from precordial.twin.shaped.ecgs import Ecgs
from precordial.twin.shaped.people import CLOSES, DAY, Ints, People
from precordial.twin.shaped.shape import Shape
from precordial.twin.shaped.visits import Register

CHUNK = 1_000_000
REGISTERS = ("inpatient", "outpatient", "primary care")
HISTORY = 5 * 365  # days before a visit
END = CLOSES + 365  # the last day of the register of deaths

# Without dots and with the letters of ICD-10-SE, as the national registers have them; a few sources write dots.
INFARCTIONS = (*(code.replace(".", "") for code in INFARCT_CODES.tolist()), "I214A", "I214B", "I219X", "I21.4")
NEARLY = ("I200", "I220", "I229", "I252", "I249", "Z035")  # no infarction of the outcome
COMMON = tuple(dict.fromkeys(code.replace(".", "") for group in CODES.values() for code in group))
CHRONIC = ("I109", "E119", "I489", "J449", "E785", "F329", "M179", "N189", "I252", "I501", "Z921", "C619", "E039A")
ALL_CODES = (*COMMON, *CHRONIC, *NEARLY, *INFARCTIONS)
PROCEDURES = ("FNG02", "FNG05", "FNA00", "FPE00", "AF063", "XS100", "JKA21", "NFB49")
CAUSES = ("I219", "I251", "I509", "C349", "J449", "F039", "I639", "N390")


@dataclass(frozen=True)
class Diagnoses:
    """In order of the day: patient, index into `ALL_CODES`, day since `FIRST`, position (1 = main), register."""

    patient: Ints
    code: Ints
    day: Ints
    position: Ints
    register: Ints


@dataclass(frozen=True)
class Procedures:
    """In order of the day: patient, index into `PROCEDURES`, day."""

    patient: Ints
    code: Ints
    day: Ints


@dataclass(frozen=True)
class Ends:
    """One per patient: the day of death and of emigration, -1 for none, and the cause, an index into `CAUSES`."""

    death: Ints
    left: Ints
    cause: Ints


def draw_diagnoses(shape: Shape, chest_pain: ChestPain, register: Register, rng: np.random.Generator) -> Diagnoses:
    """The outcomes, what nearly is one, and contacts with some codes each until the register is full."""
    n, first = shape.diagnosis_rows, 0
    table: list[Ints] = [np.empty(n, kind) for kind in (np.int32, np.uint8, np.int16, np.int8, np.int8)]
    certain = [_outcomes(chest_pain, rng), _nearly(chest_pain, rng)]
    while first < n:
        columns = certain.pop() if certain else _contacts(register, rng)
        last = min(first + len(columns[0]), n)
        for whole, part in zip(table, columns, strict=True):
            whole[first:last] = part[: last - first]
        first = last
    order = np.argsort(table[2], kind="stable")
    return Diagnoses(*(column[order] for column in table))


def _outcomes(chest_pain: ChestPain, rng: np.random.Generator) -> list[Ints]:
    """One I21 of the inpatient register for each struck visit: mostly on the day of arrival, some 30 days later."""
    rows = np.flatnonzero(chest_pain.struck)
    n = len(rows)
    kind = rng.permutation(n) / n
    wait = np.select([kind < 0.80, kind < 0.92, kind < 0.97], [0, rng.integers(1, 4, n), rng.integers(4, 30, n)], 30)
    position = np.where(rng.random(n) < 0.85, 1, rng.integers(2, 31, n))
    return [
        chest_pain.patient[rows],
        len(ALL_CODES) - len(INFARCTIONS) + rng.integers(len(INFARCTIONS), size=n),
        chest_pain.arrival[rows] // DAY + wait,
        position,
        np.zeros(n, np.int64),
    ]


def _nearly(chest_pain: ChestPain, rng: np.random.Generator) -> list[Ints]:
    """I21 on the day before arrival, on day 31, or of another register, and codes that look alike; each in time."""
    rows = np.flatnonzero(chest_pain.isolated & ~chest_pain.struck)
    rows = rng.choice(rows, len(rows) // 25, replace=False)
    n = len(rows)
    kind = np.arange(n) % 4
    infarction = len(ALL_CODES) - len(INFARCTIONS) + rng.integers(len(INFARCTIONS), size=n)
    alike = len(COMMON) + len(CHRONIC) + rng.integers(len(NEARLY), size=n)
    return [
        chest_pain.patient[rows],
        np.where(kind == 3, alike, infarction),
        chest_pain.arrival[rows] // DAY + np.choose(kind, [-1, 31, 0, 0]),
        np.ones(n, np.int64),
        np.where(kind == 2, 1, 0),
    ]


def _contacts(register: Register, rng: np.random.Generator) -> list[Ints]:
    """Contacts on the day of a visit or in the years before, each with one main and some further codes."""
    contacts = CHUNK // 2
    codes = np.minimum(rng.geometric(0.5, contacts), 30)
    visit = rng.integers(len(register.patient), size=contacts)
    at_visit = rng.random(contacts) < 0.5
    back = np.where(at_visit, 0, rng.integers(1, HISTORY, contacts))
    day = np.maximum(register.arrival[visit] // DAY - back, 0)
    kind = np.where(rng.random(contacts) < 0.25, 0, np.where(at_visit, 1, rng.integers(1, 3, contacts)))
    total = int(codes.sum())
    position = np.arange(1, total + 1) - np.repeat(np.cumsum(codes) - codes, codes)
    code = np.floor((len(COMMON) + len(CHRONIC) + len(NEARLY)) * rng.random(total) ** 1.5)
    return [np.repeat(register.patient[visit], codes), code, np.repeat(day, codes), position, np.repeat(kind, codes)]


def draw_procedures(chest_pain: ChestPain, register: Register, rng: np.random.Generator) -> Procedures:
    """PCI (FNG) after half of the infarctions, and a few of anything."""
    struck = np.flatnonzero(chest_pain.struck)
    struck = struck[rng.random(len(struck)) < 0.55]
    some = rng.integers(len(register.patient), size=len(register.patient) // 200)
    patient = np.append(chest_pain.patient[struck], register.patient[some])
    code = np.append(rng.integers(2, size=len(struck)), rng.integers(2, len(PROCEDURES), size=len(some)))
    day = np.append(chest_pain.arrival[struck], register.arrival[some]) // DAY + rng.integers(3, size=len(patient))
    order = np.argsort(day, kind="stable")
    return Procedures(patient[order], code[order], day[order])


def draw_ends(
    shape: Shape, people: People, chest_pain: ChestPain, register: Register, ecgs: Ecgs, rng: np.random.Generator
) -> Ends:
    """Deaths and emigrations, after all that the registers know of a patient."""
    last = np.zeros(shape.patients, np.int32)
    known = ecgs.patient < shape.patients
    np.maximum.at(last, register.patient, register.arrival // DAY)
    np.maximum.at(last, ecgs.patient[known], ecgs.time[known] // DAY)
    everyone = np.arange(shape.patients)
    struck = np.bincount(chest_pain.patient[chest_pain.struck], minlength=shape.patients) > 0
    wait = last + 4 + np.where(everyone < shape.chest_pain_patients, 31, 0)
    dies = rng.random(shape.patients) < 0.3 / (1 + np.exp((78 - people.age(everyone, last)) / 8)) + 0.08 * struck
    death = wait + rng.exponential(350, shape.patients).astype(np.int32)
    dies &= death < END
    left = wait + rng.exponential(200, shape.patients).astype(np.int32)
    leaves = ~dies & (rng.random(shape.patients) < 0.006) & (left < END)
    cause = np.where(struck, 0, rng.integers(len(CAUSES), size=shape.patients))
    return Ends(np.where(dies, death, -1), np.where(leaves, left, -1), cause)
