"""Patients, visits, infarctions, diagnoses and ECG times of the synthetic hospital; no waveforms here.

Tables are dataclasses of equally long arrays. Times are local, to the second. Whatever is random comes from
the generator that is handed in, so the tables are a function of the seed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from precordial.twin.heart import TERRITORIES, Beats
from precordial.twin.persons import draw_heart_years

Rows = NDArray[np.intp]
Times = NDArray[np.datetime64]
HOUR, DAY = 3600, 86400

OPENS, CLOSES = np.datetime64("2023-01-01"), np.datetime64("2025-01-01")  # two years of visits, as in the paper
FIRST_ECG = np.datetime64("2020-01-01")  # ECGs of other clinics reach further back
CHEST_PAIN = "chest pain"
OTHER = ("dyspnoea", "abdominal pain", "palpitations", "syncope", "fever", "back pain", "trauma")
COMPLAINTS = (CHEST_PAIN, *OTHER)
# NSTEMI were 54 %, STEMI 39 % of infarctions in an unselected region (Terkelsen 2005, Eur Heart J 26:18).
TERRITORY_SHARE = (0.24, 0.24, 0.10, 0.42)
SEVERITY = (np.log(0.11), 0.6)  # log-normal, mV
DELAYED = 0.06  # of the infarctions come 4 to 30 days after the visit: nothing in the ECG can show them
LATER = 0.01  # of the other chest-pain visits are followed by an infarction beyond the 30 days

Table = TypeVar("Table", "Patients", "Visits", "Attacks", "Recordings", Beats)


@dataclass(frozen=True)
class Patients:
    """id, birth date, sex (1 = female), whether chest pain ever leads here, and how many years older the heart is."""

    id: NDArray[np.str_]
    born: Times
    female: NDArray[np.bool_]
    chest_pain: NDArray[np.bool_]
    heart_years: NDArray[np.float32]


@dataclass(frozen=True)
class Visits:
    """Emergency visits in order of arrival; `complaint` is an index into `COMPLAINTS`."""

    patient: Rows
    arrival: Times
    discharge: Times
    complaint: Rows


@dataclass(frozen=True)
class Attacks:
    """Infarctions: patient, visit (-1 = none), onset, day of the diagnosis (NaT = before the registers begin)."""

    patient: Rows
    visit: Rows
    onset: Times
    day: Times
    territory: Rows
    severity: NDArray[np.float64]


@dataclass(frozen=True)
class Recordings:
    """ECGs in order of time; `visit` is -1 for those of other clinics."""

    patient: Rows
    visit: Rows
    time: Times


@dataclass(frozen=True)
class Population:
    """All tables of one hospital; `risk` is the probability with which each visit was given an infarction."""

    patients: Patients
    visits: Visits
    risk: NDArray[np.float64]
    attacks: Attacks
    recordings: Recordings


def draw_population(
    n: int,
    rng: np.random.Generator,
    *,
    chest_pain: float = 0.38,
    prevalence: float = 0.15,
    silent: float = 0.43,
    clinic_ecgs: float = 2.2,
) -> Population:
    """Draw n patients and what happens to them; see `precordial.twin.make_hospital`."""
    patients = draw_patients(n, chest_pain, rng)
    visits = draw_visits(patients, rng)
    risk = visit_risk(patients, visits, prevalence)
    attacks = draw_attacks(patients, visits, risk, silent, rng)
    recordings = draw_recordings(patients, visits, attacks, rng, clinic_ecgs)
    return Population(patients, visits, risk, attacks, recordings)


def take(table: Table, rows: NDArray[Any]) -> Table:
    """These rows of a table."""
    return type(table)(*(getattr(table, field.name)[rows] for field in fields(table)))


def stack(*tables: Table) -> Table:
    """One table below the other."""
    columns = [field.name for field in fields(tables[0])]
    return type(tables[0])(*(np.concatenate([getattr(table, name) for table in tables]) for name in columns))


def draw_patients(n: int, chest_pain: float, rng: np.random.Generator) -> Patients:
    """Ages and sexes as in the paper's Table I: target median 61 (46 to 75) years, source 71 (57 to 81)."""
    target = rng.permutation(n) < round(chest_pain * n)
    age = 18 + 80 * np.where(target, rng.beta(2.0, 1.75, n), rng.beta(2.56, 1.5, n))
    born = OPENS - np.floor(age * 365.25).astype("timedelta64[D]")
    female = rng.random(n) < np.where(target, 0.48, 0.504)
    ids = np.char.add("T", np.char.zfill((1_000_000 + rng.permutation(9 * n)[:n]).astype(str), 8))
    return Patients(ids, born, female, target, draw_heart_years(n, rng))


