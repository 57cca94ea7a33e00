"""Whose heart beats how: the waves of one heartbeat from age, sex, the person and an infarction.

The heart is one dipole that moves in three directions, in Frank's axes: x to the left, y to the feet, z to
the back. A beat is a handful of waves (`WAVES`), each a Gaussian in time with a direction and a size, and an
ST level. How these depend on age and sex, and how much people differ, stands in `persons.PARAMETERS`;
infarctions, early repolarisation and hypertrophy change the waves afterwards, as a cardiologist would expect
them to. Nothing here knows the study's label: an infarction acts only through its territory, its size and its
age in hours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from precordial.twin.persons import WAVES, Persons, parameters

Array = NDArray[np.float32]

TERRITORIES = ("none", "anterior", "inferior", "lateral", "subendocardial")

# Where the ST vector points in acute injury. Injury of the whole wall: towards that wall; occlusions of LAD, RCA
# and LCX gave anterior, posterior-inferior-septal and posterior-inferior-lateral vectors (Andersen 2010, J
# Electrocardiol 43:121); the reciprocal depression follows by projection. Subendocardial: away from the apex.
INJURY = np.array(
    [(0, 0, 0), (0.35, -0.20, -0.90), (-0.12, 0.93, 0.30), (0.90, -0.25, 0.35), (-0.75, -0.55, -0.10)], np.float32
)


@dataclass(frozen=True)
class Infarctions:
    """One infarction for each ECG, or none.

    Attributes:
        territory: (n,) index into `TERRITORIES`.
        severity: (n,) length of the ST vector at its height, mV; 0 is a silent infarction.
        hours: (n,) since the onset; after weeks only the Q waves remain. Below zero there is none yet.
    """

    territory: NDArray[np.int8]
    severity: Array
    hours: Array

    @classmethod
    def none(cls, n: int) -> Infarctions:
        """No infarction in any of n ECGs."""
        return cls(np.zeros(n, np.int8), np.zeros(n, np.float32), np.zeros(n, np.float32))


@dataclass(frozen=True)
class Beats:
    """The typical beat of each ECG; times in seconds from the R peak.

    Attributes:
        heart_rate: (n,) per minute. pr, qrs, qt: (n,) ms. axis: (n,) of the QRS, degrees.
        variability: (n,) standard deviation of the RR interval as a part of it.
        vectors: (n, waves, 3) mV. centres, before, after: (n, waves) the peak, and the standard deviation of
            the Gaussian on either side of it.
        st: (n, 3) ST vector, mV, from `j` (n,) until it fades with the end of T.
    """

    heart_rate: Array
    pr: Array
    qrs: Array
    qt: Array
    axis: Array
    variability: Array
    vectors: Array
    centres: Array
    before: Array
    after: Array
    st: Array
    j: Array


def beats(
    ages: ArrayLike,
    sexes: ArrayLike,
    persons: Persons,
    infarctions: Infarctions,
    rng: np.random.Generator,
    stress: ArrayLike = 0.0,
) -> Beats:
    """The beat of each ECG.

    Args:
        ages: (n,) years. sexes: (n,) 1 = female.
        persons: whose heart it is, one row for each ECG.
        infarctions: what has happened to it.
        rng: draws what differs between recordings of one person.
        stress: beats per minute added by pain and illness.
    """
    age, female = np.asarray(ages, np.float32), np.asarray(sexes) == 1
    value = parameters(age, female, persons.traits, rng)
    large = persons.hypertrophy
    rate = np.clip(value["heart rate, bpm"] + np.asarray(stress, np.float32), 42, 140)
    pr, p = np.clip(value["PR interval, ms"], 110, 260), np.clip(value["P duration, ms"], 70, 145)
    qrs = np.clip(value["QRS duration, ms"] + 6 * large, 70, 118)
    qt = np.clip(value["QTc (Fridericia), ms"], 350, 480) * np.cbrt(60 / rate)
    axis = value["QRS axis, degrees"] - 20 * large

    vectors = np.empty((len(age), len(WAVES), 3), np.float32)
    p_size = np.exp(value["log P size"])[:, None]
    vectors[:, 0] = p_size * (0.03, 0.085, -0.035)
    vectors[:, 1] = p_size * (0.045, 0.055, 0.03)
    size = np.exp(value["log QRS size"] + 0.35 * large)[:, None]
    left = _frontal(axis)
    vectors[:, 2] = size * (-0.02, -0.01, -0.35) - 0.05 * size * left
    vectors[:, 3] = size * (1.30 * left + (0, 0, 0.12))
    vectors[:, 4] = size * np.exp(value["log S size"] + 0.25 * large)[:, None] * (-0.21, -0.08, 0.88)
    t_size = np.exp(value["log T size"])[:, None]
    vectors[:, 5] = t_size * (0.13 * left + (0.20, 0.11, -0.22))
    vectors *= 1 + 0.17 * persons.loops + 0.03 * rng.standard_normal(persons.loops.shape, np.float32)

    # Men's raised J point and early repolarisation: forwards, to the left and down, into a tall T.
    early = persons.early_repolarisation[:, None]
    st = (value["ST level, mV"][:, None] + early) * np.array((0.40, 0.25, -1.10), np.float32)
    vectors[:, 5] *= 1 + 2.0 * early
    # Hypertrophy's strain: ST and T against the QRS.
    st -= 0.11 * large[:, None] * left
    vectors[:, 5] -= 0.42 * large[:, None] * left
    st = _infarct(vectors, st, infarctions, persons.coronaries)

    ms = 1e-3
    onset, t_after = -0.42 * qrs, 0.085 * qt
    centres = np.stack(
        [onset - pr + 0.36 * p, onset - pr + 0.62 * p, -0.25 * qrs, 0 * qrs, 0.26 * qrs, onset + qt - 2.2 * t_after], 1
    )
    before = np.stack([0.17 * p, 0.17 * p, 0.09 * qrs, 0.12 * qrs, 0.125 * qrs, 0.14 * qt], 1)
    after = np.concatenate([before[:, :5], t_after[:, None]], 1)
    return Beats(
        heart_rate=rate,
        pr=pr,
        qrs=qrs,
        qt=qt,
        axis=axis,
        variability=np.clip(np.exp(value["log heart-rate variability"]), 0.003, 0.12),
        vectors=vectors,
        centres=(centres * ms).astype(np.float32),
        before=(before * ms).astype(np.float32),
        after=(after * ms).astype(np.float32),
        st=st,
        j=0.55 * qrs * ms,
    )


def _frontal(axis: Array) -> Array:
    """Unit vector (n, 3) in the frontal plane that projects to this axis (degrees) of the limb leads.

    The axis is taken from leads I and 2/√3·aVF; Dower's coefficients of these two are inverted.
    """
    limb = np.array([(0.632, -0.235), (-0.081 * 2 / 3**0.5, 1.1835 * 2 / 3**0.5)])
    angle = np.radians(axis)
    flat = np.stack([np.cos(angle), np.sin(angle)], 1) @ np.linalg.inv(limb).T
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    return np.concatenate([flat, np.zeros((len(flat), 1))], 1).astype(np.float32)


def _infarct(vectors: Array, st: Array, infarctions: Infarctions, coronaries: Array) -> Array:
    """Change the waves in place as the infarctions do; return the ST vectors.

    ST rises within minutes and falls over two days; T is tall in the first hours and inverts within a day; Q
    waves grow over half a day and stay (Thygesen 2018, fourth universal definition; Birnbaum & Drew 2003,
    Postgrad Med J 79:490).
    """
    hours = np.maximum(infarctions.hours, 0)
    size = np.where(infarctions.hours >= 0, infarctions.severity, 0)[:, None]
    direction = INJURY[infarctions.territory] + 0.2 * coronaries * (infarctions.territory[:, None] > 0)
    direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-6)
    injury = ((1 - np.exp(-hours / 0.3)) * np.exp(-hours / 48))[:, None]
    tall = np.exp(-hours / 3)[:, None]
    inverted = ((1 - np.exp(-hours / 18)) * (0.25 + 0.75 * np.exp(-hours / 1000)))[:, None]
    whole_wall = (infarctions.territory != TERRITORIES.index("subendocardial"))[:, None]
    dead = np.where(whole_wall, np.minimum(2.5 * size, 0.7), 0) * (1 - np.exp(-hours / 8))[:, None]
    vectors[:, 2] -= dead * direction
    vectors[:, 3] -= 0.5 * dead * direction
    vectors[:, 5] += size * (0.9 * tall - 1.3 * inverted) * np.where(whole_wall, direction, 0.6 * direction)
    return np.asarray(st + size * injury * direction, np.float32)
