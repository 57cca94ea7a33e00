"""When the beats come: sinus rhythm with its variability, and premature beats with their pauses."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from precordial.twin.conditions import PREMATURE
from precordial.twin.heart import Beats
from precordial.twin.leads import axis_of
from precordial.twin.persons import Persons

Array = NDArray[np.float32]

SINUS, ATRIAL, VENTRICULAR = range(1 + len(PREMATURE))  # kinds of beats
# Premature beats come after this part of the RR interval, but not on the T wave. Ventricular ones of outflow tracts: 49
# to 60 % (Park 2015, Korean Circ J 45:294).
COUPLING = {ATRIAL: (0.62, 0.82), VENTRICULAR: (0.50, 0.68)}
AFTER_T = 0.06  # seconds from the end of T to a premature R peak, at least
RETURN = 1.06  # the sinus node, reset by an atrial beat, takes a little longer than its cycle


def rhythm(heart: Beats, rng: np.random.Generator, seconds: float) -> tuple[Array, Array, NDArray[np.int8]]:
    """When each beat comes, how large it is in each lead, and of which kind it is.

    Sinus rhythm: the RR interval swings with the breath, and wanders. The breath also turns the heart, so
    that the size of the beats swings in each lead by its own amount. Counts of premature beats are Poisson; no two come
    in a row.

    Returns:
        R peaks (n, beats) in seconds, from before the start to after the end; sizes (n, beats, 8); and kinds (n,
        beats), `SINUS`, `ATRIAL` or `VENTRICULAR`.
    """
    n = len(heart.heart_rate)
    rr = (60 / heart.heart_rate)[:, None]
    count = np.arange(int(seconds / float(rr.min()) * 1.3) + 5)
    breath = 2 * np.pi * (rng.normal(0.25, 0.04, (n, 1)) * rr * count + rng.random((n, 1)))
    swing = 1.1 * np.sin(breath) + 0.6 * rng.standard_normal((n, len(count)), np.float32)
    intervals = rr * np.clip(1 + heart.variability[:, None] * swing, 0.7, 1.4)
    intervals[:, :1] = -rr * (1 + rng.random((n, 1)))  # where the first peak is
    depth = rng.normal(0, 0.05, (n, 1, 8))
    sizes = 1 + depth * np.sin(breath)[:, :, None] + rng.normal(0, 0.015, (n, len(count), 1))
    kinds = np.full(intervals.shape, SINUS, np.int8)
    premature = rng.poisson(heart.ectopy * (seconds / 60))
    for row in np.flatnonzero(premature.any(1)):
        for kind in (ATRIAL, VENTRICULAR):
            for _ in range(premature[row, kind - 1]):
                _hasten(intervals[row], kinds[row], kind, 1e-3 * float(heart.qt[row]), seconds, rng)
    return np.cumsum(intervals, 1).astype(np.float32), sizes.astype(np.float32), kinds


def _hasten(
    intervals: NDArray[np.floating],
    kinds: NDArray[np.int8],
    kind: int,
    qt: float,
    seconds: float,
    rng: np.random.Generator,
) -> None:
    """Make one beat of a recording premature, in place; none where there is no room left."""
    part = np.maximum(rng.uniform(*COUPLING[kind]), (qt + AFTER_T) / intervals)
    early = np.cumsum(intervals) - intervals * (1 - part)
    near = np.convolve(kinds != SINUS, (1, 1, 1), "same") > 0
    room = np.flatnonzero((early > 0.1) & (early < seconds - 0.1) & (part < 0.92) & ~near)
    room = room[(room > 0) & (room < len(kinds) - 1)]
    if not len(room):
        return
    beat = rng.choice(room)
    gained = intervals[beat] * (1 - part[beat])
    kinds[beat] = kind
    intervals[beat] -= gained
    if kind == VENTRICULAR:  # the sinus node goes its own way: a full compensatory pause
        intervals[beat + 1] += gained
    else:
        intervals[beat + 1] *= RETURN


def premature_beats(heart: Beats, persons: Persons, rows: NDArray[np.intp], kind: int) -> Beats:
    """The premature beats of these rows.

    An atrial one has a P wave of another shape, and a normal QRS. A ventricular one has no P wave, and its QRS is wide,
    large and notched, pointing away from where it begins, ST and T against it.
    """
    own = Beats(*(getattr(heart, field.name)[rows] for field in fields(heart)))
    focus = persons.focus[rows]
    vectors, centres = own.vectors.copy(), own.centres.copy()
    if kind == ATRIAL:
        # From another place in the atria, as a rule lower than the sinus node.
        length = np.linalg.norm(vectors[:, :2], axis=2, keepdims=True)
        vectors[:, :2] = length * _unit(0.6 * focus + (0.2, -0.6, 0.2))[:, None]
        return replace(own, vectors=vectors)
    # Most come from the outflow tract of the right ventricle: to the left and the feet.
    away = _unit(0.8 * focus + (0.5, 0.9, 0.1))
    aside = _unit(np.cross(away, focus + np.array((0, 0, 3), np.float32)))
    size = 1.0 + 0.7 * np.linalg.norm(own.vectors[:, 3], axis=1, keepdims=True)
    vectors[:, :2] = 0
    vectors[:, 2] = 0.2 * size * away
    vectors[:, 3] = size * (0.8 * away + 0.25 * aside)
    vectors[:, 4] = size * (0.9 * away - 0.15 * aside)
    vectors[:, 5] = size * (0.35 * away - 0.15 * aside)
    vectors[:, 6] = -0.36 * size * away
    wide = np.clip(150 + 6 * focus[:, 0], 138, 166)
    onset = -0.35 * wide
    widths = np.multiply.outer(wide * 1e-3, (0.07, 0.12, 0.12, 0.08))
    centres[:, 2:6] = 1e-3 * (onset[:, None] + np.multiply.outer(wide, (0.15, 0.35, 0.62, 0.82)))
    before, after = own.before.copy(), own.after.copy()
    before[:, 2:6] = after[:, 2:6] = widths
    qt = own.qt - own.qrs + wide
    after[:, 6] = 0.085e-3 * qt
    centres[:, 6] = 1e-3 * (onset + qt) - 2.2 * after[:, 6]
    return replace(
        own,
        qrs=wide,
        qt=qt,
        axis=axis_of(away),
        vectors=vectors,
        centres=centres,
        before=before,
        after=after,
        st=np.asarray(-0.10 * size * away, np.float32),
        j=np.asarray(1e-3 * (onset + 0.97 * wide), np.float32),
    )


def _unit(vectors: NDArray[np.floating]) -> Array:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
