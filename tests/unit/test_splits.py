"""Splits: the paper's counts to the last patient, exact sizes, no dependence on the order of rows."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from hashlib import blake2b
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from precordial.cohort.splits import (
    OLDER_VISIT,
    TARGET_SPLITS,
    codes_of,
    draw,
    fraction_size,
    id_key,
    patient_order,
    shuffled,
    source_splits,
    target_splits,
    temporal_walk,
)
from precordial.errors import SettingsError


def times(minutes: list[int]) -> np.ndarray:
    return np.datetime64("2017-01-01", "s") + np.array(minutes, "timedelta64[m]")


def test_the_papers_target_counts() -> None:
    n = 37_447
    patients = [f"P{i}" for i in range(n)]
    minutes = random.Random(1).sample(range(10**6), n)
    split = target_splits(patients, times(minutes), [str(i) for i in range(n)], seed=0)
    assert Counter(split.tolist()) == {
        "temporal_test": 5_618,
        "random_test": 5_617,
        "validation": 5_616,
        "train": 20_596,
    }


def test_the_papers_source_counts() -> None:
    split = source_splits((str(i) for i in range(162_903)), seed=0)
    assert Counter(split.values()) == {"train": 154_758, "validation": 8_145}


def test_shares_are_exact_where_floats_are_not() -> None:
    assert ceil(0.15 / 0.85 * 85) == 16, "in floats 100 patients would go wrong"
    patients = [str(i) for i in range(100)]
    split = Counter(target_splits(patients, times(list(range(100))), patients, seed=0).tolist())
    assert split == {"temporal_test": 15, "random_test": 15, "validation": 15, "train": 55}
    assert int(0.29 * 100) == 28
    assert fraction_size(0.29, 100) == fraction_size("29/100", 100) == 29
    assert fraction_size(1, 7) == fraction_size(1.0, 7) == 7


@pytest.mark.parametrize("fraction", [0, -0.1, 1.01, "x", float("nan"), float("inf"), "1/0"])
def test_no_other_fraction(fraction: float | str) -> None:
    with pytest.raises(SettingsError):
        fraction_size(fraction, 10)


def test_the_walk_stops_at_the_last_patient_it_needs() -> None:
    # From the newest: C, B, C, A …; two of four patients are met at the second visit.
    patients = ["A", "D", "A", "C", "B", "C"]
    minutes = [0, 1, 2, 3, 4, 5]
    ids = ["1", "2", "3", "4", "5", "6"]
    assert temporal_walk(patients, times(minutes), ids, Fraction(1, 2)).tolist() == [False] * 4 + [True] * 2
    # The third patient is met after C's second visit, which so is on the walk.
    walk = temporal_walk(patients, times(minutes), ids, Fraction(3, 4)).tolist()
    assert walk == [False, False, True, True, True, True]
    split = target_splits(patients, times(minutes), ids, seed=0, temporal_test=Fraction(3, 4), random_test=Fraction(0))
    assert split.tolist() == [OLDER_VISIT, "train", *["temporal_test"] * 4]


def test_ties_in_time_are_broken_by_visit_id_as_a_number() -> None:
    patients = ["A", "B", "C"]
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        ids = [["9", "10", "8"][i] for i in order]
        walk = temporal_walk([patients[i] for i in order], times([5, 5, 5]), ids, Fraction(1, 3))
        assert [patients[i] for i, on_walk in zip(order, walk, strict=True) if on_walk] == ["B"]
    assert sorted(["b", "10", "9", "009", "a"], key=id_key) == ["009", "9", "10", "a", "b"]


hospitals = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 40)), min_size=1, max_size=80
)  # (patient, minute), with ties


@given(hospitals, st.integers(0, 5), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_target_splits_by_property(visits: list[tuple[int, int]], seed: int, shuffle: random.Random) -> None:
    rows = [(f"P{patient}", minute, str(i)) for i, (patient, minute) in enumerate(visits)]

    def split_of(rows: list[tuple[str, int, str]]) -> dict[str, str]:
        patients, minutes, ids = ([row[k] for row in rows] for k in range(3))
        split = target_splits(patients, times(minutes), ids, seed=seed)  # type: ignore[arg-type]
        return dict(zip(ids, split.tolist(), strict=True))  # type: ignore[arg-type]

    split = split_of(rows)
    mixed = rows.copy()
    shuffle.shuffle(mixed)
    assert split_of(mixed) == split, "the order of rows matters"

    members: dict[str, set[str]] = {name: set() for name in (*TARGET_SPLITS, OLDER_VISIT)}
    for patient, _, visit in rows:
        members[split[visit]].add(patient)
    n = len({patient for patient, _, _ in rows})
    test, drawn, validation, train = (members[name] for name in ("temporal_test", "random_test", "validation", "train"))
    assert members[OLDER_VISIT] <= test, "older visits belong to temporal-test patients"
    assert sum(map(len, (test, drawn, validation, train))) == n, "a patient is in two splits"
    assert len(test) == -(-15 * n // 100)
    rest = n - len(test)
    assert len(drawn) == -(-15 * rest // 85)
    rest -= len(drawn)
    assert len(validation) == 15 * rest // 70
    newest = {visit: (minute, id_key(visit)) for _, minute, visit in rows}
    oldest_tested = min(newest[visit] for visit, name in split.items() if name == "temporal_test")
    assert all(newest[visit] < oldest_tested for visit, name in split.items() if name != "temporal_test")


@given(st.sets(st.text("aé1|", max_size=4), max_size=40), st.integers(0, 3))
@settings(max_examples=30, deadline=None)
def test_draws_and_orders_by_property(patients: set[str], seed: int) -> None:
    forward = shuffled(sorted(patients), seed=seed, purpose="x")
    assert forward == shuffled(sorted(patients, reverse=True), seed=seed, purpose="x")
    assert sorted(forward) == sorted(patients)
    for count in (0, 1, len(patients)):
        assert draw(patients, count, seed=seed, purpose="x") == set(forward[:count])
    split = source_splits(patients, seed=seed)
    order = patient_order(split, seed=seed, role="source")
    for name in ("train", "validation"):
        ranks = sorted(order[patient] for patient in patients if split[patient] == name)
        assert ranks == list(range(len(ranks)))


def test_draws_differ_by_seed_and_purpose() -> None:
    patients = [str(i) for i in range(1000)]
    draws = [
        draw(patients, 500, seed=seed, purpose=purpose) for seed in (0, 1) for purpose in ("random-test", "validation")
    ]
    for i, one in enumerate(draws):
        for other in draws[:i]:
            # Independent draws of a half share a quarter of all: 250 ± 8.
            assert abs(len(one & other) - 250) < 40


# The draws as plain loops, as version 0.1.0 had them: cohorts that it made must come out again to the last row.


def plainly_shuffled(patients: Iterable[str], *, seed: int, purpose: str) -> list[str]:
    def place(patient: str) -> tuple[bytes, str]:
        return blake2b(f"{seed}|{purpose}|{patient}".encode(), digest_size=16).digest(), patient

    return sorted(set(patients), key=place)


def plain_walk(patients: list[str], clock: list[int], visit_ids: list[str], share: Fraction) -> list[bool]:
    wanted = ceil(share * len(set(patients)))
    newest_first = sorted(range(len(clock)), key=lambda i: (clock[i], id_key(visit_ids[i])), reverse=True)
    met: set[str] = set()
    walked = [False] * len(clock)
    for i in newest_first:
        if len(met) == wanted:
            break
        met.add(patients[i])
        walked[i] = True
    return walked


def plain_splits(patients: list[str], walked: list[bool], shares: tuple[Fraction, ...], seed: int) -> list[str]:
    temporal, tested, validation = shares
    newest = {patient for patient, on_walk in zip(patients, walked, strict=True) if on_walk}
    remaining = set(patients) - newest
    left = 1 - temporal
    count = ceil(tested / left * len(remaining))
    split = dict.fromkeys(newest, OLDER_VISIT)
    split |= dict.fromkeys(plainly_shuffled(remaining, seed=seed, purpose="random-test")[:count], "random_test")
    rest = remaining - set(split)
    count = int(validation / (left - tested) * len(rest))
    split |= dict.fromkeys(plainly_shuffled(rest, seed=seed, purpose="validation")[:count], "validation")
    of_visit = [split.get(patient, "train") for patient in patients]
    return ["temporal_test" if on_walk else name for name, on_walk in zip(of_visit, walked, strict=True)]


shares = st.fractions(0, Fraction(1, 3), max_denominator=20)
identifiers = st.text("019aé|", min_size=1, max_size=4)


@given(
    st.lists(st.tuples(identifiers, st.integers(0, 9), identifiers), max_size=60, unique_by=lambda visit: visit[2]),
    st.tuples(shares, shares, shares),
    st.integers(0, 5),
)
@settings(max_examples=100, deadline=None)
def test_splits_are_those_of_plain_loops(
    visits: list[tuple[str, int, str]], portions: tuple[Fraction, ...], seed: int
) -> None:
    patients, minutes, ids = ([visit[k] for visit in visits] for k in range(3))
    walked = plain_walk(patients, minutes, ids, portions[0])  # type: ignore[arg-type]
    assert temporal_walk(patients, times(minutes), ids, portions[0]).tolist() == walked  # type: ignore[arg-type]
    names = ("temporal_test", "random_test", "validation")
    split = target_splits(patients, times(minutes), ids, seed=seed, **dict(zip(names, portions, strict=True)))  # type: ignore[arg-type]
    assert split.tolist() == plain_splits(patients, walked, portions, seed)  # type: ignore[arg-type]
    assert shuffled(patients, seed=seed, purpose="x") == plainly_shuffled(patients, seed=seed, purpose="x")  # type: ignore[arg-type]


def test_thousands_of_draws_are_those_of_plain_loops() -> None:
    patients = [f"P{i}" for i in range(20_000)]
    assert shuffled(patients, seed=3, purpose="order|x") == plainly_shuffled(patients, seed=3, purpose="order|x")
    as_array = shuffled(np.array(patients), seed=3, purpose="order|x")
    assert as_array == shuffled(patients, seed=3, purpose="order|x")
    assert type(as_array[0]) is str


@given(st.lists(identifiers))
def test_codes_number_names_in_the_order_of_appearance(names: list[str]) -> None:
    codes, found = codes_of(names)
    assert [found[code] for code in codes.tolist()] == names
    assert found == list(dict.fromkeys(names))
