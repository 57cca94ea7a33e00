"""Lasting conditions of a heart that are no infarction but may look like one, and who has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Flags = NDArray[np.bool_]

BLOCKS = ("none", "right", "left")  # values of Persons.bundle_branch
MOST = 10.0  # premature beats per minute: beyond this it would be another rhythm


@dataclass(frozen=True)
class Condition:
    """Who has it.

    Attributes:
        share: probability (n,) from ages (n,) in years and whether female (n,).
        source: what the shares follow.
    """

    share: Callable[[Array, Flags], Array]
    source: str


def _early_repolarisation(age: Array, female: Flags) -> Array:
    return np.asarray(np.where(female, 0.02, 0.10) * np.clip(1.6 - age / 60, 0.15, 1), np.float32)


def _hypertrophy(age: Array, female: Flags) -> Array:
    return np.asarray(np.where(female, 0.07, 0.025) * np.clip(age / 52, 0.4, 1.8) ** 1.6, np.float32)


def _st_t_changes(age: Array, female: Flags) -> Array:
    return np.asarray(np.where(female, 0.21, 0.20) * (np.clip(age, 18, 90) / 70) ** 3.2, np.float32)


def _right_block(age: Array, female: Flags) -> Array:
    return np.asarray(np.where(female, 0.016, 0.041) * (np.clip(age, 18, 95) / 77) ** 4.5, np.float32)


def _left_block(age: Array, female: Flags) -> Array:
    return np.asarray(np.where(female, 0.020, 0.025) * (np.clip(age, 18, 95) / 77) ** 5, np.float32)


CONDITIONS: dict[str, Condition] = {
    "early repolarisation": Condition(
        _early_repolarisation,
        "notch or slur in 11 % of men and 6 % of women, with raised ST in a quarter of them; half the odds in men "
        "above 65 (CESCAS 2019, Acta Cardiol); at 25 years 90 % are men, and few keep it to middle age (Walsh 2013, "
        "CARDIA, J Am Coll Cardiol 61:863)",
    ),
    "left-ventricular hypertrophy": Condition(
        _hypertrophy,
        "Cornell voltage in 1.4 million ECGs: 7.4 % of women, 2.5 % of men, 9.3 % above 65 (Kaiser Permanente Northern "
        "California; its abstract)",
    ),
    "lasting ST and T changes": Condition(
        _st_t_changes,
        "ST depression in 2.2 % of men at 50 and 14 % at 70, T-wave items in 5.6 % and 16 % (Uppsala, BMC Cardiovasc "
        "Disord 2006;6:10, table 2; some have both); of women of 72 as many as of men (Cardiovascular Health Study, "
        "PMC3673724, table 2)",
    ),
    "right bundle-branch block": Condition(
        _right_block,
        "Reykjavík: none at 30 to 39, 4.1 % of men and 1.6 % of women at 75 to 79; Copenhagen: 1.4 % and 0.5 % "
        "(Bussink 2013, Eur Heart J 34:138); Finland: 0.3 % below 45, 2.2 % above 55 (Haataja 2013, Int J Cardiol "
        "167:1953)",
    ),
    "left bundle-branch block": Condition(
        _left_block,
        "Iceland, 33 to 71 years: 0.43 % of men, 0.28 % of women (Eur Heart J 1987;8:1075); Finland: none below 45, "
        "2.2 % above 55 (Haataja 2013)",
    ),
}


@dataclass(frozen=True)
class Premature:
    """How often premature beats come: log-normal, so that most people have next to none.

    Attributes:
        median: per hour at 50 years.
        decade: change of its logarithm per ten years.
        spread: standard deviation of the logarithm between persons.
        source: what they follow.
    """

    median: float
    decade: float
    spread: float
    source: str


PREMATURE: dict[str, Premature] = {  # columns of Persons.ectopy
    "atrial": Premature(
        0.8,
        0.5,
        1.3,
        "medians of 0.8 (quartiles 0.4 and 1.8) an hour at 50 to 55 years, 2.6 (1.2 and 6.5) from 70 (Conen 2012, "
        "Circulation 126:2302)",
    ),
    "ventricular": Premature(
        0.10,
        0.3,
        3.0,
        "median of 2 and 95th percentile of some 200 in 24 hours at 25 to 41 years (2 065 people, American Heart "
        "Association abstract 17075); more than 10 an hour in a tenth of healthy men from 40 (147 men, Frequency of "
        "extrasystoles in healthy male employees); more with age, sex without effect (Kostis, 101 normal hearts)",
    ),
}


def draw_blocks(age: Array, female: Flags, rng: np.random.Generator) -> NDArray[np.int8]:
    """Who has a bundle-branch block: (n,) index into `BLOCKS`."""
    chance = rng.random(len(age))
    right = CONDITIONS["right bundle-branch block"].share(age, female)
    left = CONDITIONS["left bundle-branch block"].share(age, female)
    return np.select([chance < right, chance < right + left], [1, 2], 0).astype(np.int8)


def draw_ectopy(age: Array, rng: np.random.Generator) -> Array:
    """How often premature beats come: (n, 2) per minute, atrial and ventricular, as `PREMATURE` says."""
    decades = (np.clip(age, 18, 100) - 50) / 10
    per_hour = np.stack(
        [
            np.exp(np.log(kind.median) + kind.decade * decades + kind.spread * rng.standard_normal(len(age)))
            for kind in PREMATURE.values()
        ],
        1,
    )
    return np.asarray(np.minimum(per_hour / 60, MOST), np.float32)
