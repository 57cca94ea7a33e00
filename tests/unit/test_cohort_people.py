"""Patients by number: the same in tables that have nothing but texts in common; and what else is done by numbers."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from precordial.cohort.people import NUMBERED, among, facts_of, numbers, rows_each
from precordial.cohort.splits import runs
from precordial.registers.joins import standing_twice

KINDS = [pl.String(), NUMBERED]
IDS = st.lists(st.one_of(st.none(), st.sampled_from(["1", "2", "02", "å", "P 7", ""])), max_size=12)
TYPES = st.sampled_from(KINDS)


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


@given(first=IDS, second=IDS, types=st.tuples(TYPES, TYPES))
def test_patients_by_number_are_those_by_name(
    first: list[str | None], second: list[str | None], types: tuple[pl.DataType, pl.DataType]
) -> None:
    one, other = (
        pl.Series("patient_id", ids, pl.String).cast(dtype) for ids, dtype in zip((first, second), types, strict=True)
    )
    number = dict(zip(first + second, np.concatenate(numbers(one, other)).tolist(), strict=True))
    assert len({n for name, n in number.items() if name is not None}) == len(set(number) - {None})
    assert number.get(None, -1) == -1
    known = [name for name in first if name is not None]
    each = rows_each(one)[0]
    assert sorted(each[each > 0].tolist()) == sorted(known.count(name) for name in set(known))
    assert among(one, other).to_list() == [name is not None and name in second for name in first]

    once = [name for name in dict.fromkeys(second) if name is not None]
    table = pl.DataFrame({"patient_id": pl.Series(once, dtype=pl.String).cast(types[1]), "row": range(len(once))})
    found = facts_of(one, table.with_columns(pl.col("row").cast(pl.Int64)))
    assert found.columns == ["row"]
    assert found["row"].to_list() == [once.index(name) if name in once else None for name in first]


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.sampled_from([1, 2, None])), max_size=12))
def test_keys_that_stand_twice_are_found(rows: list[tuple[str | None, int | None]]) -> None:
    table = pl.DataFrame(rows, schema={"name": pl.String, "number": pl.Int64}, orient="row")
    assert standing_twice(table, ["name", "number"]).to_list() == [rows.count(row) > 1 for row in rows]
    assert standing_twice(table, ["number"]).to_list() == [[n for _, n in rows].count(n) > 1 for _, n in rows]


def test_different_keys_of_one_hash_do_not_stand_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pl.DataFrame({"name": ["a", "b", "a", "c"]})
    monkeypatch.setattr(pl.DataFrame, "hash_rows", lambda frame: pl.Series([7] * len(frame), dtype=pl.UInt64))
    assert standing_twice(table, ["name"]).to_list() == [True, False, True, False]
    top = 2**64 - 1
    monkeypatch.setattr(pl.DataFrame, "hash_rows", lambda frame: pl.Series([top] * len(frame), dtype=pl.UInt64))
    assert standing_twice(table, ["name"]).to_list() == [True, False, True, False]


@given(st.lists(st.sampled_from(["", "a", "bb"]), max_size=10))
def test_runs_put_together_are_the_values(values: list[str]) -> None:
    given_values = np.array(values, np.str_)
    first, length = runs(given_values)
    assert np.repeat(given_values[first], length).tolist() == values
    assert (given_values[first][1:] != given_values[first][:-1]).all()
