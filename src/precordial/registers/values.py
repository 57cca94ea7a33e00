"""Cells of a register as text, dates, numbers and sex; what cannot be understood becomes null."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import polars as pl

from precordial.registers.table_settings import Kind

OLDEST = 125
_ISO = r"^\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?)?$"
# Second 60 would be read as the next minute; no register has a reason to write it.
_PLAIN_ISO = {
    10: (r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "%Y-%m-%d"),
    16: (r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}$", "%Y-%m-%d %H:%M"),
    19: (r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-5][0-9]$", "%Y-%m-%d %H:%M:%S"),
}
_NO_DATE, _NO_NUMBER = "this is not a date", "this is not a number"
_NO_AGE = f"this is no age from 0 to {OLDEST} years"
_NO_SEX = "this is neither a word for female nor for male"
_NO_OUTCOME = "an outcome must be 0, 1 or empty"


@dataclass(frozen=True)
class Writing:
    """How the cells of one column are written.

    Attributes:
        date_format: strftime pattern of dates; None: ISO 8601.
        decimal: the sign before decimals.
        words: of sex, in lower case → 1.0 (female) or 0.0.
    """

    date_format: str | None = None
    decimal: str = "."
    words: Mapping[str, float] = field(default_factory=dict)


def sex_words(female: Sequence[str], male: Sequence[str]) -> dict[str, float]:
    """The words of `Writing`."""
    return {word.strip().lower(): 1.0 for word in female} | {word.strip().lower(): 0.0 for word in male}


def plain_text(dtype: pl.DataType, column: str) -> pl.Expr:
    """A column of any type as text without surrounding blanks; empty becomes null.

    Files with types of their own bring them: a date becomes ISO text, a whole number loses the ".0" that a
    column with gaps gets in pandas.
    """
    cells = pl.col(column)
    if isinstance(dtype, pl.Datetime):  # a time zone is dropped: registers are in local time
        cells = cells.dt.replace_time_zone(None).dt.to_string("%Y-%m-%d %H:%M:%S")
    elif dtype == pl.Date:
        cells = cells.dt.to_string("%Y-%m-%d")
    elif dtype.is_float():
        whole = cells.is_finite() & (cells == cells.round()) & (cells.abs() < 2**53)
        cells = pl.when(whole).then(cells.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(cells.cast(pl.String))
    else:
        cells = cells.cast(pl.String)
    cells = cells.str.strip_chars()
    return pl.when(cells != "").then(cells)


def trimmed(frame: pl.DataFrame) -> pl.DataFrame:
    """As `plain_text`, for all columns of text: looks first, since cells seldom have blanks around them."""
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    untidy = frame.select((pl.col(name).str.contains(r"^\s|\s$") | (pl.col(name) == "")).any() for name in texts)
    return frame.with_columns(plain_text(pl.String(), name).alias(name) for name in texts if untidy[name][0])


def convert(cells: pl.Series, kind: Kind, writing: Writing) -> tuple[pl.Series, dict[str, pl.Series]]:
    """Cells as values of their kind, and which of them are none.

    Args:
        cells: text; or a type of the file's own, which is taken as it is if it is of the kind.

    Returns:
        The values, null where there is none; and for each problem that was met, a mask of the cells.
    """
    values, problems = _CONVERT[kind](cells, writing)
    return values.alias(cells.name), {problem: mask for problem, mask in problems.items() if mask.any()}


Converted = tuple[pl.Series, dict[str, pl.Series]]


def _text(cells: pl.Series, writing: Writing) -> Converted:
    return cells, {}


def _date(cells: pl.Series, writing: Writing) -> Converted:
    if cells.dtype != pl.String:
        if isinstance(cells.dtype, pl.Datetime):
            cells = cells.dt.replace_time_zone(None)
        return cells.cast(pl.Datetime("us")).dt.truncate("1s"), {}
    values = dates_from_text(cells, writing.date_format)
    return values, {_NO_DATE: cells.is_not_null() & values.is_null()}


def _number(cells: pl.Series, writing: Writing) -> Converted:
    values = numbers_from_text(cells, writing.decimal)
    return values, {_NO_NUMBER: cells.is_not_null() & values.is_null()}


def _age(cells: pl.Series, writing: Writing) -> Converted:
    values, problems = _number(cells, writing)
    outside = ~values.is_between(0, OLDEST).fill_null(True)
    return values.set(outside, None), {**problems, _NO_AGE: outside}


def _sex(cells: pl.Series, writing: Writing) -> Converted:
    if cells.dtype != pl.String:  # from a table that was joined
        return cells, {}
    written = cells.unique()
    numbers = written.str.to_lowercase().replace_strict(writing.words, default=None, return_dtype=pl.Float64)
    values = cells.replace_strict(written, numbers, default=None, return_dtype=pl.Float64)
    return values, {_NO_SEX: cells.is_not_null() & values.is_null()}


def _outcome(cells: pl.Series, writing: Writing) -> Converted:
    values = numbers_from_text(cells, writing.decimal)
    wrong = cells.is_not_null() & ~values.is_in([0.0, 1.0]).fill_null(False)
    return values.set(wrong, None), {_NO_OUTCOME: wrong}


_CONVERT: dict[Kind, Callable[[pl.Series, Writing], Converted]] = {
    "text": _text,
    "date": _date,
    "number": _number,
    "age": _age,
    "sex": _sex,
    "outcome": _outcome,
}


def remedy(problem: str, writing: Writing, key: str) -> str:
    """What to do about a cell; `key` is the table's in the study file."""
    if problem == _NO_DATE and writing.date_format is None:
        return f"write dates as 2017-03-31 or 2017-03-31 14:05:00, or set {key}.date_format"
    if problem == _NO_DATE:
        return f"it does not fit the pattern set under {key}.date_format"
    if problem == _NO_NUMBER:
        sign = "point" if writing.decimal == "." else "comma"
        return f"write numbers with a decimal {sign}, or leave the cell empty"
    if problem == _NO_AGE:
        return "correct it or leave the cell empty; PTB-XL's 300 means above 89: write 90"
    if problem == _NO_SEX:
        return "add it to cohort.female_values or cohort.male_values, or leave the cell empty"
    return "correct it or leave the cell empty"


