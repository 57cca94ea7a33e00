"""Columns that stand in another table of the same register, such as admission dates beside the diagnoses' keys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from precordial.errors import RegisterError
from precordial.registers.account import Account, TableAccount


@dataclass(frozen=True)
class LookUp:
    """A table in which rows are looked up.

    Attributes:
        table: `keys`, and our columns, in the types of their kinds.
        keys: what the key's columns are called, in both tables.
        name: of its file, for the account.
    """

    table: pl.DataFrame
    keys: list[str]
    name: str


def look_up(table: pl.DataFrame, keys: list[str], paths: list[Path], column: str, account: Account) -> LookUp:
    """A table of rows as they were read, by a key that stands once in it.

    Rows that say the same are one; rows without a key are none.

    Args:
        table: row, `part` if there are several files, the keys and our columns.
        column: of the key, for messages.

    Raises:
        RegisterError: a key stands twice, with different values.
    """
    values = [name for name in table.columns if name not in ("row", "part")]
    table = table.drop_nulls(keys).unique(values, keep="first", maintain_order=True)
    twice = table.filter(standing_twice(table, keys)).sort(*keys, *order_columns(table))
    if twice.height:
        account.problem(two_rows(twice, paths, column, "the same key also stands in {}, with other values"))
        table = table.unique(keys, keep="first", maintain_order=True)
    return LookUp(table.select(values), keys, paths[0].name)


def add_columns(frame: pl.DataFrame, look: LookUp, log: TableAccount) -> pl.DataFrame:
    """The frame with the columns of the table; empty where its key is not there, which is counted."""
    known = look.table.with_columns(pl.lit(True).alias(" found"))
    joined = frame.join(known, on=look.keys, how="left", maintain_order="left")
    log.note(f"rows without a match in {look.name}", joined[" found"].null_count())
    return joined.drop(" found")


def standing_twice(table: pl.DataFrame, key: list[str]) -> pl.Series:
    """Whether each row's key also stands in another row; an empty cell is equal to another.

    Few keys of a register stand twice. Those that may are found by their hashes, which are sorted as numbers; only
    these are compared.
    """
    digest = table.select(key).hash_rows().to_numpy()
    ordered = np.sort(digest)
    again = np.append(np.unique(ordered[1:][ordered[1:] == ordered[:-1]]), np.uint64(2**64 - 1))
    may = pl.Series(again[np.searchsorted(again, digest)] == digest)
    return may.scatter(may.arg_true(), table.filter(may).select(pl.struct(key).is_duplicated()).to_series())


def order_columns(table: pl.DataFrame) -> list[str]:
    """What the rows of a table are ordered by."""
    return ["part", "row"] if "part" in table.columns else ["row"]


def two_rows(rows: pl.DataFrame, paths: list[Path], column: str | None, problem: str) -> RegisterError:
    """The error of the first two of some rows, the second being the one that should not be there.

    Args:
        problem: with ``{}`` for the place of the first.
    """
    first, second = ({"part": 0, **row} for row in rows.head(2).select(order_columns(rows)).to_dicts())
    place = f"row {first['row']}"
    if first["part"] != second["part"]:
        place += f" of {paths[first['part']].name}"
    more = f" ({rows.height - 2} more such rows)" if rows.height > 2 else ""
    return RegisterError(
        problem.format(place) + more,
        file=paths[second["part"]],
        row=second["row"],
        column=column,
        remedy="keep the row that is right",
    )
