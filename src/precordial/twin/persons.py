"""What people's hearts are like, and how much they differ: the table of parameters, and persons drawn from it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float32]

WAVES = ("right atrium", "left atrium", "Q", "R", "S", "T")


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
        "Gambill 1995 (J Electrocardiol 28:191): men + 25 %; lower with age",
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
        coronaries: (n, 3) how the person's injuries point beside the territory's direction, standard normal.
        early_repolarisation: (n,) raised J point, mV; mostly 0.
        hypertrophy: (n,) of the left ventricle, 0 to 1; mostly 0.
    """

    traits: Array
    loops: Array
    torso: Array
    coronaries: Array
    early_repolarisation: Array
    hypertrophy: Array

    def take(self, rows: NDArray[np.intp]) -> Persons:
        """The persons of these rows."""
        return Persons(*(getattr(self, field.name)[rows] for field in fields(self)))


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
        coronaries=rng.standard_normal((n, 3), np.float32),
        early_repolarisation=np.where(early, rng.uniform(0.06, 0.18, n), 0).astype(np.float32),
        hypertrophy=np.where(large, rng.uniform(0.3, 1, n), 0).astype(np.float32),
    )


def parameters(age: Array, female: NDArray[np.bool_], traits: Array, rng: np.random.Generator) -> dict[str, Array]:
    """The value (n,) of each row of `PARAMETERS` for each ECG."""
    decades = (np.clip(age, 18, 100) - 50) / 10
    today = rng.standard_normal(traits.shape, np.float32)
    return {
        name: np.where(female, row.women + row.women_decade * decades, row.men + row.men_decade * decades)
        + row.between * traits[:, i]
        + row.within * today[:, i]
        for i, (name, row) in enumerate(PARAMETERS.items())
    }
