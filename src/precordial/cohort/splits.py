"""Who is in which split: by patient, in exact arithmetic, the same for any order of the rows.

Random draws do not come from a random number generator, whose result would depend on the order of the
patients, but from a hash of seed, purpose and patient id: the patients with the smallest hashes are drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from hashlib import blake2b
from itertools import count
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from precordial.errors import SettingsError

TARGET_SPLITS = ("train", "validation", "random_test", "temporal_test")
SOURCE_SPLITS = ("train", "validation")
FOLD = "fold"  # of the target, where the test set goes round; see `precordial.cohort.folds`
SITE_TEST = "site_test"  # of a fold that is a site
OLDER_VISIT = "older_visit"  # of a patient of the temporal test, before the walk: in no split
NOT_IN_SPLIT = "not_in_split"  # its value of the column that gives the split is not named
WORD = "U16"  # room for each of these words


def id_key(identifier: str) -> tuple[int, int, str]:
    """A key that sorts ids of digits as numbers, before all others, which sort as text.

    >>> sorted(["10", "9", "A1", "09"], key=id_key)
    ['09', '9', '10', 'A1']
    """
    if identifier.isascii() and identifier.isdigit():
        return (0, int(identifier), identifier)
    return (1, 0, identifier)


def _listed(names: Iterable[str]) -> list[str]:
    """As Python's text, which is hashed and encoded several times as fast as NumPy's."""
    return names.tolist() if isinstance(names, np.ndarray) else list(names)


def codes_of(names: Iterable[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Each name's number, from 0 in the order of first appearance, and the different names.

    >>> codes_of(["b", "a", "b"])
    (array([0, 1, 0]), ['b', 'a'])
    """
    given = _listed(names)
    number = dict(zip(dict.fromkeys(given), count(), strict=False))
    return np.fromiter(map(number.__getitem__, given), np.int64, len(given)), list(number)


