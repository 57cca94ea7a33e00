"""What the leakage guard looks at: a cohort, what the archive itself says of its ECGs, and which rows go together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from precordial.cohort.cohort import Cohort
from precordial.cohort.definitions import Outcome
from precordial.cohort.folds import LEFT_OUT, fold_names, fold_splits
from precordial.cohort.splits import FOLD, runs

Mask = NDArray[np.bool_]
Numbers = NDArray[np.int64]
_AT_ONCE = 1 << 13  # rows that a processor's cache holds


@dataclass(frozen=True)
class Evidence:
    """A cohort and what the archive itself says of its ECGs.

    Attributes:
        cohort: n rows.
        ecg: (n,) number of each row's ECG in the archive.
        recorded: (n,) the archive's own time; NaT if it has none.
        waveform: (n,) digest of the samples; None where there is no archive.
    """

    cohort: Cohort
    ecg: Numbers
    recorded: NDArray[np.datetime64]
    waveform: NDArray[np.uint64] | None

    @cached_property
    def patient(self) -> Numbers:
        """(n,) number of each row's patient."""
        return number_texts(self.cohort.patient_id)

    @cached_property
    def target(self) -> Mask:
        """(n,) whether each row is of the target."""
        return np.asarray(self.cohort.role == "target")

    @cached_property
    def place(self) -> Numbers:
        """(n,) number of each row's role and split."""
        role, split = number_texts(self.cohort.role), number_texts(self.cohort.split)
        return role * (int(split.max(initial=0)) + 1) + split

    @cached_property
    def ecg_apart(self) -> Mask:
        """(n,) whether each row's ECG is in two places."""
        return self.apart(self.ecg)

    def apart(self, things: NDArray[Any]) -> Mask:
        """(n,) whether each row's thing is in two places, as the cohort stands or in one of its folds."""
        broken = in_two_places(things, self.place)
        for rows, split in self.folds:
            broken[rows[in_two_places(things[rows], number_texts(split))]] = True
        return broken

    @cached_property
    def folds(self) -> list[tuple[Numbers, NDArray[np.str_]]]:
        """Of each fold: the rows that go round and are in it, and their splits in it."""
        going = np.flatnonzero(self.cohort.split == FOLD)
        found = []
        for fold in range(len(fold_names(self.cohort))):
            split = fold_splits(self.cohort, fold)[going]
            found.append((going[split != LEFT_OUT], split[split != LEFT_OUT]))
        return found

    @cached_property
    def time(self) -> NDArray[np.datetime64]:
        """(n,) when each row came about: the arrival, or the recording of a labelled ECG."""
        time = np.where(np.isnat(self.cohort.arrival), self.cohort.recorded_at, self.cohort.arrival)
        return np.where(np.isnat(time), self.cohort.prediction_time, time)

    def outcomes(self) -> Iterator[tuple[str, Outcome]]:
        """Name and definition of each outcome that comes from registers."""
        for described in self.cohort.settings.get("outcomes", ()):
            if described["name"] in self.cohort.labels:
                yield described["name"], Outcome.model_validate(described)


def number_texts(texts: NDArray[np.str_]) -> Numbers:
    """Numbers from 0 that are equal where texts are equal; on millions far faster than sorting the texts.

    Texts are put together by hashes of 64 bits, and then compared themselves.
    """
    if len(texts) == 0 or texts.dtype.itemsize == 0:
        return np.zeros(len(texts), np.int64)
    first_of_run, length = runs(texts)
    if 2 * len(length) < len(texts):
        return np.repeat(number_texts(texts[first_of_run]), length)
    hashes = _hashes(texts)
    order = np.argsort(hashes)
    first = np.concatenate([[True], hashes[order[1:]] != hashes[order[:-1]]])
    number = np.empty(len(texts), np.int64)
    number[order] = np.cumsum(first) - 1
    if (texts[order[first]][number] != texts).any():  # two texts of one hash
        return np.unique(texts, return_inverse=True)[1].astype(np.int64)
    return number


def _hashes(texts: NDArray[np.str_]) -> NDArray[np.uint64]:
    pairs = texts.dtype.itemsize % 8 == 0
    letters = np.ascontiguousarray(texts).view(np.uint64 if pairs else np.uint32).reshape(len(texts), -1)
    mixed = np.zeros(len(texts), np.uint64)
    for start in range(0, len(texts), _AT_ONCE):
        part = mixed[start : start + _AT_ONCE]
        for column in letters[start : start + _AT_ONCE].T:
            part ^= column
            part *= np.uint64(0x9E3779B97F4A7C15)
            part ^= part >> np.uint64(29)
    return mixed


def in_two_places(things: NDArray[Any], places: Numbers) -> Mask:
    """The rows whose thing (a patient, an ECG, a waveform) also stands in a row of another place."""
    if len(things) == 0:
        return np.zeros(0, bool)
    order = np.argsort(things)
    ordered, there = things[order], places[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    starts = np.flatnonzero(first)
    apart = np.minimum.reduceat(there, starts) != np.maximum.reduceat(there, starts)
    broken = np.empty(len(things), bool)
    broken[order] = apart[np.cumsum(first) - 1]
    return broken
