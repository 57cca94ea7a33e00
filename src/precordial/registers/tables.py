"""Read one register extract, CSV or Parquet, into a table with our column names."""

from __future__ import annotations

import codecs
import csv
import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import polars as pl

from precordial.errors import PrecordialError, RegisterError
from precordial.registers.values import dates_from_text, numbers_from_text, plain_text

Kind = Literal["text", "date", "number"]
SEPARATORS = (";", "\t", ",", "|")  # of CSV files, the likeliest first
_WHAT = {"date": "this is not a date", "number": "this is not a number"}


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
    """Read the mapped columns of a register extract.

    Every cell is read as text, so ids keep their leading zeros; blanks around a cell are cut off and an empty
    cell is null. Only blank rows are dropped here: which cells a study needs, and how many rows lack them, is decided
    and counted where the cohort is built.

    Args:
        path: a CSV file, or a Parquet file (by its suffix).
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
    path = Path(path)
    raw = _read_raw(path, columns, separator, encoding, key)
    table = raw.select(
        pl.int_range(2, pl.len() + 2, dtype=pl.Int64).alias("row"),
        *(plain_text(raw.schema[theirs], theirs).alias(ours) for ours, theirs in columns.items()),
    )
    table = table.filter(~pl.all_horizontal(pl.col(list(columns)).is_null()))
    for name, kind in (types or {}).items():
        if name not in columns or kind == "text":
            continue
        cells = table[name]
        if kind == "date":
            values = dates_from_text(cells, date_format)
        else:
            values = numbers_from_text(cells)
        wrong = (cells.is_not_null() & values.is_null()).arg_true()
        if len(wrong):
            raise RegisterError(
                _WHAT[kind] + (f" ({len(wrong) - 1} more like it)" if len(wrong) > 1 else ""),
                file=path,
                row=int(table["row"][int(wrong[0])]),
                column=columns[name],
                remedy=_remedy(kind, date_format, key),
            )
        table = table.with_columns(values.alias(name))
    return table


def _remedy(kind: Kind, date_format: str | None, key: str) -> str:
    if kind == "number":
        return "write numbers with a decimal point, or leave the cell empty"
    table = key.removesuffix(".columns")
    if date_format is None:
        return f"write dates as 2017-03-31 or 2017-03-31 14:05:00, or set {table}.date_format"
    return f"it does not fit the pattern set under {table}.date_format"


def _read_raw(path: Path, columns: Mapping[str, str], separator: str, encoding: str, key: str) -> pl.DataFrame:
    """The mapped columns as they stand in the file, each once."""
    if not path.is_file():
        raise RegisterError("there is no such file", file=path, remedy=f"set {key.removesuffix('.columns')}.file")
    wanted = list(dict.fromkeys(columns.values()))
    try:
        if path.suffix.lower() == ".parquet":
            _check_columns(path, pl.read_parquet_schema(path), columns, key)
            return pl.read_parquet(path, columns=wanted).select(wanted)
        _check_columns(path, _header(path, columns, separator, encoding, key), columns, key)
        # All columns are read: given only some, Polars does not see a row with too many cells.
        return pl.read_csv(path, separator=separator, encoding=_polars_name(encoding), infer_schema=False).select(
            wanted
        )
    except PrecordialError:
        raise
    except (UnicodeDecodeError, pl.exceptions.PolarsError, OSError, csv.Error) as error:
        raise _unreadable(path, error, separator, encoding, key) from error


def _header(path: Path, columns: Mapping[str, str], separator: str, encoding: str, key: str) -> list[str]:
    table = key.removesuffix(".columns")
    if len(separator.encode()) != 1:
        raise RegisterError("the separator must be one ASCII character", key=f"{table}.separator")
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise RegisterError(
            "there is no such encoding", key=f"{table}.encoding", remedy='try "utf8", "cp1252" or "latin-1"'
        ) from None
    # utf-8-sig also takes a file without the byte-order mark that spreadsheets write.
    name = "utf-8-sig" if _polars_name(encoding) == "utf8" else encoding
    with path.open(encoding=name, newline="") as file:
        header = next(csv.reader(file, delimiter=separator), None)
    if not header:
        raise RegisterError("the first row is empty", file=path, remedy="it must name the columns")
    other = next((mark for mark in SEPARATORS if mark != separator and mark in header[0]), None)
    if len(header) == 1 and other is not None and header[0] not in columns.values():
        shown = "tabs" if other == "\t" else f"'{other}'"
        written = "\\t" if other == "\t" else other
        raise RegisterError(
            f"the cells seem to be separated by {shown}",
            file=path,
            row=1,
            remedy=f'set {table}.separator = "{written}"',
        )
    return header


def _polars_name(encoding: str) -> str:
    return "utf8" if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig") else encoding


def _check_columns(path: Path, present: Mapping[str, object] | list[str], columns: Mapping[str, str], key: str) -> None:
    names = list(present)
    for ours, theirs in columns.items():
        if names.count(theirs) > 1:
            raise RegisterError(
                "two columns have this name",
                file=path,
                column=theirs,
                key=f"{key}.{ours}",
                remedy="rename one of them",
            )
        if theirs not in names:
            # A file without a header would show a patient's data here: names that look like data stay out.
            shown = [name for name in names if re.search(r"[^\W\d]", name) and not re.search(r"\d{4}", name)]
            near = difflib.get_close_matches(theirs, shown, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            listed = ", ".join(shown[:40]) or "none that could be a name"
            raise RegisterError(
                "there is no such column",
                file=path,
                column=theirs,
                key=f"{key}.{ours}",
                remedy=f"{hint}the file has: {listed}; set this key to the right one",
            )


def _unreadable(path: Path, error: Exception, separator: str, encoding: str, key: str) -> RegisterError:
    """Say where a file breaks; Polars does not."""
    table = key.removesuffix(".columns")
    if path.suffix.lower() == ".parquet":
        return RegisterError("the Parquet file is damaged or is none", file=path, remedy="write it again")
    row = 1
    try:
        with path.open(encoding=encoding, newline="") as file:
            reader = csv.reader(file, delimiter=separator)
            width = len(next(reader, []))
            for row, cells in enumerate(reader, start=2):
                if len(cells) > width:
                    return RegisterError(
                        f"{len(cells)} cells where the header has {width}",
                        file=path,
                        row=row,
                        remedy=f"quote cells that contain the separator, or set {table}.separator",
                    )
    except UnicodeDecodeError:
        return RegisterError(
            f"the file is not written in {encoding}",
            file=path,
            remedy=f'set {table}.encoding, for instance to "cp1252"',
        )
    except csv.Error:
        return RegisterError("the row cannot be read as CSV", file=path, row=row + 1, remedy="check its quotes")
    return RegisterError(
        f"the file cannot be read as CSV ({type(error).__name__})", file=path, remedy="check its quotes"
    )
