"""Patients by number: the same in tables that have nothing but texts in common."""

from __future__ import annotations

import polars as pl
import pytest

from precordial.cohort.people import NUMBERED, among, facts_of, numbers, rows_each

KINDS = [pl.String(), NUMBERED]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_ids_of_two_tables(kind: pl.DataType, other: pl.DataType) -> None:
    """The second table has other patients first, so that numbers of its own would be others."""
    patients = pl.Series("patient_id", ["a", "b", None, "c", "a"], kind)
    others = pl.Series("patient_id", ["x", "c", "b"], other)
    first, second = numbers(patients, others)
    assert first[3] == second[1]
    assert first[1] == second[2]
    assert first[2] == -1
    assert among(patients, others).to_list() == [False, True, False, True, False]
    facts = facts_of(patients, pl.DataFrame([others, pl.Series("sex", [0.0, 1.0, 2.0])]))
    assert facts["sex"].to_list() == [None, 2, None, 1, None]
    had, have = rows_each(patients, others)
    assert (had[first[0]], have[second[0]]) == (2, 1)
