"""Patients of the shaped registers, and how what they have is shared among them in exact numbers.

Patients are rows. In this order: temporal test, random splits, chest pain without an index ECG, other source
patients, those without any usable ECG. Their ids do not show it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from precordial.twin.shaped.shape import Shape

Ints = NDArray[np.integer]
DAY, HOUR = 86_400, 3_600
FIRST = np.datetime64("2012-01-01", "s")  # times are seconds since then; five years of history, as in the paper
OPENS, CLOSES = 1827, 2557  # days since then: the two years of visits, 2017 and 2018
SITES = tuple("ABCDEFGH")  # eight hospitals, as in the paper
_IDS = 99_999_989  # the largest prime below 10^8: rows times a number, modulo it, are ids of eight digits


@dataclass(frozen=True)
class People:
    """born: days since `FIRST`. female. home: the usual site. factor, shift: from row to id."""

    born: NDArray[np.int32]
    female: NDArray[np.bool_]
    home: NDArray[np.int8]
    factor: int
    shift: int

    def id_numbers(self, rows: Ints) -> Ints:
        """Of rows below 10^8, each its own."""
        return np.asarray((rows.astype(np.int64) * self.factor + self.shift) % _IDS)

    def age(self, rows: Ints, day: Ints) -> NDArray[np.float64]:
        """Years of 365.25 days."""
        return np.asarray((day - self.born[rows]) / 365.25)


def draw_people(shape: Shape, rng: np.random.Generator) -> People:
    """Ages and sexes as in the paper's Table I: target median 61 (46 to 75) years, source 71 (57 to 81)."""
    source_end = source_rows(shape).stop
    groups = (  # how many, ages from 18 to 98, women, and the day on which they have these ages
        (shape.walk_patients, (2.0, 1.75), 0.480, CLOSES - 50),
        (shape.chest_pain_patients - shape.walk_patients, (2.0, 1.75), 0.480, OPENS + 320),
        (source_end - shape.chest_pain_patients, (3.0, 1.75), 0.504, 1560),
        (shape.patients - source_end, (1.2, 1.6), 0.510, OPENS),
    )
    born, female = [], []
    for n, beta, share, day in groups:
        age = 18 + 80 * rng.beta(*beta, n)
        born.append(day - np.floor(age * 365.25).astype(np.int32))
        female.append(rng.random(n) < share)
    return People(
        np.concatenate(born),
        np.concatenate(female),
        rng.integers(len(SITES), size=shape.patients).astype(np.int8),
        int(rng.integers(_IDS // 10, _IDS)),
        int(rng.integers(_IDS)),
    )


def source_rows(shape: Shape) -> range:
    """The source patients: some of those with chest pain and no index ECG, and those who follow."""
    with_chest_pain = round(0.7 * shape.leaving_patients)
    first = shape.chest_pain_patients - with_chest_pain
    return range(first, first + shape.source_patients)


def share_out(least: Ints, total: int, rng: np.random.Generator, *, spread: float = 0.8) -> Ints:
    """Numbers that add up to `total`, none below `least`; who has least 0 may stay without, -1 must.

    Some people have far more than others: their shares of the surplus follow a gamma distribution of shape `spread`.
    """
    share = rng.gamma(spread, size=len(least))
    share[least < 0] = 0
    least = np.maximum(least, 0)
    return np.asarray(least + rng.multinomial(total - int(least.sum()), share / share.sum()))


def moments(low: Ints | int, high: Ints | int, n: int, rng: np.random.Generator) -> Ints:
    """Seconds since `FIRST` on days from `low` to before `high`, mostly in the afternoon and never at midnight."""
    day = low + np.floor(rng.random(n, np.float32) * (np.asarray(high) - low)).astype(np.int32)
    second = ((14 + 5.5 * rng.standard_normal(n, np.float32)) * HOUR).astype(np.int32) % DAY
    return np.asarray(day * DAY + np.maximum(second, 1), np.int32)


def distinct(patient: Ints, time: Ints, taken: Ints) -> Ints:
    """The times, some a few seconds later, so that none is one of `taken` or another's of the same patient.

    Args:
        taken: as from `keys`.
    """
    time = time.copy()
    while True:
        key = keys(patient, time)
        order = np.argsort(key, kind="stable")
        again = np.isin(key, taken)
        again[order[1:]] |= np.diff(key[order]) == 0
        if not again.any():
            return time
        time[again] += 7


def keys(patient: Ints, time: Ints) -> Ints:
    """One number for patient and second."""
    return np.asarray(patient.astype(np.int64) << 32 | time)
