"""What people's hearts are like, and how much they differ: the table of parameters, and persons drawn from it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from precordial.twin.conditions import CONDITIONS, draw_blocks, draw_ectopy

Array = NDArray[np.float32]

# "late QRS" is empty but in bundle-branch block.
WAVES = ("right atrium", "left atrium", "Q", "R", "S", "late QRS", "T")


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
        66,
        69,
        0.3,
        0.0,
        9,
        5,
        "2nd to 98th percentile 48 to 98 (Mason 2007, J Electrocardiol 40:228); women 66 ± 9 (Rautaharju 2013, "
        "J Electrocardiol, PMC3825808); upper limit higher in women (Macfarlane 1994, J Electrocardiol 27 Suppl:14)",
    ),
    "PR interval, ms": Parameter(
        156,
        150,
        4.0,
        4.0,
        18,
        4,
        "113 to 212 (Mason 2007); longer with age and in men (Magnani 2010, Ann Noninvasive Electrocardiol 15:344)",
    ),
    "P duration, ms": Parameter(
        107,
        102,
        3.5,
        3.5,
        8,
        3,
        "Magnani 2010: longer with age, shorter in women; 107 ± 12 in an older series it cites",
    ),
    "log P size": Parameter(0, -0.05, 0.0, 0.0, 0.22, 0.08, "not verified: no trend with age"),
    "QRS duration, ms": Parameter(
        97,
        89,
        -0.8,
        0.0,
        7,
        2,
        "men 95, 74 to 114 (Surawicz 2009, J Am Coll Cardiol 53:976); women 85 ± 8 (Rautaharju 2013); "
        "narrower with age in men only (Levy, Framingham, Electrocardiographic changes with advancing age)",
    ),
    "QRS widening by a block, ms": Parameter(
        46,
        46,
        0.0,
        0.0,
        10,
        2,
        "120 ms or more (Surawicz 2009); 170 or more in 38 of 300 left blocks (Das 2001, Am Heart J 142:756)",
    ),
    "QTc (Fridericia), ms": Parameter(
        400,
        411,
        3.5,
        2.5,
        14,
        6,
        "359 to 445 (Mason 2007); age trend (Rijnbeek 2014, J Electrocardiol 47:914); longer in women "
        "(Macfarlane 2018, Adv Exp Med Biol 1065:93)",
    ),
    "axis of R, degrees": Parameter(
        42,
        46,
        -8.5,
        -7.5,
        20,
        4,
        "of the QRS: -40 to 91 (Mason 2007), to the left with age in both sexes (Levy); with Q and S the whole QRS "
        "lies here some 12 further left",
    ),
    "log QRS size": Parameter(
        0,
        -0.12,
        -0.06,
        -0.045,
        0.17,
        0.04,
        "oldest women 71 to 80 % of the youngest, men steeper (Nemati, 450 normal women); Levy found it in men only, "
        "and Rijnbeek 2014 larger left chest leads in old women",
    ),
    "log S size": Parameter(
        0,
        -0.08,
        -0.04,
        -0.02,
        0.25,
        0.05,
        "S in V1 falls with age in men (Levy); sexes: direction only, as of all QRS voltages (Macfarlane 2018)",
    ),
    "log T size": Parameter(
        0,
        -0.22,
        -0.065,
        -0.055,
        0.24,
        0.08,
        "men + 25 %; - 10 % and - 15 % in steps of 20 years (Gambill 1995, J Electrocardiol 28:191)",
    ),
    "ST level, mV": Parameter(
        0.050,
        0.018,
        -0.011,
        -0.002,
        0.018,
        0.007,
        "J point of 0.1 mV in 91 % of men at 17 to 24, 14 % of the oldest; women alike at all ages (Surawicz 2002, "
        "J Am Coll Cardiol 40:1870)",
    ),
    "log heart-rate variability": Parameter(
        -3.5,
        -3.5,
        -0.10,
        -0.10,
        0.35,
        0.20,
        "SDNN index falls to 46 % in eight decades (Umetani 1998, J Am Coll Cardiol 31:593)",
    ),
}


@dataclass(frozen=True)
class Persons:
    """What stays with a person, from recording to recording; one row each.

    Attributes:
        heart_years: (n,) how much older the heart is than the person; all that depends on age depends on its age.
        traits: (n, parameters) how far the person is from the mean of `PARAMETERS`, in standard deviations.
        loops: (n, waves, 3) the person's own shape of each wave, standard normal.
        torso: (n, 8, 3) the person's own lead field (habitus), standard normal.
        coronaries: (n, 3) how the person's injuries point beside the territory's direction, standard normal.
        early_repolarisation: (n,) raised J point, mV; mostly 0.
        hypertrophy: (n,) of the left ventricle, 0 to 1; mostly 0.
        st_t_changes: (n,) lasting ST depression and low T, 0 to 1; mostly 0.
        bundle_branch: (n,) 0 none, 1 right, 2 left bundle-branch block.
        ectopy: (n, 2) atrial and ventricular premature beats per minute; mostly next to 0.
        focus: (n, 3) where the premature beats begin, standard normal.
    """

    heart_years: Array
    traits: Array
    loops: Array
    torso: Array
    coronaries: Array
    early_repolarisation: Array
    hypertrophy: Array
    st_t_changes: Array
    bundle_branch: NDArray[np.int8]
    ectopy: Array
    focus: Array

    def take(self, rows: NDArray[np.intp]) -> Persons:
        """The persons of these rows."""
        return Persons(*(getattr(self, field.name)[rows] for field in fields(self)))


def draw_heart_years(n: int, rng: np.random.Generator) -> Array:
    """How much older than themselves people's hearts are, (n,) years.

    Age as networks read it from the ECG is off by 0.9 ± 7.4 years (25 144 people, Eur Heart J Digit Health 2021;2:379);
    a part of that is the networks' error.
    """
    return 6 * rng.standard_normal(n, np.float32)


def draw_persons(
    ages: ArrayLike, sexes: ArrayLike, rng: np.random.Generator, heart_years: Array | None = None
) -> Persons:
    """Draw one person for each age (years) and sex (1 = female); hearts of another age are given or drawn."""
    female = np.asarray(sexes) == 1
    n = len(female)
    years = draw_heart_years(n, rng) if heart_years is None else heart_years
    age = np.asarray(ages, np.float32) + years
    early = rng.random(n) < CONDITIONS["early repolarisation"].share(age, female)
    large = rng.random(n) < CONDITIONS["left-ventricular hypertrophy"].share(age, female)
    changed = rng.random(n) < CONDITIONS["lasting ST and T changes"].share(age, female)
    return Persons(
        heart_years=years,
        traits=rng.standard_normal((n, len(PARAMETERS)), np.float32),
        loops=rng.standard_normal((n, len(WAVES), 3), np.float32),
        torso=rng.standard_normal((n, 8, 3), np.float32),
        coronaries=rng.standard_normal((n, 3), np.float32),
        early_repolarisation=np.where(early, rng.uniform(0.06, 0.18, n), 0).astype(np.float32),
        hypertrophy=np.where(large, rng.uniform(0.3, 1, n), 0).astype(np.float32),
        st_t_changes=np.where(changed, rng.uniform(0.2, 1, n), 0).astype(np.float32),
        bundle_branch=draw_blocks(age, female, rng),
        ectopy=draw_ectopy(age, rng),
        focus=rng.standard_normal((n, 3), np.float32),
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