def dates_from_text(cells: pl.Series, date_format: str | None) -> pl.Series:
    """Text as Datetime("us") in whole seconds; null where it is no date.

    >>> dates_from_text(pl.Series(["2017-03-31", "2017-03-31T14:05", "2017-02-30"]), None).to_list()
    [datetime.datetime(2017, 3, 31, 0, 0), datetime.datetime(2017, 3, 31, 14, 5), None]
    """
    name = pl.col("cell")
    if date_format is None:
        parsed = _iso(cells)
    elif any(token in date_format for token in ("%H", "%I", "%T", "%R", "%X", "%c", "%s")):
        parsed = name.str.to_datetime(date_format, time_unit="us", strict=False).dt.truncate("1s")
    else:
        parsed = name.str.to_date(date_format, strict=False).cast(pl.Datetime("us"))
    return pl.DataFrame({"cell": cells}).select(parsed.alias(cells.name)).to_series()


def _iso(cells: pl.Series) -> pl.Expr:
    name = pl.col("cell")
    length = cells.str.len_bytes()
    longest = cast("int | None", length.max())
    shape = _PLAIN_ISO.get(longest or 0)
    if shape is not None and length.min() == longest and cells.str.contains(shape[0]).all():
        return name.str.to_datetime(shape[1], time_unit="us", strict=False)
    iso = pl.when(name.str.contains(_ISO)).then(name)
    # Fractions of a second are cut off, not rounded: an ECG is not moved beyond the end of its window.
    full = pl.concat_str(
        iso.str.slice(0, 10),
        pl.lit(" "),
        pl.when(iso.str.len_bytes() > 10).then(iso.str.slice(11, 5)).otherwise(pl.lit("00:00")),
        pl.when(iso.str.len_bytes() > 16).then(iso.str.slice(16, 3)).otherwise(pl.lit(":00")),
    )
    full = pl.when(full.str.slice(17, 2) < "60").then(full)
    return full.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)


def numbers_from_text(cells: pl.Series, decimal: str = ".") -> pl.Series:
    """Text as Float64; null where it is no finite number."""
    if cells.dtype == pl.String and decimal == ",":
        pointed = cells.str.contains(".", literal=True)
        cells = cells.set(pointed, None).str.replace(",", ".", literal=True)
    values = cells.cast(pl.Float64, strict=False)
    return pl.select(pl.when(values.is_finite()).then(values).alias(cells.name)).to_series()