def runs(values: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each run of equal values begins, and how long it is: rows of a patient mostly follow one another.

    >>> runs(np.array([3, 3, 5, 3]))
    (array([0, 2, 3]), array([2, 1, 1]))
    """
    first = np.flatnonzero(np.append(True, values[1:] != values[:-1]))[: len(values)]
    return first, np.diff(np.append(first, len(values)))


def shuffle(patients: Sequence[str], *, seed: int, purpose: str) -> NDArray[np.int64]:
    """(n,) the places of different patients in an order that is random but fixed by seed and purpose."""
    start = blake2b(f"{seed}|{purpose}|".encode(), digest_size=16)
    digests = []
    for patient in patients:
        hasher = start.copy()
        hasher.update(patient.encode())
        digests.append(hasher.digest())
    # Sorted as numbers, which is many times faster than as bytes. The first half of the digest nearly always decides.
    high, low = np.ascontiguousarray(np.frombuffer(b"".join(digests), ">u8").astype(np.uint64).reshape(-1, 2).T)
    order = np.argsort(high)
    placed = high[order]
    return np.lexsort((low, high)) if (placed[1:] == placed[:-1]).any() else order


def shuffled(patients: Iterable[str], *, seed: int, purpose: str) -> list[str]:
    """Each patient once, in the order of `shuffle`."""
    everyone = list(set(_listed(patients)))
    return [everyone[i] for i in shuffle(everyone, seed=seed, purpose=purpose).tolist()]


def draw(patients: Iterable[str], count: int, *, seed: int, purpose: str) -> set[str]:
    """`count` of the patients, drawn at random without replacement (all, if there are fewer)."""
    return set(shuffled(patients, seed=seed, purpose=purpose)[:count])


def fraction_size(fraction: str | float | Fraction, n: int) -> int:
    """How many of `n` patients a fraction keeps: int(f · n), with f taken as the decimal that is written.

    >>> fraction_size(0.29, 100), int(0.29 * 100)
    (29, 28)

    Raises:
        SettingsError: the fraction is not above 0 and at most 1.
    """
    try:
        exact = Fraction(str(fraction))
    except (ValueError, ZeroDivisionError):
        exact = Fraction(0)
    if not 0 < exact <= 1:
        raise SettingsError("a fraction of the training patients must be above 0 and at most 1")
    return int(exact * n)


def temporal_walk(
    patients: Sequence[str] | NDArray[np.str_],
    times: NDArray[np.datetime64],
    visit_ids: Sequence[str] | NDArray[np.str_],
    share: Fraction,
) -> NDArray[np.bool_]:
    """Walk the visits from the newest back until ceil(share · n) different patients are met.

    Args:
        patients: patient of each visit.
        times: arrival of each visit; ties are broken by `visit_ids`, the highest first.
        visit_ids: unique.
        share: of the patients.

    Returns:
        Whether each visit was on the walk.
    """
    return walk(codes_of(patients)[0], times, visit_ids, share)


def walk(
    patient: NDArray[np.int64],
    times: NDArray[np.datetime64],
    visit_ids: Sequence[str] | NDArray[np.str_],
    share: Fraction,
) -> NDArray[np.bool_]:
    """`temporal_walk` of patients that are numbers from 0, as `codes_of` gives them."""
    patients = int(patient.max(initial=-1)) + 1
    wanted = ceil(share * patients)
    walked = np.zeros(len(patient), bool)
    if wanted == 0:
        return walked
    clock = times.astype("datetime64[us]").astype(np.int64)
    newest = np.full(patients, np.iinfo(np.int64).min)
    np.maximum.at(newest, patient, clock)
    # The walk ends among the visits of this moment; ties matter there alone.
    end = np.partition(newest, patients - wanted)[patients - wanted]
    walked[clock > end] = True
    met = set(np.unique(patient[walked]).tolist())
    for i in sorted(np.flatnonzero(clock == end).tolist(), key=lambda i: id_key(str(visit_ids[i])), reverse=True):
        if len(met) == wanted:
            break
        met.add(int(patient[i]))
        walked[i] = True
    return walked


def target_splits(
    patients: Sequence[str] | NDArray[np.str_],
    times: NDArray[np.datetime64],
    visit_ids: Sequence[str] | NDArray[np.str_],
    *,
    seed: int,
    temporal_test: Fraction = Fraction(15, 100),
    random_test: Fraction = Fraction(15, 100),
    validation: Fraction = Fraction(15, 100),
) -> NDArray[np.str_]:
    """Split the target visits by patient, as the paper does.

    1. The temporal test is the walk of `temporal_walk`; older visits of its patients are in no split.
    2. Of the remaining patients ceil(random / (1 − temporal) · remaining) are the random test set.
    3. Of the rest int(validation / (1 − temporal − random) · rest) are validation, the others training.

    Returns:
        For each visit one of `TARGET_SPLITS`, or `OLDER_VISIT`.
    """
    patient, everyone = codes_of(patients)
    newest = walk(patient, times, visit_ids, temporal_test)
    return random_splits(
        patient,
        everyone,
        newest,
        seed=seed,
        temporal_test=temporal_test,
        random_test=random_test,
        validation=validation,
    )


def random_splits(
    patient: NDArray[np.int64],
    everyone: Sequence[str],
    newest: NDArray[np.bool_],
    *,
    seed: int,
    temporal_test: Fraction,
    random_test: Fraction,
    validation: Fraction,
) -> NDArray[np.str_]:
    """Steps 2 and 3 of `target_splits`.

    Args:
        patient, everyone: the visits' patients, as `codes_of` gives them.
        newest: whether each visit is in the temporal test.
        seed: of the draws.
        temporal_test, random_test, validation: shares, as there.
    """
    split = np.full(len(everyone), "train", WORD)
    split[patient[newest]] = OLDER_VISIT
    rest = np.flatnonzero(split == "train")
    left = 1 - temporal_test
    for name, purpose, share, rounded in (
        ("random_test", "random-test", random_test, ceil),
        ("validation", "validation", validation, int),
    ):
        order = shuffle([everyone[i] for i in rest.tolist()], seed=seed, purpose=purpose)
        count = rounded(share / left * len(rest))
        split[rest[order[:count]]] = name
        rest = rest[np.sort(order[count:])]
        left -= share
    return np.where(newest, "temporal_test", split[patient])


def source_splits(patients: Iterable[str], *, seed: int, validation: Fraction = Fraction(5, 100)) -> dict[str, str]:
    """The split of each source patient: int(validation · patients) validate, the others train."""
    order = shuffled(patients, seed=seed, purpose="source-validation")
    count = int(validation * len(order))
    return dict.fromkeys(order[:count], "validation") | dict.fromkeys(order[count:], "train")


def patient_order(split_of: Mapping[str, Any], *, seed: int, role: str) -> dict[str, int]:
    """The rank of each patient, from 0, in one fixed shuffle of the patients of its split.

    Args:
        split_of: patient → split.
        seed: of the cohort.
        role: "source" or "target".
    """
    members: dict[Any, list[str]] = {}
    for patient, split in split_of.items():
        members.setdefault(split, []).append(patient)
    return {
        patient: rank
        for split, group in members.items()
        for rank, patient in enumerate(shuffled(group, seed=seed, purpose=f"order|{role}|{split}"))
    }
