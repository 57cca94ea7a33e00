"""A cohort whose test set goes round: which split each of its rows has in one fold."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from precordial.cohort.splits import FOLD, SITE_TEST, WORD, codes_of, shuffle
from precordial.errors import SettingsError

if TYPE_CHECKING:
    from precordial.cohort.cohort import Cohort

LEFT_OUT = ""  # of a fold: rows of its patients that are not tested in it


def fold_names(cohort: Cohort) -> tuple[str, ...]:
    """Names of the folds, by their numbers; none where the test set stays the same."""
    scheme = cohort.settings.get("split", {})
    if scheme.get("scheme") == "sites":
        return tuple(scheme["sites"])
    return tuple(str(number + 1) for number in range(scheme["folds"])) if scheme.get("scheme") == "k-fold" else ()


def fold_splits(cohort: Cohort, fold: int) -> NDArray[np.str_]:
    """The split that each row has in one fold, `LEFT_OUT` for those that are not in it.

    Rows of the fold are tested: "random_test" where patients are dealt to folds, "site_test" where a fold is a site.
    Other rows of their patients (at other sites) are left out. Of the n other patients int(validation · n), drawn by
    seeded hash, are validation, and the rest training. All that goes round in no fold stays as it is.

    Raises:
        SettingsError: the cohort has no such fold.
    """
    names = fold_names(cohort)
    if not 0 <= fold < len(names):
        raise SettingsError(
            f"the cohort has {len(names)} folds, and no fold {fold}",
            remedy='folds are counted from 0, and made by split.scheme = "k-fold" or "sites"',
        )
    split = cohort.split.astype(WORD)
    going = np.flatnonzero(split == FOLD)
    patient, everyone = codes_of(cohort.patient_id[going])
    tested = cohort.fold[going] == fold
    away = np.zeros(len(everyone), bool)
    away[patient[tested]] = True
    others = np.flatnonzero(~away)
    order = shuffle(
        [everyone[i] for i in others.tolist()], seed=cohort.settings["seed"], purpose=f"fold-validation|{fold}"
    )
    of_patient = np.full(len(everyone), LEFT_OUT, WORD)
    of_patient[others] = "train"
    of_patient[others[order[: int(Fraction(cohort.settings["validation"]) * len(others))]]] = "validation"
    test = SITE_TEST if cohort.settings["split"]["scheme"] == "sites" else "random_test"
    split[going] = np.where(tested, test, of_patient[patient])
    return split


def in_fold(cohort: Cohort, fold: int) -> Cohort:
    """The cohort as it is in one fold; `fold_splits` says who is where.

    The patients of each split are ranked anew, from 0, in the one order that they have in all folds, so that
    fractions of the training patients nest in each fold.

    Raises:
        SettingsError: the cohort has no such fold.
    """
    split = fold_splits(cohort, fold)
    order = cohort.order.copy()
    going = cohort.split == FOLD
    for name in np.unique(split[going]).tolist():
        rows = going & (split == name)
        order[rows] = np.unique(order[rows], return_inverse=True)[1]
    return replace(cohort, split=split, order=order)._rows(split != LEFT_OUT)


def named_fold(cohort: Cohort, name: str) -> Cohort:
    """The cohort as it is in the fold of this name, one of `fold_names`."""
    return in_fold(cohort, fold_names(cohort).index(name))


def folds_text(cohort: Cohort) -> str:
    """One line per fold: who is tested, trains and validates in it, and what is left out of it."""
    lines = []
    target = cohort.role == "target"
    for fold, name in enumerate(fold_names(cohort)):
        split = np.where(cohort.split == FOLD, fold_splits(cohort, fold), "")
        tested = cohort.fold == fold
        out = int((target & (cohort.split == FOLD) & (split == LEFT_OUT)).sum())
        patients = [
            len(set(cohort.patient_id[rows].tolist())) for rows in (tested, split == "train", split == "validation")
        ]
        lines.append(
            f"fold {name}: {int(tested.sum()):,} rows of {patients[0]:,} patients are tested, {out:,} other rows of "
            f"theirs left out; {patients[1]:,} patients train, {patients[2]:,} validate"
        )
    return "\n".join(lines)
