"""The split of each row of the target, by the scheme that the settings name; arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from precordial.cohort.schemes import ColumnSplit, FoldSplit, PaperSplit, SiteSplit
from precordial.cohort.splits import (
    FOLD,
    NOT_IN_SPLIT,
    OLDER_VISIT,
    TARGET_SPLITS,
    WORD,
    codes_of,
    random_splits,
    shuffle,
    walk,
)
from precordial.errors import LeakageError, RegisterError

Texts = Sequence[str] | NDArray[np.str_]
SHOWN = 10


def assign_splits(
    scheme: PaperSplit | FoldSplit | SiteSplit | ColumnSplit,
    *,
    seed: int,
    patients: Texts,
    times: NDArray[np.datetime64],
    visit_ids: Texts,
    sites: Texts | None = None,
    values: Texts | None = None,
    rows: Sequence[int] | None = None,
    file: Path | None = None,
    temporal_test: Fraction = Fraction(15, 100),
    random_test: Fraction = Fraction(15, 100),
    validation: Fraction = Fraction(15, 100),
) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """The split of each row of the target, and the fold in which it is tested.

    Args:
        scheme: how patients are divided.
        seed: of the random draws.
        patients: patient of each of the n rows.
        times: (n,) arrival, or the time of a labelled ECG; NaT only where no temporal test is asked for.
        visit_ids: unique; they break ties in time.
        sites: of each row, for leave-one-site-out.
        values: of each row, of the column that gives the split.
        rows: number of each row in the table that it is from, for messages; by default their own, from 1.
        file: that table.
        temporal_test, random_test, validation: shares of the patients.

    Returns:
        split: one of `TARGET_SPLITS`, `FOLD` (`precordial.cohort.folds` says which split that is in each fold), or
            one of `OLDER_VISIT` and `NOT_IN_SPLIT`, whose rows belong in no cohort.
        fold: from 0; -1 for rows that are never tested in a fold.

    Raises:
        RegisterError: a time is missing that the temporal test needs; or no row is on its days, at a site, or in a
            split that is named; or there are more folds than patients.
        LeakageError: the column puts a patient into two splits.
    """
    if isinstance(scheme, ColumnSplit):
        assert values is not None
        return _by_column(scheme, patients, values, rows, file), np.full(len(patients), -1)
    patient, everyone = codes_of(patients)
    newest = _newest(scheme.temporal_from, patient, times, visit_ids, temporal_test)
    if isinstance(scheme, PaperSplit):
        shares = {"temporal_test": temporal_test, "random_test": random_test, "validation": validation}
        return random_splits(patient, everyone, newest, seed=seed, **shares), np.full(len(patient), -1)

    in_test = np.zeros(len(everyone), bool)
    in_test[patient[newest]] = True
    split = np.full(len(patient), FOLD, WORD)
    split[in_test[patient]] = OLDER_VISIT
    split[newest] = "temporal_test"
    if isinstance(scheme, FoldSplit):
        fold = _dealt(everyone, ~in_test, scheme.folds, seed)[patient]
    else:
        assert sites is not None
        fold = _by_site(scheme.sites, sites, split == FOLD)
    return split, np.where(split == FOLD, fold, -1)


def _newest(
    first: date | None,
    patient: NDArray[np.int64],
    times: NDArray[np.datetime64],
    visit_ids: Texts,
    share: Fraction,
) -> NDArray[np.bool_]:
    """Whether each row is in the temporal test."""
    if first is None and share == 0:
        return np.zeros(len(patient), bool)
    if np.isnat(times).any():
        raise RegisterError(
            f"{int(np.isnat(times).sum())} rows of the target have no time, which the temporal test needs",
            key="cohort.temporal_test",
            remedy="set it to 0, and leave out split.temporal_from",
        )
    if first is None:
        return walk(patient, times, visit_ids, share)
    newest = times >= np.datetime64(first)
    if not newest.any():
        raise RegisterError(
            "no row of the target is on this day or later",
            key="cohort.split.temporal_from",
            remedy="give an earlier day; for no temporal test leave it out, and set temporal_test = 0",
        )
    return np.asarray(newest)


def _dealt(everyone: Sequence[str], dealt: NDArray[np.bool_], folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each patient: blocks of the shuffled order, whose sizes differ by one at most.

    Blocks, because a new patient then moves only a few others across their borders; dealt one by one, everybody
    behind the new one would change.
    """
    members = np.flatnonzero(dealt)
    if len(members) < folds:
        raise RegisterError(
            f"{len(members)} patients cannot be dealt to {folds} folds",
            key="cohort.split.folds",
            remedy="ask for fewer folds, or for a smaller temporal test",
        )
    fold = np.full(len(everyone), -1)
    order = shuffle([everyone[i] for i in members.tolist()], seed=seed, purpose="fold")
    fold[members[order]] = np.arange(len(members)) * folds // len(members)
    return fold


def _by_site(named: Sequence[str], sites: Texts, tested: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The fold of each row: the number of its site, -1 at other sites."""
    fold = np.full(len(tested), -1)
    given = np.asarray(sites, np.str_)
    for number, site in enumerate(named):
        fold[given == site] = number
        if not (tested & (fold == number)).any():
            raise RegisterError(
                f"no row of the target is at the site {site!r}, or all of them are in the temporal test",
                key="cohort.split.sites",
                remedy="write sites as they stand in the column, and leave out those without any row",
            )
    return fold


def _by_column(
    scheme: ColumnSplit, patients: Texts, values: Texts, numbers: Sequence[int] | None, file: Path | None
) -> NDArray[np.str_]:
    """The split that each row's value is named for."""
    number, found = codes_of(values)
    named = {value: name for name in TARGET_SPLITS for value in getattr(scheme, name)}
    split = np.array([named.get(value, NOT_IN_SPLIT) for value in found], WORD)[number]
    used = np.flatnonzero(split != NOT_IN_SPLIT)
    patient = codes_of(patients)[0][used]
    for name in TARGET_SPLITS:
        if getattr(scheme, name) and not (split == name).any():
            raise RegisterError(
                "no row of the target has one of these values",
                file=file,
                key=f"cohort.split.{name}",
                remedy="write them as they stand in the column; whole numbers have no decimal point",
            )
    place, names = codes_of(split[used])
    lowest, highest = np.full(patient.max(initial=-1) + 1, len(names)), np.full(patient.max(initial=-1) + 1, -1)
    np.minimum.at(lowest, patient, place)
    np.maximum.at(highest, patient, place)
    rows = used[(lowest != highest)[patient]]
    if len(rows):
        shown = ", ".join(str(numbers[row] if numbers is not None else row + 1) for row in rows[:SHOWN].tolist())
        more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
        raise LeakageError(
            f"the column puts a patient into two splits: rows {shown}{more}",
            file=file,
            key="cohort.split",
            remedy="correct the column so that all rows of a patient are in one split",
        )
    return split
