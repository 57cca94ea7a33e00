"""The visits with chest pain of the shaped registers, in the exact numbers of the flow chart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from precordial.twin.shaped.people import CLOSES, DAY, HOUR, OPENS, SITES, Ints, People, moments, share_out
from precordial.twin.shaped.shape import Shape

WALK, OLDER, REST, LOST = range(4)
APART = 12 * HOUR  # no ECG of a visit is in another's window, but for those who come back
ISOLATED = 62 * DAY  # no diagnosis is within 30 days of two visits
COME_BACK = 0.004  # of the patients in the random splits, within hours, each time with an ECG


@dataclass(frozen=True)
class ChestPain:
    """One per row: patient, arrival (s), what becomes of it, whether the patient comes back within hours, the site.

    struck: whether an infarction follows within 30 days. isolated: no other visit of the patient within 62 days.
    """

    patient: Ints
    arrival: Ints
    fate: NDArray[np.int8]
    returns: NDArray[np.bool_]
    site: NDArray[np.int8]
    isolated: NDArray[np.bool_]
    struck: NDArray[np.bool_]

    @property
    def indexed(self) -> NDArray[np.bool_]:
        """Which have an index ECG."""
        return np.asarray(self.fate != LOST)


def draw_chest_pain(shape: Shape, people: People, rng: np.random.Generator) -> ChestPain:
    """Draw who comes how often and when.

    All visits on the walk come after a certain midnight, all others with an index ECG before it; those without may
    come at any time. So the walk ends where it should, whatever else is drawn.
    """
    patient, fate = _who(shape, rng)
    first_walk_day = OPENS + round((CLOSES - OPENS) * (1 - shape.walk_visits / shape.indexed_visits))
    low = np.where(fate == WALK, first_walk_day, OPENS)
    high = np.where((fate == WALK) | (fate == LOST), CLOSES, first_walk_day)
    arrival = moments(low, high, len(patient), rng)
    site = draw_sites(people, patient, rng)

    # The walk's oldest visit ties with one that is not on it, and only the higher visit id says which is newer.
    visits = np.bincount(patient, minlength=shape.patients)
    last = rng.choice(np.flatnonzero((fate == WALK) & (visits[patient] == 1)))
    rival = rng.choice(np.flatnonzero((fate == REST) & (visits[patient] > 1)))
    tied = np.array([last, rival])
    arrival[tied] = first_walk_day * DAY
    site[tied] = len(SITES) - 1, 0
    free = np.ones(len(patient), bool)
    free[tied] = False
    while (close := _closer_than(APART, patient, arrival)).size:
        again = np.unique(np.where(free[close[1]], close[1], close[0]))
        arrival[again] = moments(low[again], high[again], len(again), rng)

    pairs = _pairs(
        patient, (fate == REST) & (visits[patient] == 2) & free & (arrival < first_walk_day * DAY - 4 * HOUR)
    )
    pairs = pairs[:, rng.permutation(pairs.shape[1])[: round(COME_BACK * shape.indexed_patients)]]
    arrival[pairs[1]] = arrival[pairs[0]] + rng.integers(HOUR, 4 * HOUR, pairs.shape[1])
    returns = np.zeros(len(patient), bool)
    returns[pairs.ravel()] = True

    isolated = np.ones(len(patient), bool)
    isolated[_closer_than(ISOLATED, patient, arrival).ravel()] = False
    struck = _struck(shape, people, patient, arrival, np.where(isolated, fate, -1), rng)
    return ChestPain(patient, arrival, fate, returns, site, isolated, struck)


def draw_sites(people: People, patient: Ints, rng: np.random.Generator) -> NDArray[np.int8]:
    """Mostly the patient's usual one."""
    elsewhere = rng.integers(len(SITES), size=len(patient), dtype=np.int8)
    return np.where(rng.random(len(patient), np.float32) < 0.85, people.home[patient], elsewhere)


def _who(shape: Shape, rng: np.random.Generator) -> tuple[Ints, NDArray[np.int8]]:
    """Patient and fate of each visit."""
    walk, indexed = np.arange(shape.walk_patients), np.arange(shape.indexed_patients)
    before = rng.choice(shape.walk_patients, shape.older_patients, replace=False)
    rest = indexed[shape.walk_patients :]
    leaving = np.arange(shape.indexed_patients, shape.chest_pain_patients)
    lost = shape.chest_pain_visits - shape.indexed_visits - shape.leaving_visits
    groups = (
        (walk, 1, shape.walk_visits, WALK),
        (before, 1, shape.older_visits, OLDER),
        (rest, 1, shape.rest_visits, REST),
        (indexed, 0, lost, LOST),
        (leaving, 1, shape.leaving_visits, LOST),
    )
    parts = [np.repeat(who, share_out(np.full(len(who), least), total, rng)) for who, least, total, _ in groups]
    fates = [np.full(len(part), fate, np.int8) for part, (*_, fate) in zip(parts, groups, strict=True)]
    return np.concatenate(parts), np.concatenate(fates)


def _closer_than(seconds: int, patient: Ints, arrival: Ints) -> Ints:
    """Two rows: each visit that is followed so soon by another of the patient, and that other."""
    order = np.lexsort((arrival, patient))
    close = (np.diff(patient[order]) == 0) & (np.diff(arrival[order]) < seconds)
    return np.stack([order[:-1][close], order[1:][close]])


def _pairs(patient: Ints, among: NDArray[np.bool_]) -> Ints:
    """Two rows: the two visits of each patient who has two `among` them."""
    rows = np.flatnonzero(among)
    rows = rows[np.argsort(patient[rows], kind="stable")]
    same = np.diff(patient[rows]) == 0
    return np.stack([rows[:-1][same], rows[1:][same]])


def _struck(
    shape: Shape, people: People, patient: Ints, arrival: Ints, fate: Ints, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Exact numbers of infarctions; as in the synthetic hospital, more in the old and in men."""
    odds = 0.055 * people.age(patient, arrival // DAY) - 0.65 * people.female[patient] + rng.gumbel(size=len(patient))
    struck = np.zeros(len(patient), bool)
    older = round(shape.rest_outcomes * shape.older_visits / shape.rest_visits)
    for kind, count in ((WALK, shape.walk_outcomes), (OLDER, older), (REST, shape.rest_outcomes)):
        rows = np.flatnonzero(fate == kind)
        struck[rows[np.argsort(-odds[rows])[:count]]] = True
    return struck
