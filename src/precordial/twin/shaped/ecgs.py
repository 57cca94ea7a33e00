"""The usable ECGs: of visits with chest pain, just outside their windows, of the source patients, and of strangers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from precordial.twin.shaped.chest_pain import ChestPain
from precordial.twin.shaped.people import CLOSES, HOUR, OPENS, Ints, distinct, moments, share_out, source_rows
from precordial.twin.shaped.shape import Shape
from precordial.twin.shaped.visits import Others

BEFORE, AFTER = 2 * HOUR, 3 * HOUR  # the paper's windows
STRANGERS = 0.005  # patients whom no register knows, as a share of the source patients; two ECGs each
FLAWED = 0.004  # of the ECGs, once more: half in the same second, a quarter each without patient and without time
COMPLETE, NO_PATIENT, NO_TIME = range(3)


@dataclass(frozen=True)
class Ecgs:
    """In order of time: patient (from `Shape.patients` on: unknown to the registers), time (s), what is missing."""

    patient: Ints
    time: Ints
    missing: NDArray[np.int8]


def draw_ecgs(shape: Shape, chest_pain: ChestPain, others: Others, rng: np.random.Generator) -> Ecgs:
    """Exactly one index ECG for each visit that has one, none for the others, and as many of the source as wanted."""
    outside = _outside(shape, chest_pain, rng)
    source = source_rows(shape)
    known = int((outside[0] >= source.start).sum())
    strangers = shape.patients + np.arange(round(STRANGERS * shape.source_patients)).repeat(2)
    parts = [
        *_at_visits(chest_pain, rng),
        outside,
        _history(shape, rng),
        _source(shape, others, shape.source_ecgs - known, rng),
        (strangers, moments(0, CLOSES, len(strangers), rng)),
    ]
    patient, time = (np.concatenate(column).astype(np.int32) for column in zip(*parts, strict=True))
    again = rng.choice(len(time), round(FLAWED * len(time)), replace=False)
    patient, time = np.append(patient, patient[again]), np.append(time, time[again])
    missing = np.zeros(len(time), np.int8)
    missing[len(time) - len(again) :] = np.array([COMPLETE, COMPLETE, NO_PATIENT, NO_TIME])[np.arange(len(again)) % 4]
    order = np.argsort(time, kind="stable")
    return Ecgs(patient[order], time[order], missing[order])


def _at_visits(chest_pain: ChestPain, rng: np.random.Generator) -> list[tuple[Ints, Ints]]:
    """Index ECGs, some at the very ends of the windows; earlier ones that do not count; later ones."""
    rows = np.flatnonzero(chest_pain.indexed)
    patient, arrival, returns = chest_pain.patient[rows], chest_pain.arrival[rows], chest_pain.returns[rows]
    n = len(rows)
    soon = np.minimum(np.exp(rng.normal(np.log(12 * 60), 0.8, n)).astype(np.int64), AFTER)
    earlier = -rng.integers(1, BEFORE + 1, n)
    kind = rng.permutation(n) / n
    ends = [kind < 0.003, kind < 0.006, kind < 0.009, kind < 0.080]
    offset = np.select([returns, *ends], [soon.clip(max=HOUR - 1), 0, AFTER, -BEFORE, earlier], soon)
    both = (offset >= 0) & ~returns & (rng.random(n) < 0.05)
    # Where a patient has visits without an index ECG, further ones might give it to them.
    lone = ~np.isin(patient, chest_pain.patient[~chest_pain.indexed])
    again = np.repeat(np.flatnonzero(lone), rng.poisson(0.3, lone.sum()))
    later = offset[again] + rng.integers(HOUR // 2, 20 * HOUR, len(again))
    return [
        (patient, arrival + offset),
        (patient[both], arrival[both] + earlier[both]),
        (patient[again], arrival[again] + later),
    ]


def _outside(shape: Shape, chest_pain: ChestPain, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Just outside the windows of visits that have no index ECG: of all source patients' and of some others'."""
    rows = np.flatnonzero(~chest_pain.indexed)
    who = chest_pain.patient[rows]
    rows = rows[(who >= source_rows(shape).start) | (who < shape.indexed_patients) & (rng.random(len(who)) < 0.6)]
    n = len(rows)
    kind = rng.integers(4, size=n)
    offset = np.choose(
        kind,
        [AFTER + 1, -BEFORE - 1, rng.integers(AFTER + 1, 5 * HOUR, n), -rng.integers(BEFORE + 1, 5 * HOUR, n)],
    )
    return chest_pain.patient[rows], chest_pain.arrival[rows] + offset


def _history(shape: Shape, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """ECGs of the target's patients from the years before: in no window, and not in the source."""
    patient = np.repeat(np.arange(shape.indexed_patients), rng.poisson(0.2, shape.indexed_patients))
    return patient, moments(0, OPENS - 1, len(patient), rng)


def _source(shape: Shape, others: Others, count: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Of each source patient one or more, each in a second of its own: near a visit, or from another clinic."""
    rows = source_rows(shape)
    patient = np.repeat(np.asarray(rows), share_out(np.ones(len(rows), np.int64), count, rng))
    with_chest_pain = patient < shape.chest_pain_patients
    time = moments(0, np.where(with_chest_pain, OPENS - 1, CLOSES), count, rng).astype(np.int64)
    visits = others.start[patient + 1] - others.start[patient]
    near = np.flatnonzero(~with_chest_pain & (visits > 0) & (rng.random(count) < 0.4))
    visit = others.start[patient[near]] + (rng.random(len(near)) * visits[near]).astype(np.int64)
    time[near] = others.arrival[visit] + rng.normal(0.5 * HOUR, HOUR, len(near)).astype(np.int64)
    return patient, distinct(patient, time, np.array([], np.int64))


def digests(rows: Ints, seed: int) -> NDArray[np.uint64]:
    """Numbers that look random and are each their row's own (the steps of SplitMix64, each of which can be undone)."""
    mixed = (rows + 1).astype(np.uint64) + np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
