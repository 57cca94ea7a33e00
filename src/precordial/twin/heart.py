"""Whose heart beats how: the waves of one heartbeat from age, sex, the person and an infarction.

The heart is one dipole that moves in three directions, in Frank's axes: x to the left, y to the feet, z to
the back. A beat is a handful of waves (`WAVES`), each a Gaussian in time with a direction and a size, and an
ST level. How these depend on age and sex, and how much people differ, stands in `persons.PARAMETERS`;
bundle-branch block, infarctions, early repolarisation and hypertrophy change the waves afterwards, as a
cardiologist would expect them to. Nothing here knows the study's label: an infarction acts only through its
territory, its size and its age in hours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from precordial.twin.conditions import MOST
from precordial.twin.conduction import ONSET, block_waves, timing
from precordial.twin.leads import axis_of, frontal
from precordial.twin.persons import WAVES, Persons, parameters

Array = NDArray[np.float32]

TERRITORIES = ("none", "anterior", "inferior", "lateral", "subendocardial")

# Where the ST vector points in acute injury. Injury of the whole wall: towards that wall. Occlusions of the LAD gave
# vectors forwards, of the RCA to the back, the feet and the septum, of the LCX to the back, the feet and the left
# (Andersen 2010, PMID 20159205); lateral is here the high lateral wall. The reciprocal depression follows by
# projection. Subendocardial: away from the apex, so that II and V4 to V6 fall and aVR rises.
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
        heart_rate: (n,) of the sinus beats, per minute. pr, qrs, qt: (n,) ms. axis: (n,) of the QRS, degrees.
        variability: (n,) standard deviation of the RR interval as a part of it.
        vectors: (n, waves, 3) mV. centres, before, after: (n, waves) the peak, and the standard deviation of
            the Gaussian on either side of it.
        st: (n, 3) ST vector, mV, from `j` (n,) until it fades with the end of T.
        ectopy: (n, 2) expected atrial and ventricular premature beats per minute.
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
    ectopy: Array


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
    age, female = np.asarray(ages, np.float32) + persons.heart_years, np.asarray(sexes) == 1
    value = parameters(age, female, persons.traits, rng)
    large, block = persons.hypertrophy, persons.bundle_branch
    rate = np.clip(value["heart rate, bpm"] + np.asarray(stress, np.float32), 42, 140)
    pr, p = np.clip(value["PR interval, ms"], 110, 260), np.clip(value["P duration, ms"], 70, 145)
    narrow = np.clip(value["QRS duration, ms"] + 6 * large, 70, 118)
    widening = value["QRS widening by a block, ms"] * np.array((0, 1.0, 1.25))[block]
    qrs = np.where(block > 0, np.clip(narrow + widening, 122, 178), narrow)
    # A block lengthens QT by as much as the QRS; JT stays (Bogossian 2014, Heart Rhythm 11:2273).
    qt = np.clip(value["QTc (Fridericia), ms"], 350, 480) * np.cbrt(60 / rate) + qrs - narrow
    # Left block turns the axis to -30 (matched patients of Neth Heart J 2021;29:643).
    left = frontal(value["axis of R, degrees"] - 20 * large - np.array((0, 0, 40))[block])

    vectors = np.zeros((len(age), len(WAVES), 3), np.float32)
    p_size = np.exp(value["log P size"])[:, None]
    vectors[:, 0] = p_size * (0.03, 0.085, -0.035)
    vectors[:, 1] = p_size * (0.045, 0.055, 0.03)
    size = np.exp(value["log QRS size"] + 0.42 * large)[:, None]
    vectors[:, 2] = size * (-0.02, -0.01, -0.35) - 0.05 * size * left
    vectors[:, 3] = size * (1.30 * left + (0, 0, 0.12))
    vectors[:, 4] = size * np.exp(value["log S size"] + 0.30 * large)[:, None] * (-0.21, -0.08, 0.88)
    t_size = np.exp(value["log T size"])[:, None]
    vectors[:, 6] = t_size * (0.13 * left + (0.20, 0.11, -0.22))
    # Men's raised J point and early repolarisation: forwards, to the left and down, into a tall T.
    early = persons.early_repolarisation[:, None]
    st = (value["ST level, mV"][:, None] + early) * np.array((0.40, 0.25, -1.10), np.float32)
    vectors[:, 6] *= 1 + 2.0 * early
    # Hypertrophy's strain: ST and T against the QRS.
    st -= 0.11 * large[:, None] * left
    vectors[:, 6] -= 0.42 * large[:, None] * left
    # Lasting changes of ST and T: away from the left ventricle's side walls and front, as in chronic ischaemia; up to
    # 0.1 mV of ST and a T that is flat or inverted there.
    changed = persons.st_t_changes[:, None] * (left - np.array((0, 0, 0.35), np.float32))
    st -= 0.09 * changed
    vectors[:, 6] -= 0.34 * changed
    block_waves(vectors, st, size, left, block)
    vectors *= 1 + 0.17 * persons.loops + 0.03 * rng.standard_normal(persons.loops.shape, np.float32)
    st = _infarct(vectors, st, infarctions, persons.coronaries)

    ms = 1e-3
    onset, t_after = -ONSET * narrow, 0.085 * qt
    q_to_late, widths = timing(narrow, qrs, block)
    atria = np.stack([onset - pr + 0.36 * p, onset - pr + 0.62 * p], 1)
    t_peak = onset + qt - 2.2 * t_after
    centres = np.concatenate([atria, q_to_late, t_peak[:, None]], 1)
    before = np.concatenate([np.stack([0.17 * p, 0.17 * p], 1), widths, 0.14 * qt[:, None]], 1)
    after = np.concatenate([before[:, :-1], t_after[:, None]], 1)
    return Beats(
        heart_rate=rate,
        pr=pr,
        qrs=qrs,
        qt=qt,
        axis=axis_of((vectors[:, 2:6] * before[:, 2:6, None]).sum(1)),
        variability=np.clip(np.exp(value["log heart-rate variability"]), 0.003, 0.12),
        vectors=vectors,
        centres=(centres * ms).astype(np.float32),
        before=(before * ms).astype(np.float32),
        after=(after * ms).astype(np.float32),
        st=st,
        j=(onset + 0.97 * qrs) * ms,
        ectopy=_irritated(persons.ectopy, infarctions),
    )


def course(hours: Array) -> dict[str, Array]:
    """How far each change of an infarction has come (n,) so many hours (n,) after its onset, 0 to 1.

    ST rises within minutes and falls over a day or two; T is tall in the first hours and inverts within a day or two,
    for weeks; Q waves grow over half a day and stay. The sequence is the textbooks'; the time constants are chosen.
    """
    hours = np.maximum(hours, 0)
    falling = np.exp(-hours / 24)
    return {
        "ST": (1 - np.exp(-hours / 0.3)) * falling,
        "tall T": np.exp(-hours / 3),
        "inverted T": (1 - np.exp(-((hours / 20) ** 2))) * (0.15 + 0.85 * np.exp(-hours / 1000)),
        "Q": 1 - np.exp(-hours / 8),
        "low T, subendocardial": falling,
    }


def _infarct(vectors: Array, st: Array, infarctions: Infarctions, coronaries: Array) -> Array:
    """Change the waves in place as the infarctions do; return the ST vectors.

    With subendocardial injury T goes with ST, and there are no Q waves.
    """
    size = np.where(infarctions.hours >= 0, infarctions.severity, 0)[:, None]
    direction = INJURY[infarctions.territory] + 0.2 * coronaries * (infarctions.territory[:, None] > 0)
    direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-6)
    now = {name: part[:, None] for name, part in course(infarctions.hours).items()}
    whole_wall = (infarctions.territory != TERRITORIES.index("subendocardial"))[:, None]
    dead = np.where(whole_wall, np.minimum(2.5 * size, 0.7), 0) * now["Q"]
    vectors[:, 2] -= dead * direction
    vectors[:, 3] -= 0.5 * dead * direction
    t = np.where(whole_wall, 0.9 * now["tall T"] - 2.2 * now["inverted T"], 0.3 * now["low T, subendocardial"])
    vectors[:, 6] += size * t * direction
    return np.asarray(st + size * now["ST"] * direction, np.float32)


def _irritated(ectopy: Array, infarctions: Infarctions) -> Array:
    """Premature beats per minute: an infarction that the ECG shows makes ventricular ones commoner for a day.

    A third of the patients of a coronary care unit had frequent, paired or early ones (Vismara 1975, Br Heart J
    37:598), healthy people hardly ever; the factor of 5 is chosen.
    """
    acute = (infarctions.hours >= 0) & (infarctions.hours < 24) & (infarctions.severity > 0)
    factor = np.stack([np.ones(len(acute)), np.where(acute, 5, 1)], 1)
    return np.asarray(np.minimum(ectopy * factor, MOST), np.float32)
