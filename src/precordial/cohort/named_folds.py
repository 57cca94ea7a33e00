"""Folds by their names: "1", "2" … of a k-fold split, or the sites that are left out one by one."""

from __future__ import annotations

from precordial.cohort.cohort import Cohort


def fold_names(cohort: Cohort) -> tuple[str, ...]:
    """Names of a cohort's folds, in the order of their numbers; none where the test set stays the same."""
    split = cohort.settings.get("split", {})
    return tuple(split.get("sites", ())) or tuple(str(number + 1) for number in range(split.get("folds", 0)))


def named_fold(cohort: Cohort, name: str) -> Cohort:
    """The cohort as one fold has it: who is trained on, and who is tested.

    Raises:
        ValueError: there is no such fold.
    """
    return cohort.in_fold(fold_names(cohort).index(name))
