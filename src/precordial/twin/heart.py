"""Whose heart beats how: the waves of one heartbeat from age, sex, the person and an infarction.

The heart is one dipole that moves in three directions, in Frank's axes: x to the left, y to the feet, z to
the back. A beat is a handful of waves (`WAVES`), each a Gaussian in time with a direction and a size, and an
ST level. `PARAMETERS` says how these depend on age and sex and how much people differ; infarctions, early
repolarisation and hypertrophy change the waves afterwards, as a cardiologist would expect them to. Nothing
here knows the study's label: an infarction acts only through its territory, its size and its age in hours.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float32]

WAVES = ("right atrium", "left atrium", "Q", "R", "S", "T")
TERRITORIES = ("none", "anterior", "inferior", "lateral", "subendocardial")

# Where the ST vector points in acute injury. Injury of the whole wall: towards that wall; occlusions of LAD, RCA
# and LCX gave anterior, posterior-inferior-septal and posterior-inferior-lateral vectors (Andersen 2010, J
# Electrocardiol 43:121); the reciprocal depression follows by projection. Subendocardial: away from the apex.
INJURY = np.array(
    [(0, 0, 0), (0.35, -0.20, -0.90), (-0.12, 0.93, 0.30), (0.90, -0.25, 0.35), (-0.75, -0.55, -0.10)], np.float32
)


@dataclass(frozen=True)
class Parameter:
    """One row of the table: a normal distribution whose mean moves with age, for each sex.

    Attributes:
        men, women: mean at 50 years.
        men_decade, women_decade: change of the mean per ten years of age.
        between: standard deviation between persons of one age and sex.
        within: standard deviation between recordings of one person.
        source: who published the direction (and the size, where a number is given).
    """

    men: float
    women: float
    men_decade: float
    women_decade: float
    between: float
    within: float
    source: str


PARAMETERS: dict[str, Parameter] = {
    "heart rate, bpm": Parameter(
        66, 69, 0.3, 0.0, 9, 5, "Mason 2007 (J Electrocardiol 40:228): 48 to 98; Macfarlane 1994: faster in women"
    ),
    "PR interval, ms": Parameter(156, 150, 4.0, 4.0, 18, 4, "Mason 2007: 113 to 212; Magnani 2010: longer with age"),
    "P duration, ms": Parameter(
        107, 102, 3.5, 3.5, 8, 3, "Magnani 2010 (Ann Noninvasive Electrocardiol 15:344): up with age, less in women"
    ),
    "log P size": Parameter(0, -0.05, 0.0, 0.0, 0.22, 0.08, "spread only"),
    "QRS duration, ms": Parameter(
        97, 89, -0.8, 0.0, 7, 2, "Levy 1987: narrower with age in men; Rautaharju 2013: 85 ± 8 in women"
    ),
    "QTc (Fridericia), ms": Parameter(
        400, 411, 3.5, 2.5, 14, 6, "Mason 2007: 359 to 445; Rijnbeek 2014: longer in women and with age"
    ),
    "QRS axis, degrees": Parameter(
        42, 46, -8.5, -7.5, 20, 4, "Rijnbeek 2014 (J Electrocardiol 47:914), Levy 1987: leftward with age"
    ),
    "log QRS size": Parameter(
        0, -0.12, -0.06, -0.045, 0.17, 0.04, "Nemati 1978: 71 to 80 % left in old women, steeper in men; Levy 1987"
    ),
    "log S size": Parameter(0, -0.08, -0.04, -0.02, 0.25, 0.05, "Macfarlane 2018 (Adv Exp Med Biol 1065:93)"),
    "log T size": Parameter(
        0,
        -0.22,
        -0.065,
        -0.055,
        0.24,
        0.08,
        "Gambill 1995 (J Electrocardiol 28:191): men + 25 %; − 10, − 15 % per 20 y",
    ),
    "ST level, mV": Parameter(
        0.050, 0.018, -0.011, -0.002, 0.018, 0.007, "Surawicz 2002 (J Am Coll Cardiol 40:1870): male pattern 91 to 14 %"
    ),
    "log heart-rate variability": Parameter(
        -3.5, -3.5, -0.12, -0.11, 0.35, 0.20, "Umetani 1998 (J Am Coll Cardiol 31:593): SDNN index falls to 46 %"
    ),
}


@dataclass(frozen=True)
class Persons:
    """What stays with a person, from recording to recording; one row each.

    Attributes:
        traits: (n, parameters) how far the person is from the mean of `PARAMETERS`, in standard deviations.
        loops: (n, waves, 3) the person's own shape of each wave, standard normal.
        torso: (n, 8, 3) the person's own lead field, standard normal.
        early_repolarisation: (n,) raised J point, mV; mostly 0.
        hypertrophy: (n,) of the left ventricle, 0 to 1; mostly 0.
    """

    traits: Array
    loops: Array
    torso: Array
    early_repolarisation: Array
    hypertrophy: Array

    def take(self, rows: NDArray[np.intp]) -> Persons:
        """The persons of these rows."""
        return Persons(*(getattr(self, field.name)[rows] for field in fields(self)))


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


def draw_persons(ages: ArrayLike, sexes: ArrayLike, rng: np.random.Generator) -> Persons:
    """Draw one person for each age (years) and sex (1 = female)."""
    age, female = np.asarray(ages, np.float32), np.asarray(sexes) == 1
    n = len(age)
    # Early repolarisation: mostly young men (Surawicz 2002). Hypertrophy on the ECG: 5 %, above 65 years 9 %, women
    # more often (1.4 million ECGs of Kaiser Permanente, northern California).
    early = rng.random(n) < np.where(female, 0.02, 0.10) * np.clip(1.6 - age / 60, 0.15, 1)
    large = rng.random(n) < np.where(female, 0.06, 0.04) * np.clip(age / 50, 0.3, 2)
    return Persons(
        traits=rng.standard_normal((n, len(PARAMETERS)), np.float32),
        loops=rng.standard_normal((n, len(WAVES), 3), np.float32),
        torso=rng.standard_normal((n, 8, 3), np.float32),
        early_repolarisation=np.where(early, rng.uniform(0.06, 0.18, n), 0).astype(np.float32),
        hypertrophy=np.where(large, rng.uniform(0.3, 1, n), 0).astype(np.float32),
    )


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
    value = dict(zip(PARAMETERS, _parameters(age, female, persons.traits, rng), strict=True))
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
    vectors[:, 2] = size * (-0.12, -0.02, -0.30) - 0.07 * size * left
    vectors[:, 3] = size * (1.30 * left + (0, 0, 0.12))
    vectors[:, 4] = size * np.exp(value["log S size"] + 0.25 * large)[:, None] * (-0.10, -0.08, 0.85)
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
    st = _infarct(vectors, st, infarctions, rng)

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
        centres=centres * ms,
        before=before * ms,
        after=after * ms,
        st=st,
        j=0.55 * qrs * ms,
    )


def _parameters(age: Array, female: NDArray[np.bool_], traits: Array, rng: np.random.Generator) -> list[Array]:
    """The value of each row of `PARAMETERS` for each ECG."""
    decades = (np.clip(age, 18, 100) - 50) / 10
    today = rng.standard_normal(traits.shape, np.float32)
    return [
        np.where(female, row.women + row.women_decade * decades, row.men + row.men_decade * decades)
        + row.between * traits[:, i]
        + row.within * today[:, i]
        for i, row in enumerate(PARAMETERS.values())
    ]


def _frontal(axis: Array) -> Array:
    """Unit vector (n, 3) in the frontal plane that projects to this axis (degrees) of the limb leads.

    The axis is taken from leads I and 2/√3·aVF; Dower's coefficients of these two are inverted.
    """
    limb = np.array([(0.632, -0.235), (-0.081 * 2 / 3**0.5, 1.1835 * 2 / 3**0.5)])
    angle = np.radians(axis)
    flat = np.stack([np.cos(angle), np.sin(angle)], 1) @ np.linalg.inv(limb).T
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    return np.concatenate([flat, np.zeros((len(flat), 1))], 1).astype(np.float32)


def _infarct(vectors: Array, st: Array, infarctions: Infarctions, rng: np.random.Generator) -> Array:
    """Change the waves in place as the infarctions do; return the ST vectors.

    ST rises within minutes and falls over two days; T is tall in the first hours and inverts within a day; Q
    waves grow over half a day and stay (Thygesen 2018, fourth universal definition; Birnbaum & Drew 2003,
    Postgrad Med J 79:490).
    """
    hours = np.maximum(infarctions.hours, 0)
    size = np.where(infarctions.hours >= 0, infarctions.severity, 0)[:, None]
    own = 0.2 * rng.standard_normal((len(hours), 3), np.float32)
    direction = INJURY[infarctions.territory] + np.where(infarctions.territory[:, None] > 0, own, 0)
    direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-6)
    injury = ((1 - np.exp(-hours / 0.3)) * np.exp(-hours / 48))[:, None]
    tall = np.exp(-hours / 3)[:, None]
    inverted = ((1 - np.exp(-hours / 18)) * (0.25 + 0.75 * np.exp(-hours / 1000)))[:, None]
    whole_wall = (infarctions.territory != TERRITORIES.index("subendocardial"))[:, None]
    dead = np.where(whole_wall, np.minimum(2.5 * size, 0.7), 0) * (1 - np.exp(-hours / 8))[:, None]
    vectors[:, 2] -= dead * direction
    vectors[:, 3] -= 0.5 * dead * direction
    vectors[:, 5] += size * (0.9 * tall - 1.3 * inverted) * np.where(whole_wall, direction, 0.6 * direction)
    return (st + size * injury * direction).astype(np.float32)
