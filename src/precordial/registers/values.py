"""Cells of a register as text, dates and numbers; what cannot be understood becomes null."""

from __future__ import annotations

import polars as pl

_ISO = r"^\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?)?$"


def plain_text(dtype: pl.DataType, column: str) -> pl.Expr:
    """A column of any type as text without surrounding blanks; empty becomes null.

    Parquet files bring types of their own: a date becomes ISO text, a whole number loses the ".0" that a
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


def dates_from_text(cells: pl.Series, date_format: str | None) -> pl.Series:
    """Text as Datetime("us") in whole seconds; null where it is no date.

    >>> dates_from_text(pl.Series(["2017-03-31", "2017-03-31T14:05", "2017-02-30"]), None).to_list()
    [datetime.datetime(2017, 3, 31, 0, 0), datetime.datetime(2017, 3, 31, 14, 5), None]
    """
    name = pl.col("cell")
    if date_format is None:
        iso = pl.when(name.str.contains(_ISO)).then(name)
        # Fractions of a second are cut off, not rounded: an ECG is not moved beyond the end of its window.
        full = pl.concat_str(
            iso.str.slice(0, 10),
            pl.lit(" "),
            pl.when(iso.str.len_bytes() > 10).then(iso.str.slice(11, 5)).otherwise(pl.lit("00:00")),
            pl.when(iso.str.len_bytes() > 16).then(iso.str.slice(16, 3)).otherwise(pl.lit(":00")),
        )
        # Second 60 would be read as the next minute; no register has a reason to write it.
        full = pl.when(full.str.slice(17, 2) < "60").then(full)
        parsed = full.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
    elif any(token in date_format for token in ("%H", "%I", "%T", "%R", "%X", "%c", "%s")):
        parsed = name.str.to_datetime(date_format, time_unit="us", strict=False).dt.truncate("1s")
    else:
        parsed = name.str.to_date(date_format, strict=False).cast(pl.Datetime("us"))
    return pl.DataFrame({"cell": cells}).select(parsed.alias(cells.name)).to_series()


def numbers_from_text(cells: pl.Series) -> pl.Series:
    """Text as Float64; null where it is no finite number."""
    values = cells.cast(pl.Float64, strict=False)
    return pl.select(pl.when(values.is_finite()).then(values).alias(cells.name)).to_series()
