"""A cohort in one of its folds: who is tested, who is left out, and what stays the same."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clean_cohorts import clean_cohort
from precordial.cohort import Cohort, keep_fraction
from precordial.cohort.folds import LEFT_OUT, fold_names, fold_splits, folds_text
from precordial.errors import SettingsError


def patients(cohort: Cohort, *splits: str) -> set[str]:
    return set(cohort.patient_id[(cohort.role == "target") & np.isin(cohort.split, splits)].tolist())


@given(st.sampled_from(["k-fold", "sites"]), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_folds_by_property(scheme: str, seed: int) -> None:
    cohort, _ = clean_cohort(scheme, seed)
    test = "random_test" if scheme == "k-fold" else "site_test"
    names = fold_names(cohort)
    assert names == (("1", "2", "3") if scheme == "k-fold" else ("North", "South"))
    going = patients(cohort, "fold")
    tested: list[str] = []
    for fold in range(len(names)):
        here = cohort.in_fold(fold)
        assert set(here.split[here.role == "target"].tolist()) <= {"train", "validation", test, "temporal_test"}
        rows = cohort._rows(cohort.fold == fold)
        assert here.select(split=test).ecg_id.tolist() == rows.ecg_id.tolist()
        tested += rows.ecg_id.tolist()
        parts = [patients(here, name) for name in ("train", "validation", test)]
        assert sum(map(len, parts)) == len(set.union(*parts)) == len(going), "a patient is in two splits"
        others = len(going - parts[2])
        assert len(parts[1]) == int(Fraction(3, 20) * others)
        # Only rows of tested patients are left out, and of these all that are not tested.
        out = cohort._rows(fold_splits(cohort, fold) == LEFT_OUT)
        assert len(here) + len(out) == len(cohort)
        assert set(out.patient_id.tolist()) <= parts[2]
        assert not (out.fold == fold).any()
        if scheme == "sites":
            assert not (here.select(role="target", split="train").site == names[fold]).any()
        else:
            assert len(out) == 0
        for role, split in (("source", "train"), ("source", "validation"), ("target", "temporal_test")):
            one, other = here.select(role=role, split=split), cohort.select(role=role, split=split)
            assert (one.ecg_id.tolist(), one.order.tolist()) == (other.ecg_id.tolist(), other.order.tolist())
    assert len(set(tested)) == len(tested), "an ECG is tested twice"
    assert sorted(tested) == sorted(cohort.ecg_id[cohort.fold >= 0].tolist())


@given(st.sampled_from(["k-fold", "sites"]), st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_fractions_nest_in_each_fold(scheme: str, seed: int) -> None:
    cohort, _ = clean_cohort(scheme, seed)
    for fold in range(len(fold_names(cohort))):
        here = cohort.in_fold(fold)
        everyone = patients(here, "train")
        inner: set[str] = set()
        for tenths in range(1, 11):
            part = keep_fraction(here, Fraction(tenths, 10), role="target")
            kept = patients(part, "train")
            assert kept >= inner
            assert len(kept) == tenths * len(everyone) // 10
            inner = kept
            rest = here.split != "train"
            assert part._rows(part.split != "train").digest == here._rows(rest).digest, "a test set has changed"


def test_the_text_counts_who_is_where() -> None:
    # Patients A and B at North, B and C at South, D at neither; E is in the temporal test.
    names = np.array(list("ABBCDE"))
    n = len(names)
    cohort = replace(
        clean_cohort("sites", 0)[0]._rows(np.arange(n)),
        patient_id=names,
        role=np.full(n, "target"),
        split=np.array(["fold"] * 5 + ["temporal_test"]),
        fold=np.array([0, 0, 1, 1, -1, -1]),
    )
    cohort = replace(cohort, settings=dict(cohort.settings) | {"validation": "1/2"})
    assert folds_text(cohort).splitlines() == [
        "fold North: 2 rows of 2 patients are tested, 1 other rows of theirs left out; 1 patients train, 1 validate",
        "fold South: 2 rows of 2 patients are tested, 1 other rows of theirs left out; 1 patients train, 1 validate",
    ]
    assert folds_text(clean_cohort("paper", 0)[0]) == ""


def test_validation_differs_between_folds() -> None:
    cohort, _ = clean_cohort("k-fold", 1, patients=400)
    first, second = (patients(cohort.in_fold(fold), "validation") for fold in (0, 1))
    both = (cohort.fold == 2) & (cohort.split == "fold")
    third = set(cohort.patient_id[both].tolist())
    assert first & third != second & third


def test_the_order_of_rows_does_not_matter() -> None:
    cohort, _ = clean_cohort("sites", 3)
    mixed = np.random.default_rng(0).permutation(len(cohort))
    shuffled = cohort._rows(mixed)
    for fold in (0, 1):
        assert fold_splits(shuffled, fold).tolist() == fold_splits(cohort, fold)[mixed].tolist()


@pytest.mark.parametrize(("scheme", "fold", "folds"), [("paper", 0, 0), ("k-fold", 3, 3), ("sites", -1, 2)])
def test_there_is_no_such_fold(scheme: str, fold: int, folds: int) -> None:
    cohort, _ = clean_cohort(scheme, 0)
    with pytest.raises(
        SettingsError, match=f"the cohort has {folds} folds, and no fold {fold}; folds are counted from 0"
    ):
        cohort.in_fold(fold)
