"""From heartbeats to recordings: lead field, beats laid down, and noise.

Everything runs on whole batches in float32. A recording is one template beat, laid down at each R peak
with that beat's own size, plus baseline wander, mains hum and muscle noise; premature beats have templates of
their own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from precordial.twin.heart import Beats, Infarctions, beats
from precordial.twin.leads import DOWER
from precordial.twin.persons import Persons, draw_persons
from precordial.twin.rhythm import ATRIAL, SINUS, VENTRICULAR, premature_beats, rhythm

Array = NDArray[np.float32]

BEFORE, AFTER = 0.48, 0.72  # seconds of the template before and after the R peak
BATCH = 64  # ECGs made at once: 10 MB, near the caches


def synthetic_ecgs(
    ages: ArrayLike,
    sexes: ArrayLike,
    infarctions: Infarctions | None = None,
    *,
    seed: int = 0,
    rate: int = 500,
    seconds: float = 10,
) -> Array:
    """Make one ECG each for persons of given age and sex.

    Args:
        ages: (n,) years.
        sexes: (n,) 1 = female, 0 = male.
        infarctions: one for each ECG; None for none at all.
        seed: equal seeds give equal ECGs.
        rate: samples per second.
        seconds: length of each ECG.

    Returns:
        (n, 8, samples) mV in the order of `precordial.ecg.EIGHT`.

    >>> synthetic_ecgs([40, 80], [0, 1]).shape
    (2, 8, 5000)
    """
    rng = np.random.default_rng(seed)
    age, sex = np.asarray(ages, np.float32), np.asarray(sexes)
    persons = draw_persons(age, sex, rng)
    heart = beats(age, sex, persons, infarctions or Infarctions.none(len(age)), rng)
    return record(heart, persons, rng, rate=rate, seconds=seconds)[0]


def record(
    heart: Beats, persons: Persons, rng: np.random.Generator, *, rate: int = 500, seconds: float = 10
) -> tuple[Array, Array]:
    """Record the hearts.

    Returns:
        (n, 8, samples) mV, and the noiseless template (n, 8, 1.2 s) of the sinus beats that it was laid down from.
    """
    field = lead_field(persons, rng)
    template = templates(heart, field, rate)
    n, samples = len(template), round(rate * seconds)
    signal = np.empty((n, 8, samples), np.float32)
    peaks, sizes, kinds = rhythm(heart, rng, seconds)
    shapes = {(row, SINUS): shape for row, shape in enumerate(template)}
    for kind in (ATRIAL, VENTRICULAR):
        rows = np.flatnonzero((kinds == kind).any(1))
        made = templates(premature_beats(heart, persons, rows, kind), field[rows], rate)
        shapes |= {(int(row), kind): shape for row, shape in zip(rows, made, strict=True)}
    starts = np.rint((peaks - BEFORE) * rate).astype(np.int64)
    length = template.shape[2]
    for first in range(0, n, BATCH):
        part = slice(first, min(first + BATCH, n))
        signal[part] = _noise(part.stop - first, samples, rate, rng)
        for i in range(first, part.stop):
            for beat in np.flatnonzero((starts[i] > -length) & (starts[i] < samples)):
                start = int(starts[i, beat])
                low, high = max(start, 0), min(start + length, samples)
                shape = shapes[i, int(kinds[i, beat])]
                signal[i, :, low:high] += sizes[i, beat, :, None] * shape[:, low - start : high - start]
    return signal, template


def lead_field(persons: Persons, rng: np.random.Generator) -> Array:
    """(n, 8, 3): Dower's field, different in every torso and a little with each placing of the electrodes."""
    placing = rng.standard_normal(persons.torso.shape, np.float32)
    return np.asarray(DOWER * (1 + 0.14 * persons.torso + 0.04 * placing) + 0.03 * persons.torso[:, :, ::-1])


def templates(heart: Beats, field: Array, rate: int) -> Array:
    """One noiseless beat of each ECG, (n, 8, samples) mV, the R peak `BEFORE` seconds from its start."""
    t = (np.arange(round((BEFORE + AFTER) * rate), dtype=np.float32) / rate - BEFORE)[None, None, :]
    off = t - heart.centres[:, :, None].astype(np.float32)
    width = np.where(off < 0, heart.before[:, :, None], heart.after[:, :, None]).astype(np.float32)
    waves = np.exp(-0.5 * (off / width) ** 2)
    # The ST level rises within some 30 ms at the J point, stays until the peak of T, and fades with T's end.
    rise = 0.5 + 0.5 * np.tanh((t - heart.j[:, None, None].astype(np.float32)) / np.float32(0.014))
    level = rise * np.where(off[:, -1:] < 0, np.float32(1), waves[:, -1:])
    vectors = np.concatenate([heart.vectors, heart.st[:, None]], 1).astype(np.float32)
    return np.asarray((field @ vectors.transpose(0, 2, 1)) @ np.concatenate([waves, level], 1))


def _noise(n: int, samples: int, rate: int, rng: np.random.Generator) -> Array:
    """Baseline wander, mains hum and muscle noise, (n, 8, samples) mV."""
    t = np.arange(samples, dtype=np.float32) / rate
    slow = rng.uniform((0.05, 0.15, 0.3), (0.12, 0.35, 0.6), (n, 3)).astype(np.float32)  # Hz
    phase = (2 * np.pi * rng.random((n, 3, 1))).astype(np.float32)
    wander = np.sin(np.float32(2 * np.pi) * slow[:, :, None] * t + phase)
    hum = np.sin(2 * np.pi * 50 * t + np.array([0, np.pi / 2], np.float32)[:, None]).astype(np.float32)
    loud = np.exp(rng.normal(-1, 0.6, (n, 1, 1)))
    drift = rng.standard_normal((n, 8, 3), np.float32) * np.array((0.10, 0.08, 0.03), np.float32) * loud
    mains = rng.standard_normal((n, 8, 2), np.float32) * np.exp(rng.normal(-6.3, 0.7, (n, 1, 1)))
    muscle = np.exp(rng.normal(-4.6, 0.45, (n, 1, 1)) + rng.normal(0, 0.2, (n, 8, 1))).astype(np.float32)
    # Muscle: sums of two bytes, as good as normal at this size and faster; summing neighbours takes from
    # the highest frequencies, as electrodes and amplifier do.
    steps = np.frombuffer(rng.bytes(n * 8 * (samples + 1)), np.int8).reshape(n, 8, samples + 1).astype(np.int16)
    noise = (steps[:, :, 1:] + steps[:, :, :-1]) * (muscle / np.float32(104.5))
    noise += drift.astype(np.float32) @ wander
    noise += mains.astype(np.float32) @ hum
    return noise
