"""The visit register: visits with chest pain and for other complaints, registered twice, and incomplete rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from precordial.twin.people import COMPLAINTS
from precordial.twin.shaped.chest_pain import ChestPain, draw_sites
from precordial.twin.shaped.people import (
    CLOSES,
    HOUR,
    OPENS,
    Ints,
    People,
    distinct,
    keys,
    moments,
    share_out,
    source_rows,
)
from precordial.twin.shaped.shape import Shape

TWICE = 0.003  # of the visits
INCOMPLETE = 0.002
UNKNOWN = -1
COMPLETE, NO_ID, NO_PATIENT, NO_ARRIVAL, NO_COMPLAINT = range(5)


@dataclass(frozen=True)
class Register:
    """Rows in order of arrival: patient, arrival and discharge (s, -1 = unknown), complaint, site, what is missing."""

    patient: Ints
    arrival: Ints
    discharge: Ints
    complaint: NDArray[np.int8]
    site: NDArray[np.int8]
    missing: NDArray[np.int8]

    def take(self, rows: NDArray[np.integer] | slice) -> Register:
        """These rows."""
        return Register(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Others:
    """Visits for other complaints, those of a patient together: of patient p from `start[p]` to `start[p + 1]`."""

    patient: Ints
    arrival: Ints
    start: Ints


def draw_others(shape: Shape, chest_pain: ChestPain, rng: np.random.Generator) -> Others:
    """As many as the register has room for; never in the second of a visit with chest pain."""
    least = np.ones(shape.patients, np.int64)
    least[: shape.chest_pain_patients] = 0
    least[only_incomplete(shape)] = -1
    fixed = len(chest_pain.patient) + len(only_incomplete(shape))
    copies = round(TWICE * shape.visit_rows) + round(INCOMPLETE * shape.visit_rows)
    visits = share_out(least, shape.visit_rows - fixed - copies, rng)
    patient = np.repeat(np.arange(shape.patients, dtype=np.int32), visits)
    arrival = moments(OPENS, CLOSES, len(patient), rng)
    some = np.searchsorted(patient, shape.chest_pain_patients)
    arrival[:some] = distinct(patient[:some], arrival[:some], keys(chest_pain.patient, chest_pain.arrival))
    return Others(patient, arrival, np.concatenate([[0], np.cumsum(visits)]))


def only_incomplete(shape: Shape) -> range:
    """Source patients whom the register knows by an incomplete row alone."""
    last = source_rows(shape).stop
    return range(last - max(shape.source_patients // 1000, 1), last)


def draw_register(
    shape: Shape, people: People, chest_pain: ChestPain, others: Others, rng: np.random.Generator
) -> Register:
    """All rows. What is added to the visits changes none of the counts, if the rules are followed in their order."""
    known = np.asarray(only_incomplete(shape))
    patient = np.concatenate([chest_pain.patient, others.patient, known]).astype(np.int32)
    arrival = np.concatenate([chest_pain.arrival, others.arrival, moments(OPENS, CLOSES, len(known), rng)])
    n, chest = len(patient), len(chest_pain.patient)
    complaint = rng.integers(1, len(COMPLAINTS), size=n, dtype=np.int8)
    complaint[:chest] = COMPLAINTS.index("chest pain")
    stay = np.exp(rng.normal(np.log(4), 0.6, n).astype(np.float32)).clip(0.3, 40) * HOUR
    discharge = np.where(rng.random(n, np.float32) < 0.01, UNKNOWN, arrival + stay.astype(np.int32)).astype(np.int32)
    site = np.concatenate([chest_pain.site, draw_sites(people, patient[chest:], rng)])
    missing = np.zeros(n, np.int8)
    missing[n - len(known) :] = NO_COMPLAINT
    visits = Register(patient, arrival.astype(np.int32), discharge, complaint, site, missing)

    real = n - len(known)
    rows = [visits, _again(visits, chest, real, round(TWICE * shape.visit_rows), rng)]
    rows.append(_incomplete(visits, chest, real, round(INCOMPLETE * shape.visit_rows), rng))
    every = Register(
        *(np.concatenate([getattr(part, name) for part in rows]) for name in Register.__dataclass_fields__)
    )
    # Copies come after their originals, so their ids are higher.
    return every.take(np.argsort(every.arrival, kind="stable"))


def _again(visits: Register, chest: int, real: int, count: int, rng: np.random.Generator) -> Register:
    """The same patient and second once more: discharged earlier, at an unknown time, or equal with a higher id.

    So the first one counts, whatever the complaint of the second; a third of these are of visits with chest pain.
    """
    few = min(count // 3, chest)
    rows = np.concatenate(
        [rng.choice(chest, few, replace=False), chest + rng.choice(real - chest, count - few, replace=False)]
    )
    copy = visits.take(rows)
    half = copy.arrival + (copy.discharge - copy.arrival) // 2
    how = rng.random(count)
    discharge = np.select([how < 0.6, how < 0.8], [half, np.full(count, UNKNOWN)], copy.discharge)
    discharge[copy.discharge == UNKNOWN] = UNKNOWN
    other = rng.integers(1, len(COMPLAINTS), size=count)
    swapped = np.where(copy.complaint == 0, other, 0)  # chest pain becomes another complaint, and the other way round
    complaint = np.where(rng.random(count) < 0.5, swapped, copy.complaint).astype(np.int8)
    return Register(copy.patient, copy.arrival, discharge.astype(np.int32), complaint, copy.site, copy.missing)


def _incomplete(visits: Register, chest: int, real: int, count: int, rng: np.random.Generator) -> Register:
    """Copies that would win by their later discharge, were nothing missing; a fifth of visits with chest pain."""
    few = min(count // 5, chest)
    rows = np.concatenate(
        [rng.choice(chest, few, replace=False), chest + rng.choice(real - chest, count - few, replace=False)]
    )
    copy = visits.take(rows)
    missing = rng.integers(NO_ID, NO_COMPLAINT + 1, size=count).astype(np.int8)
    later = np.maximum(copy.discharge, copy.arrival) + HOUR
    return Register(copy.patient, copy.arrival, later.astype(np.int32), copy.complaint, copy.site, missing)
