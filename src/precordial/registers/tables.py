"""A register extract as one table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from precordial.registers.account import Account
from precordial.registers.batches import Plan, Select, read_batches, type_of
from precordial.registers.joins import LookUp, look_up
from precordial.registers.table_settings import Kind, TableSettings

_ON = "on:"  # before the name of a join's key column


def read_table(
    path: str | Path,
    columns: Mapping[str, str],
    *,
    types: Mapping[str, Kind] | None = None,
    separator: str = ",",
    encoding: str = "utf8",
    date_format: str | None = None,
    key: str = "columns",
) -> pl.DataFrame:
    """Read the mapped columns of one file.

    Every cell of a CSV file is read as text, so ids keep their leading zeros; blanks around a cell are cut off and an
    empty cell is null. Only blank rows are dropped here: which cells a study needs, and how many rows lack them, is
    decided and counted where the cohort is built.

    Args:
        path: a CSV, Parquet, SAS or Stata file (by its suffix).
        columns: our name → the file's column.
        types: our name → "text" (the default), "date" or "number".
        separator: the single character between cells of a CSV file.
        encoding: of a CSV file, by its Python name.
        date_format: strftime pattern of the file's dates, such as ``"%d.%m.%Y %H:%M"``; None: ISO 8601 local
            time, a date or a date and time with "T" or a blank, seconds and their fractions optional.
        key: dotted key of the column map in the study file, for messages.

    Returns:
        One row per row of the file: `row` (int; the header is row 1, so the first is 2) and our columns;
        dates as Datetime("us") cut to whole seconds, numbers as Float64, text as String.

    Raises:
        RegisterError: the file cannot be read, a column is missing or stands twice, or a cell is not what its
            type says.
    """
    settings = TableSettings(file=Path(path), separator=separator, encoding=encoding, date_format=date_format)
    kinds: dict[str, Kind] = {name: (types or {}).get(name, "text") for name in columns}
    plan = Plan(settings, "table", key.removesuffix(".columns"), columns, kinds, columns_key=key)
    return read_plan(plan, Account())


def read_plan(plan: Plan, account: Account, select: Select | None = None) -> pl.DataFrame:
    """The whole table of a plan, with the columns that its joins give; arguments as of `read_batches`."""
    keys = {name: f"joins.{place}.{_ON}{name}" for place, name in _keys(plan.settings)}
    look_ups = [_look_up(plan, place, keys, account) for place in range(len(plan.settings.joins))]
    columns = {**plan.columns, **{ours: theirs for theirs, ours in keys.items()}}
    with_keys = Plan(**{**vars(plan), "columns": columns})
    frames = list(read_batches(with_keys, account, look_ups, select))
    if not frames:
        nothing = _nothing(plan)
        return select(nothing) if select else nothing
    return pl.concat(frames).drop(keys.values())


def _look_up(plan: Plan, place: int, keys: Mapping[str, str], account: Account) -> LookUp:
    join = plan.settings.joins[place]
    settings = TableSettings(
        file=join.file,
        separator=join.separator,
        encoding=join.encoding,
        missing=join.missing,
        catalog=join.catalog,
        date_format=plan.settings.date_format,
        decimal=plan.settings.decimal,
        bad_cells=plan.settings.bad_cells,
    )
    columns = {**{f"{_ON}{name}": name for name in join.on}, **join.columns}
    kinds: dict[str, Kind] = {ours: plan.kind(ours) for ours in join.columns}
    key = f"{plan.key}.joins.{place}"
    paths = settings.paths()
    name = f"{plan.name}: {paths[0].name}"
    other = Plan(settings, name, key, columns, kinds, words=plan.words, columns_key=f"{key}.columns")
    frames = list(read_batches(other, account))
    table = pl.concat(frames) if frames else _nothing(other)
    account.table(other.name).kept = table.height
    own = {f"{_ON}{name}": keys[name] for name in join.on}
    return look_up(table.rename(own), list(own.values()), paths, join.on[0], account)


def _keys(settings: TableSettings) -> list[tuple[int, str]]:
    """The columns by which joins look up, each once, with the place of its first join."""
    first = {name: place for place, join in reversed(list(enumerate(settings.joins))) for name in join.on}
    return [(place, name) for name, place in first.items()]


def _nothing(plan: Plan) -> pl.DataFrame:
    names: dict[str, Kind] = {**dict.fromkeys(plan.columns, "text"), **plan.kinds}
    first = ["row", "part"] if len(plan.settings.paths()) > 1 else ["row"]
    types = {name: type_of(kind) for name, kind in names.items()}
    return pl.DataFrame(schema={**dict.fromkeys(first, pl.Int64()), **types})