def draw_visits(patients: Patients, rng: np.random.Generator) -> Visits:
    """Visits within two years: of chest-pain patients 1.25 with chest pain on average, as in the paper."""
    n = len(patients.id)
    more = rng.poisson(np.where(patients.chest_pain, 0.4, 0.5))
    patient = np.concatenate([np.arange(n), np.repeat(np.arange(n), more)])
    again = np.arange(len(patient)) >= n
    pain = patients.chest_pain[patient] & (~again | (rng.random(len(patient)) < 0.62))
    complaint = np.where(pain, 0, rng.choice(len(OTHER), len(patient), p=(0.22, 0.2, 0.1, 0.1, 0.14, 0.1, 0.14)) + 1)
    days = rng.integers(0, (CLOSES - OPENS).astype(int), len(patient))
    hours = np.clip(rng.normal(14, 5, len(patient)) % 24, 0, 23.999)
    arrival = OPENS.astype("datetime64[s]") + (days * DAY + (hours * HOUR).astype(int)).astype("timedelta64[s]")
    stay = np.exp(rng.normal(np.log(5 * HOUR), 0.7, len(patient))).astype("timedelta64[s]")
    order = np.lexsort((patient, arrival))
    return take(Visits(patient, arrival, arrival + stay, complaint), order)


def visit_risk(patients: Patients, visits: Visits, prevalence: float) -> NDArray[np.float64]:
    """The probability of an infarction at each visit: it knows the complaint, the age of the heart and the sex.

    It grows with age (as it is when the registers begin) and is higher in men; `prevalence` is its mean over the
    visits with chest pain. Some infarctions come with dyspnoea instead, and a few with anything else.
    """
    chest = visits.complaint == COMPLAINTS.index(CHEST_PAIN)
    risk = _with_mean(_log_odds(patients)[visits.patient], chest, prevalence)
    dyspnoea = visits.complaint == COMPLAINTS.index("dyspnoea")
    return np.asarray(risk * np.select([chest, dyspnoea], [1.0, 0.15], 0.02))


def draw_attacks(
    patients: Patients, visits: Visits, risk: NDArray[np.float64], silent: float, rng: np.random.Generator
) -> Attacks:
    """Infarctions at the visits, by their `visit_risk`; later ones; and old ones from before the registers begin.

    A share `silent` of the infarctions leaves no trace in any ECG: 7.9 % of first ECGs were normal and 35 %
    more unspecific in 391 208 infarctions (Welch 2001, JAMA 286:1977), which makes 43 %.
    """
    hit = np.flatnonzero(rng.random(len(risk)) < risk)
    delayed = rng.random(len(hit)) < DELAYED
    arrival = visits.arrival[hit]
    before = np.clip(np.exp(rng.normal(np.log(2.5), 0.9, len(hit))), 0.2, 60) * HOUR
    after = rng.integers(4, 31, len(hit)) * DAY
    onset = arrival + np.where(delayed, after, -before).astype("timedelta64[s]")
    wait = np.where(delayed, 0, rng.choice(4, len(hit), p=(0.8, 0.12, 0.05, 0.03))).astype("timedelta64[D]")
    day = np.where(delayed, onset, arrival).astype("datetime64[D]") + wait
    now = Attacks(visits.patient[hit], hit, onset, day, *_size(len(hit), silent, rng))

    rest = np.setdiff1d(np.flatnonzero(visits.complaint == 0), hit)
    rest = rest[rng.random(len(rest)) < LATER]
    onset = visits.arrival[rest] + (rng.integers(31, 301, len(rest)) * DAY).astype("timedelta64[s]")
    none = np.full(len(rest), -1)
    later = Attacks(visits.patient[rest], none, onset, onset.astype("datetime64[D]"), *_size(len(rest), silent, rng))

    scarred = np.flatnonzero(rng.random(len(patients.id)) < _scarred(patients))
    onset = FIRST_ECG.astype("datetime64[s]") - (rng.integers(200, 4000, len(scarred)) * DAY).astype("timedelta64[s]")
    none, never = np.full(len(scarred), -1), np.full(len(scarred), "NaT", "datetime64[D]")
    old = Attacks(scarred, none, onset, never, *_size(len(scarred), 0.0, rng))  # known by their traces
    table = stack(now, later, old)
    return take(table, np.lexsort((table.onset, table.patient)))


