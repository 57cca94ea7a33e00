"""The ECGs of the synthetic hospital before they are recorded: whose heart, in which state, and what goes wrong.

They are drawn in blocks, each from a random stream of its own, in the order of time; so a hospital of any size
takes little memory, and the truth is the same whether or not files are written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from precordial.twin.faults import plant
from precordial.twin.heart import Beats, Infarctions, beats
from precordial.twin.people import OPENS, Population, Rows, age_at, latest_attack
from precordial.twin.persons import Persons, draw_persons

BLOCK = 4096  # ECGs; part of what a seed means


@dataclass(frozen=True)
class Block:
    """Some ECGs before they are recorded; one row of each table per ECG.

    Attributes:
        row: of the population's recordings. attack: the latest infarction before, -1 for none.
        fault: index into `KINDS`. device: index into `precordial.twin.header.DEVICES`.
    """

    row: Rows
    attack: Rows
    age: NDArray[np.float64]
    fault: NDArray[np.int8]
    device: NDArray[np.intp]
    persons: Persons
    heart: Beats


def draw_faults(population: Population, seed: int) -> tuple[Persons, NDArray[np.int8]]:
    """Everybody's heart, and which fault each ECG will have."""
    patients, rng = population.patients, np.random.default_rng([seed, 1])
    age = age_at(patients.born, np.full(len(patients.id), OPENS))
    persons = draw_persons(age, patients.female, rng, patients.heart_years)
    return persons, plant(len(population.recordings.time), rng)


def blocks(population: Population, everybody: Persons, fault: NDArray[np.int8], seed: int) -> Iterator[Block]:
    """All ECGs, in order of time."""
    recordings = population.recordings
    attack, n = latest_attack(population.attacks, recordings), len(recordings.time)
    for first in range(0, n, BLOCK):
        row = np.arange(first, min(first + BLOCK, n))
        rng = np.random.default_rng([seed, 2, first])
        who, at_visit = recordings.patient[row], recordings.visit[row] >= 0
        age = age_at(population.patients.born[who], recordings.time[row])
        persons = everybody.take(who)
        stress = np.where(at_visit, rng.normal(9, 6, len(row)), 0)  # pain, fever, fear
        infarctions = _infarctions(population, row, attack[row])
        heart = beats(age, population.patients.female[who], persons, infarctions, rng, stress)
        device = (rng.random(len(row)) < np.where(at_visit, 0.3, 0.7)).astype(np.intp)
        yield Block(row, attack[row], age, fault[row], device, persons, heart)


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
