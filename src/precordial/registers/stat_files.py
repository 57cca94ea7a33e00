"""SAS and Stata files, through pyreadstat (the extra ``stat``).

Dates come by their formats as dates, labelled values as their labels; what SAS or Stata take for missing is null.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from precordial.errors import RegisterError
from precordial.registers.values import plain_text

SUFFIXES = (".sas7bdat", ".xpt", ".dta")
ROWS = 500_000  # read at a time
_EPOCH = datetime(1960, 1, 1)  # of both
_DAY, _SECOND, _MILLISECOND = 86_400_000_000, 1_000_000, 1_000  # in µs
# SAS' formats by their names, without width.
_SAS_DAYS = re.compile(
    r"(DATE|DAY|(DDMMYY|MMDDYY|YYMMDD|YYMM|MMYY)[A-Z]?|MONYY|YYQR?[A-Z]?|YEAR|JULIAN|JULDAY|WEEKDATX?E?|WORDDATX?E?|"
    r"[EBI]S?8601DA|NLDATE[A-Z]*|(EUR|FIN|SVE|NOR|DAN)DFD[DE]?)[\d.]*"
)
_SAS_SECONDS = re.compile(
    r"(DATETIME|DATEAMPM|MDYAMPM|DTDATE|DTYEAR|[EBI]S?8601DT|NLDATM[A-Z]*|(EUR|FIN|SVE|NOR|DAN)DFDT)[\d.]*"
)
_STATA_UNITS = {"%td": _DAY, "%d": _DAY, "%tc": _MILLISECOND, "%tC": _MILLISECOND}


def stat_header(path: Path, catalog: Path | None = None) -> tuple[list[str], Any]:
    """The names of the columns, and what the file says of them.

    Args:
        catalog: of a SAS file, with the labels of its values.

    Raises:
        RegisterError: the file is damaged, or pyreadstat is not installed.
    """
    if catalog is not None and path.suffix.lower() != ".sas7bdat":
        raise RegisterError("a catalog is for .sas7bdat files", file=path, remedy="leave it out")
    if catalog is not None and not catalog.is_file():
        raise RegisterError("there is no such file", file=catalog, remedy="check the path of the catalog")
    options = {"catalog_file": str(catalog)} if catalog is not None else {}
    _, about = _read(path, metadataonly=True, **options)
    return list(about.column_names), about


def stat_batches(path: Path, about: Any, wanted: list[str], labelled: Container[str]) -> Iterator[pl.DataFrame]:
    """The wanted columns of all rows, in types of their own.

    Args:
        about: as from `stat_header`.
        labelled: the columns whose values are to be read as their labels, where they have such.

    Raises:
        RegisterError: the file is damaged.
    """
    offset = 0
    while True:
        frame, _ = _read(path, usecols=wanted, row_offset=offset, row_limit=ROWS)
        if frame.height:
            yield frame.select(_cells(frame[name], about, name in labelled) for name in wanted)
        if frame.height < ROWS:
            return
        offset += ROWS


def _read(path: Path, **options: Any) -> tuple[pl.DataFrame, Any]:
    try:
        import pyreadstat
    except ImportError:
        remedy = "pip install 'precordial[stat]'"
        raise RegisterError("SAS and Stata files need the package pyreadstat", file=path, remedy=remedy) from None
    readers: tuple[Any, ...] = (pyreadstat.read_sas7bdat, pyreadstat.read_xport, pyreadstat.read_dta)
    reader = dict(zip(SUFFIXES, readers, strict=True))[path.suffix.lower()]
    try:
        # Dates are converted here: pyreadstat makes Python's objects of them, and fails at one that is impossible.
        frame, about = reader(str(path), output_format="polars", disable_datetime_conversion=True, **options)
    except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError, UnicodeDecodeError, OSError) as error:
        what = "SAS" if path.suffix.lower() != ".dta" else "Stata"
        raise RegisterError(f"the {what} file is damaged or is none", file=path, remedy="write it again") from error
    return frame, about


def _cells(cells: pl.Series, about: Any, labelled: bool) -> pl.Series:
    if not cells.dtype.is_numeric():
        return cells
    cells = cells.cast(pl.Float64).fill_nan(None)
    unit = _unit(about.original_variable_types.get(cells.name) or "")
    if unit is not None:
        # Whole days, seconds or milliseconds: a fraction is cut off, as in a text. Year 9999 is far inside.
        moment = (pl.col(cells.name) * unit).floor().cast(pl.Int64, strict=False)
        return cells.to_frame().select(pl.lit(_EPOCH) + pl.duration(microseconds=moment)).to_series().alias(cells.name)
    labels = about.variable_value_labels.get(cells.name) if labelled else None
    if labels:
        known = {float(value): str(label) for value, label in labels.items() if isinstance(value, int | float)}
        texts = cells.to_frame().select(plain_text(pl.Float64(), cells.name)).to_series()
        named = cells.replace_strict(known, default=None, return_dtype=pl.String)
        return named.fill_null(texts).alias(cells.name)
    return cells


def _unit(kind: str) -> int | None:
    """Microseconds of one unit of a date with this format; None: the format is none of a date."""
    if kind.startswith("%"):
        return next((unit for start, unit in _STATA_UNITS.items() if kind.startswith(start)), None)
    if _SAS_DAYS.fullmatch(kind.upper()):
        return _DAY
    return _SECOND if _SAS_SECONDS.fullmatch(kind.upper()) else None