def draw_recordings(
    patients: Patients, visits: Visits, attacks: Attacks, rng: np.random.Generator, clinic_ecgs: float = 2.2
) -> Recordings:
    """When ECGs were taken: before arrival, soon after it, hours later, again; and in other clinics.

    `clinic_ecgs` is how many a patient without chest pain has from other clinics, on average; one with chest pain 1.
    """
    v = len(visits.patient)
    chest = visits.complaint == 0
    every = np.arange(v)
    first = np.exp(rng.normal(np.log(12 * 60), 0.8, v))
    late = rng.random(v) < 0.02  # too late to be an index ECG
    first = np.where(late, rng.uniform(3.2, 12, v) * HOUR, np.minimum(first, 2.9 * HOUR))
    ambulance = chest & (rng.random(v) < 0.10)
    earlier = chest & (rng.random(v) < 0.02)  # too early to be one
    taken = (rng.random(v) < np.where(chest, 0.94, 0.6)) & ~(ambulance & (rng.random(v) < 0.4))
    struck = np.isin(every, attacks.visit)
    again = np.repeat(every, rng.poisson(np.where(taken, np.where(struck, 1.2, 0.35), 0)))
    parts = [
        (every[taken], first[taken]),
        (every[ambulance], -rng.uniform(5 * 60, 115 * 60, v)[ambulance]),
        (every[earlier], -rng.uniform(125 * 60, 10 * HOUR, v)[earlier]),
        (again, first[again] + rng.uniform(0.4, 20, len(again)) * HOUR),
    ]
    visit = np.concatenate([rows for rows, _ in parts])
    offset = np.concatenate([seconds for _, seconds in parts])
    time = visits.arrival[visit] + offset.astype("timedelta64[s]")
    clinic = np.repeat(np.arange(len(patients.id)), rng.poisson(np.where(patients.chest_pain, 1.0, clinic_ecgs)))
    span = (CLOSES - FIRST_ECG).astype(int)
    day = FIRST_ECG + rng.integers(0, span, len(clinic)).astype("timedelta64[D]")
    of_day = (rng.uniform(8, 17, len(clinic)) * HOUR).astype("timedelta64[s]")
    table = stack(
        Recordings(visits.patient[visit], visit, time),
        Recordings(clinic, np.full(len(clinic), -1), day.astype("datetime64[s]") + of_day),
    )
    return take(table, np.lexsort((table.patient, table.time)))


def latest_attack(attacks: Attacks, recordings: Recordings) -> Rows:
    """For each ECG the row of the patient's last infarction before it, -1 if there was none."""
    if not len(attacks.patient):
        return np.full(len(recordings.patient), -1)
    start = attacks.onset.min()
    span = max(attacks.onset.max(), recordings.time.max()) - start + np.timedelta64(1, "s")
    key = attacks.patient * span.astype(int) + (attacks.onset - start).astype(int)
    since = np.maximum((recordings.time - start).astype(int), -1)
    row = np.searchsorted(key, recordings.patient * span.astype(int) + since, side="right") - 1
    return np.where((row >= 0) & (attacks.patient[row] == recordings.patient), row, -1)


def age_at(born: Times, time: Times) -> NDArray[np.float64]:
    """Age in years of 365.25 days."""
    return np.asarray((time.astype("datetime64[D]") - born).astype(int) / 365.25)


def _log_odds(patients: Patients) -> NDArray[np.float64]:
    """Log odds of an infarction beside a man of 60, by the age of the heart.

    Of 7 734 people with chest pain 10 % of the women and 19 % of the men had one, 0.54 times as many at equal age
    (PubMed 2677270); odds ratio 1.7 for men among 10 525 (Zucker 1997, J Gen Intern Med 12:79). Hearts whose ECG looks
    more than 7 years older than the person had 1.76 times the infarctions (Chang 2022, Front Cardiovasc Med 9:754909).
    """
    return np.asarray(0.055 * (_heart_age(patients, OPENS) - 60) - 0.65 * patients.female)


def _heart_age(patients: Patients, day: np.datetime64) -> NDArray[np.float64]:
    return np.asarray((day - patients.born).astype(int) / 365.25 + patients.heart_years)


def _scarred(patients: Patients) -> NDArray[np.float64]:
    """Who has had an infarction years ago.

    Q waves (Minnesota codes 1.1 to 1.3) in 1.1 % of men at 50 and 13 % at 70 (Uppsala, BMC Cardiovasc Disord 2006;6:10,
    table 2); in women half as many (chosen, after their risk).
    """
    men = np.minimum(1 / (1 + np.exp(4.48 - 0.130 * (_heart_age(patients, FIRST_ECG) - 50))), 0.25)
    return np.asarray(np.where(patients.female, 0.5, 1.0) * men)


def _with_mean(log_odds: NDArray[np.float64], among: NDArray[np.bool_], mean: float) -> NDArray[np.float64]:
    """Probabilities with these log odds, shifted until their mean among some rows is `mean`."""
    few = log_odds[among]
    low, high = -30.0, 30.0
    for _ in range(60):
        shift = (low + high) / 2
        below = len(few) > 0 and float((1 / (1 + np.exp(-(few + shift)))).mean()) < mean
        low, high = (shift, high) if below else (low, shift)
    return np.asarray(1 / (1 + np.exp(-(log_odds + shift))))


def _size(n: int, silent: float, rng: np.random.Generator) -> tuple[Rows, NDArray[np.float64]]:
    """Territories and severities of n infarctions."""
    territory = rng.choice(len(TERRITORIES) - 1, n, p=TERRITORY_SHARE) + 1
    severity = np.exp(rng.normal(*SEVERITY, n))
    return territory, np.where(rng.random(n) < silent, 0.0, severity)
