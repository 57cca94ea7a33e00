"""Schemes of splits: partition by patient, exact sizes, any order of rows, and what new patients change."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from precordial.cohort.assign import assign_splits
from precordial.cohort.schemes import ColumnSplit, FoldSplit, PaperSplit, SiteSplit
from precordial.cohort.splits import FOLD, NOT_IN_SPLIT, OLDER_VISIT, TARGET_SPLITS, target_splits
from precordial.errors import LeakageError, PrecordialError, RegisterError

# patient, day, site
Visit = tuple[str, int, str]
visits_of_hospitals = st.lists(
    st.tuples(st.integers(0, 25).map("P{}".format), st.integers(0, 40), st.sampled_from("NSEW")),
    min_size=1,
    max_size=70,
)
START = np.datetime64("2017-01-01T12:00:00", "s")
FOLDS = FoldSplit(scheme="k-fold", folds=3)
SITES = SiteSplit(scheme="sites", sites=("N", "S"))
COLUMN = ColumnSplit(scheme="column", train=("1",), validation=("2",), random_test=("3",), temporal_test=("4",))


def assigned(
    scheme: Any, visits: list[Visit], ids: list[str] | None = None, **options: Any
) -> tuple[list[str], list[int]]:
    patients, days, sites = ([visit[k] for visit in visits] for k in range(3))
    split, fold = assign_splits(
        scheme,
        seed=options.pop("seed", 0),
        patients=np.array(patients),
        times=START + np.array(days).astype("timedelta64[D]"),
        visit_ids=ids or [str(i) for i in range(len(visits))],
        sites=sites,
        values=options.pop("values", sites),
        **options,
    )
    assert split.dtype.kind == "U"
    assert fold.dtype == np.int64
    return split.tolist(), fold.tolist()


def some(visits: list[Visit], scheme: Any, **options: Any) -> tuple[list[str], list[int]] | None:
    """None where the scheme cannot be had of these visits."""
    try:
        return assigned(scheme, visits, **options)
    except RegisterError:
        return None


def on(day: int) -> date:
    return (START + np.timedelta64(day, "D")).astype("M8[D]").item()  # type: ignore[no-any-return]


@given(visits_of_hospitals, st.integers(0, 3), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_rows_does_not_matter(visits: list[Visit], seed: int, shuffle: random.Random) -> None:
    places = list(range(len(visits)))
    shuffle.shuffle(places)
    ids = [str(place) for place in places]
    for scheme in (PaperSplit(), PaperSplit(temporal_from=on(30)), FOLDS, SITES):
        plain = some(visits, scheme, seed=seed)
        mixed = some([visits[place] for place in places], scheme, seed=seed, ids=ids)
        assert (plain is None) == (mixed is None)
        if plain is not None and mixed is not None:
            for column, other in zip(plain, mixed, strict=True):
                assert other == [column[place] for place in places]


@given(visits_of_hospitals, st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_the_papers_scheme_is_todays(visits: list[Visit], seed: int) -> None:
    split, fold = assigned(PaperSplit(), visits, seed=seed)
    patients, days, _ = ([visit[k] for visit in visits] for k in range(3))
    times = START + np.array(days).astype("timedelta64[D]")
    ids = [str(i) for i in range(len(visits))]
    assert split == target_splits(patients, times, ids, seed=seed).tolist()  # type: ignore[arg-type]
    assert set(fold) == {-1}


@given(visits_of_hospitals, st.integers(0, 41), st.sampled_from([PaperSplit, FoldSplit, SiteSplit]))
@settings(max_examples=60, deadline=None)
def test_a_temporal_test_from_a_day_on(visits: list[Visit], day: int, kind: type) -> None:
    more = {
        PaperSplit: {},
        FoldSplit: {"scheme": "k-fold", "folds": 2},
        SiteSplit: {"scheme": "sites", "sites": ("N",)},
    }
    scheme = kind(temporal_from=on(day), **more[kind])
    made = some(visits, scheme)
    if not any(visit[1] >= day for visit in visits):
        assert made is None
    if made is None:
        return
    split, _ = made
    newest = {visit[0] for visit in visits if visit[1] >= day}
    for visit, name in zip(visits, split, strict=True):
        assert (name == "temporal_test") == (visit[1] >= day)
        assert (name == OLDER_VISIT) == (visit[1] < day and visit[0] in newest)
    if kind is PaperSplit:
        members = {name: {v[0] for v, s in zip(visits, split, strict=True) if s == name} for name in TARGET_SPLITS}
        remaining = len({visit[0] for visit in visits} - newest)
        assert len(members["random_test"]) == ceil(Fraction(15, 85) * remaining)
        assert len(members["validation"]) == int(Fraction(15, 70) * (remaining - len(members["random_test"])))
        assert sum(map(len, members.values())) == len({visit[0] for visit in visits})


@given(visits_of_hospitals, st.integers(2, 6), st.integers(0, 3), st.sampled_from(["0", "3/20"]))
@settings(max_examples=60, deadline=None)
def test_folds_by_property(visits: list[Visit], folds: int, seed: int, temporal: str) -> None:
    made = some(visits, FoldSplit(scheme="k-fold", folds=folds), seed=seed, temporal_test=Fraction(temporal))
    patients = {visit[0] for visit in visits}
    left = len(patients) - ceil(Fraction(temporal) * len(patients))
    assert (made is None) == (left < folds)
    if made is None:
        return
    of_patient: dict[str, set[int]] = {}
    for visit, name, fold in zip(visits, *made, strict=True):
        assert (name == FOLD) == (fold >= 0)
        assert name in (FOLD, "temporal_test", OLDER_VISIT)
        of_patient.setdefault(visit[0], set()).add(fold if name == FOLD else -1)
    assert all(len(found) == 1 for found in of_patient.values()), "a patient is in two folds"
    sizes = Counter(fold for (fold,) in of_patient.values())
    assert sizes.pop(-1, 0) == len(patients) - left
    assert sum(sizes.values()) == left
    assert set(sizes) == set(range(folds))
    assert max(sizes.values()) - min(sizes.values()) <= 1


@given(visits_of_hospitals)
@settings(max_examples=40, deadline=None)
def test_sites_by_property(visits: list[Visit]) -> None:
    made = some(visits, SITES, temporal_test=Fraction(0))
    sites = {visit[2] for visit in visits}
    assert (made is None) == (not sites >= {"N", "S"})
    if made is not None:
        split, fold = made
        assert set(split) == {FOLD}
        assert fold == [{"N": 0, "S": 1}.get(visit[2], -1) for visit in visits]


@given(st.lists(st.integers(0, 4), min_size=30, max_size=30), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_a_column_by_property(of_patient: list[int], shuffle: random.Random) -> None:
    visits = [(f"P{i % 30}", shuffle.randrange(40), "N") for i in range(70)]
    values = [str(of_patient[i % 30]) for i in range(70)]
    made = some(visits, COLUMN, values=values)
    assert (made is None) == (not set(values) >= {"1", "2", "3", "4"})
    if made is not None:
        names = {"1": "train", "2": "validation", "3": "random_test", "4": "temporal_test"}
        assert made[0] == [names.get(value, NOT_IN_SPLIT) for value in values]
        assert set(made[1]) == {-1}


def moved(scheme: Any, old: list[Visit], new: list[Visit], **options: Any) -> float:
    """Share of the old patients whose split or fold is another once the new ones are there."""
    before = list(zip(*assigned(scheme, old, **options), strict=True))
    after = list(zip(*assigned(scheme, old + new, **options), strict=True))[: len(old)]
    return sum(a != b for a, b in zip(before, after, strict=True)) / len(old)


def hospital(first: int, patients: int) -> list[Visit]:
    draw = random.Random(first)
    return [(f"P{i}", draw.randrange(1000), draw.choice("NSEW")) for i in range(first, first + patients)]


def test_what_new_patients_change() -> None:
    """The numbers of docs/method-notes.md: 10 000 patients, and 1000 more."""
    old, new = hospital(0, 10_000), hospital(10_000, 1000)
    nothing = {"temporal_test": Fraction(0)}
    assert moved(SITES, old, new, **nothing) == 0
    assert moved(FoldSplit(scheme="k-fold", folds=5), old, new, **nothing) < 0.01
    assert moved(PaperSplit(), old, new, **nothing) < 0.02
    assert moved(PaperSplit(temporal_from=on(850)), old, new) < 0.02
    later = [(patient, day + 1000, site) for patient, day, site in new]
    assert 0.05 < moved(PaperSplit(), old, later) < 0.12, "the newest are others then"
    values = [str(int(patient[1:]) % 5) for patient, _, _ in old + new]
    before = assigned(COLUMN, old, values=values[: len(old)])[0]
    assert assigned(COLUMN, old + new, values=values)[0][: len(old)] == before


def test_without_temporal_test_times_may_be_unknown() -> None:
    patients, nothing = ["A", "B", "C"], np.full(3, np.datetime64("NaT", "s"))
    for scheme in (PaperSplit(), FoldSplit(scheme="k-fold", folds=3)):
        split, _ = assign_splits(
            scheme, seed=0, patients=patients, times=nothing, visit_ids=patients, temporal_test=Fraction(0)
        )
        assert "temporal_test" not in split.tolist()
        with pytest.raises(RegisterError, match=r"key 'cohort.temporal_test': 3 rows of the target have no time"):
            assign_splits(scheme, seed=0, patients=patients, times=nothing, visit_ids=patients)


VISITS = [("secret1", 1, "N"), ("secret2", 2, "S"), ("secret1", 3, "E"), ("secret3", 4, "W")]


@pytest.mark.parametrize(
    ("scheme", "options", "message"),
    [
        (
            PaperSplit(temporal_from=on(5)),
            {},
            "key 'cohort.split.temporal_from': no row of the target is on this day or later; give an earlier day; "
            "for no temporal test leave it out, and set temporal_test = 0",
        ),
        (
            FoldSplit(scheme="k-fold", folds=4),
            {"temporal_test": Fraction(0)},
            "key 'cohort.split.folds': 3 patients cannot be dealt to 4 folds; "
            "ask for fewer folds, or for a smaller temporal test",
        ),
        (
            SiteSplit(scheme="sites", sites=("N", "Lund")),
            {"temporal_test": Fraction(0)},
            "key 'cohort.split.sites': no row of the target is at the site 'Lund', or all of them are in the "
            "temporal test; write sites as they stand in the column, and leave out those without any row",
        ),
        (
            COLUMN,
            {"values": ["1", "2", "1", "3"], "file": "visits.csv"},
            "visits.csv, key 'cohort.split.temporal_test': no row of the target has one of these values; "
            "write them as they stand in the column; whole numbers have no decimal point",
        ),
        (
            ColumnSplit(scheme="column", train=("1",), validation=("2",)),
            {"values": ["1", "2", "2", "2"], "rows": [5, 6, 7, 8], "file": "visits.csv"},
            "visits.csv, key 'cohort.split': the column puts a patient into two splits: rows 5, 7; "
            "correct the column so that all rows of a patient are in one split",
        ),
    ],
)
def test_mistakes(scheme: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(PrecordialError) as error:
        assigned(scheme, VISITS, **options)
    assert str(error.value) == message
    assert isinstance(error.value, LeakageError) == ("two splits" in message)
