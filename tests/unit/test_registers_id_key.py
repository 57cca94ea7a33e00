"""Ids that were merged and reused: against plain loops, row by row."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from precordial.errors import RegisterError
from precordial.registers import Account, IdKey, read_id_key, translate_ids
from precordial.registers.id_key import NOT_VALID, TRANSLATED

FIRST = date(2000, 1, 1)
Row = tuple[str, str, date | None, date | None]


def day(number: int | None) -> date | None:
    return None if number is None else FIRST + timedelta(number)


def write(path: Path, rows: list[Row]) -> IdKey:
    lines = ["old,new,from,to", *(",".join("" if cell is None else str(cell) for cell in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return IdKey.model_validate({"file": path, "columns": {"valid_from": "from", "valid_to": "to"}})


def key(path: Path, rows: list[Row]) -> pl.DataFrame:
    return read_id_key(write(path, rows), Account())


def holds(row: Row, at: date) -> bool:
    return (row[2] is None or row[2] <= at) and (row[3] is None or at <= row[3])


class CircleError(Exception):
    pass


def persons(rows: list[Row], start: str, at: date) -> set[str]:
    """Where an id leads to on a day; empty: nowhere."""
    found: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise CircleError
        steps = [row for row in rows if row[0] == name]
        if not steps:
            found.add(name)
        for row in steps:
            if holds(row, at):
                if row[1] == name:
                    found.add(name)
                else:
                    walk(row[1], (*path, name))

    walk(start, ())
    return found


DAYS = range(-1, 7)  # one before and one after all limits of the keys below
ids = st.sampled_from("abcde")
limits = st.one_of(st.none(), st.integers(0, 5))
periods = st.tuples(limits, limits).map(lambda two: two if None in two else tuple(sorted(two)))  # type: ignore[type-var]
keys = st.lists(st.tuples(ids, ids, periods), max_size=7)


@settings(max_examples=60, deadline=None)
@given(rows=keys, order=st.randoms())
@example(rows=[("a", "c", (None, None)), ("b", "a", (None, 0)), ("c", "b", (1, None))], order=Random(0))
@example(rows=[("a", "a", (None, None)), ("a", "c", (None, None)), ("b", "a", (None, 0))], order=Random(0))
def test_a_key_is_as_plain_loops_say(tmp_path_factory: pytest.TempPathFactory, rows: list, order) -> None:  # type: ignore[type-arg, no-untyped-def]
    path = tmp_path_factory.mktemp("key") / "key.csv"
    plain: list[Row] = [(old, new, day(start), day(end)) for old, new, (start, end) in rows]
    dates = [day(number) for number in DAYS]
    try:
        led = {(name, at): persons(plain, name, at) for name in "abcdef" for at in dates if at is not None}
    except CircleError:
        with pytest.raises(RegisterError, match="the ids lead in a circle"):
            key(path, plain)
        return
    if any(len(found) > 1 for found in led.values()):
        with pytest.raises(RegisterError, match="belongs to another person in row"):
            key(path, plain)
        return
    table = pl.DataFrame(
        {"row": range(9 * 6), "id": list("abcdef") * 9, "at": [at for at in [*dates, None] for _ in range(6)]}
    ).with_columns(pl.col("at").cast(pl.Datetime("us")))
    expected = []
    for row, name, at in table.rows():
        if at is not None:
            found = led[name, at.date()]
        else:  # without a day the id counts if it belongs to one person on all days
            everyday = [led[name, other] for other in dates if other is not None]
            found = everyday[0] if all(one == everyday[0] for one in everyday) else set()
        expected += [(row, person) for person in found]
    account = Account()
    read = key(path, plain)
    translated = translate_ids(table, read, id_column="id", date_column="at", account=account, name="t")
    assert translated.select("row", "id").rows() == expected
    assert translated.columns == table.columns
    changed = dict(expected)
    assert account.tables["t"].dropped.get(NOT_VALID, 0) == table.height - len(expected)
    assert account.tables["t"].notes.get(TRANSLATED, 0) == sum(changed[row] != table["id"][row] for row in changed)
    order.shuffle(plain)
    assert key(path, plain).equals(read)


def test_chains_merges_and_reuse(tmp_path: Path) -> None:
    rows: list[Row] = [
        ("t1", "t2", None, None),  # a chain of temporary numbers
        ("t2", "P", None, None),
        ("x", "P", None, date(2009, 12, 31)),  # one number of two persons
        ("x", "Q", date(2010, 1, 1), None),
        ("r", "r", date(2010, 1, 1), None),  # a number that was somebody else's before
        ("r", "P", None, date(2005, 1, 1)),
    ]
    table = pl.DataFrame(
        {
            "patient_id": ["t1", "x", "x", "x", "r", "r", "r", "other", None],
            "date": [
                *(None, datetime(2009, 12, 31, 23, 59), datetime(2010, 1, 1), None),
                *(datetime(2010, 1, 1), datetime(2005, 1, 1, 12), datetime(2007, 1, 1), None, None),
            ],
        }
    )
    account = Account()
    translated = translate_ids(table, key(tmp_path / "k.csv", rows), date_column="date", account=account, name="visits")
    assert translated["patient_id"].to_list() == ["P", "P", "Q", "r", "P", "other", None]
    assert account.tables["visits"].dropped == {"id not valid at that date": 2}
    undated = translate_ids(table.select("patient_id"), key(tmp_path / "k.csv", rows))
    assert undated["patient_id"].to_list() == ["P", "other", None]


def test_a_long_chain_is_followed(tmp_path: Path) -> None:
    rows: list[Row] = [(f"n{number}", f"n{number + 1}", None, None) for number in range(1000)]
    found = key(tmp_path / "k.csv", rows)
    assert found.height == 1000
    assert set(found["new"].to_list()) == {"n1000"}
    with pytest.raises(RegisterError, match=r"row 1002, column 'new': the ids lead in a circle, from row 2"):
        key(tmp_path / "k.csv", [*rows, ("n1000", "n0", None, None)])


def test_circles_that_never_close_on_one_day_are_none(tmp_path: Path) -> None:
    rows: list[Row] = [("a", "b", None, date(2000, 1, 1)), ("b", "a", date(2000, 1, 2), None)]
    table = pl.DataFrame({"patient_id": ["a", "b"] * 2, "date": [date(2000, 1, 1)] * 2 + [date(2000, 1, 2)] * 2})
    # On each day one of the two leads to the other, which then leads nowhere.
    assert translate_ids(table, key(tmp_path / "k.csv", rows), date_column="date").height == 0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [("a", "SECRET", date(2000, 1, 1), date(2001, 1, 1)), ("a", "other", date(2001, 1, 1), None)],
            r"k\.csv, row 3, column 'old': the id also belongs to another person in row 2, on the same days; keep",
        ),
        (
            [("a", "b", None, None), ("x", "y", None, None), ("b", "c", None, None), ("a", "d", None, None)],
            r"row 5, column 'old': the id also belongs to another person in row 2",
        ),
        ([("a", "b", date(2001, 1, 2), date(2001, 1, 1))], r"row 2, column 'to': the period ends before it begins"),
        (
            [("b", "a", None, None), ("a", "b", None, None)],
            r"row 3, column 'new': the ids lead in a circle, from row 2",
        ),
    ],
)
def test_a_key_that_contradicts_itself(tmp_path: Path, rows: list[Row], message: str) -> None:
    with pytest.raises(RegisterError, match=message) as error:
        key(tmp_path / "k.csv", rows)
    assert "SECRET" not in str(error.value)
    account = Account(collect=True)
    read_id_key(write(tmp_path / "k.csv", rows), account)
    assert len(account.problems) == 1


def test_the_same_twice_is_no_contradiction(tmp_path: Path) -> None:
    rows: list[Row] = [("a", "b", None, None), ("a", "b", date(2000, 1, 1), None), ("b", "c", None, None)]
    rows += [("a", "c", date(2001, 1, 1), date(2001, 1, 1)), ("z", "", None, None)]
    account = Account()
    found = read_id_key(write(tmp_path / "k.csv", rows), account)
    assert found.select("old", "new").rows() == [("a", "c"), ("b", "c")]
    assert account.tables["id_key"].dropped == {"no id": 1}
    assert account.tables["id_key"].kept == 4


def test_an_empty_key_changes_nothing(tmp_path: Path) -> None:
    table = pl.DataFrame({"patient_id": ["a", None]})
    assert translate_ids(table, key(tmp_path / "k.csv", [])).equals(table)
