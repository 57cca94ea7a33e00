"""Who is in which split: by patient, in exact arithmetic, the same for any order of the rows.

Random draws do not come from a random number generator, whose result would depend on the order of the
patients, but from a hash of seed, purpose and patient id: the patients with the smallest hashes are drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from hashlib import blake2b
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from precordial.errors import SettingsError

TARGET_SPLITS = ("train", "validation", "random_test", "temporal_test")
SOURCE_SPLITS = ("train", "validation")
OLDER_VISIT = "older_visit"  # of a patient of the temporal test, before the walk: in no split


def id_key(identifier: str) -> tuple[int, int, str]:
    """A key that sorts ids of digits as numbers, before all others, which sort as text.

    >>> sorted(["10", "9", "A1", "09"], key=id_key)
    ['09', '9', '10', 'A1']
    """
    if identifier.isascii() and identifier.isdigit():
        return (0, int(identifier), identifier)
    return (1, 0, identifier)


def shuffled(patients: Iterable[str], *, seed: int, purpose: str) -> list[str]:
    """Each patient once, in an order that is random but fixed by seed and purpose."""

    def place(patient: str) -> tuple[bytes, str]:
        return blake2b(f"{seed}|{purpose}|{patient}".encode(), digest_size=16).digest(), patient

    return sorted(set(patients), key=place)


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
    patients: Sequence[str], times: NDArray[np.datetime64], visit_ids: Sequence[str], share: Fraction
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
    wanted = ceil(share * len(set(patients)))
    clock = times.astype("datetime64[us]").astype(np.int64).tolist()
    newest_first = sorted(range(len(clock)), key=lambda i: (clock[i], id_key(visit_ids[i])), reverse=True)
    met: set[str] = set()
    walked = np.zeros(len(clock), bool)
    for i in newest_first:
        if len(met) == wanted:
            break
        met.add(patients[i])
        walked[i] = True
    return walked


def target_splits(
    patients: Sequence[str],
    times: NDArray[np.datetime64],
    visit_ids: Sequence[str],
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
    walked = temporal_walk(patients, times, visit_ids, temporal_test)
    newest = {patient for patient, on_walk in zip(patients, walked.tolist(), strict=True) if on_walk}
    remaining = set(patients) - newest
    left = 1 - temporal_test
    tested = draw(remaining, ceil(random_test / left * len(remaining)), seed=seed, purpose="random-test")
    rest = remaining - tested
    left -= random_test
    validated = draw(rest, int(validation / left * len(rest)), seed=seed, purpose="validation")
    split = dict.fromkeys(newest, OLDER_VISIT)
    split |= dict.fromkeys(tested, "random_test") | dict.fromkeys(validated, "validation")
    by_visit = np.array([split.get(patient, "train") for patient in patients], np.str_)
    return np.where(walked, "temporal_test", by_visit)


def source_splits(patients: Iterable[str], *, seed: int, validation: Fraction = Fraction(5, 100)) -> dict[str, str]:
    """The split of each source patient: int(validation · patients) validate, the others train."""
    everyone = set(patients)
    drawn = draw(everyone, int(validation * len(everyone)), seed=seed, purpose="source-validation")
    return {patient: "validation" if patient in drawn else "train" for patient in everyone}


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
