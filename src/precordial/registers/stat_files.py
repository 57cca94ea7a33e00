"""SAS and Stata files, through pyreadstat (the extra ``stat``).

Dates come by their formats as dates, labelled values as their labels; what SAS or Stata take for missing is null.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from precordial.errors import RegisterError
from precordial.registers.values import plain_text

SUFFIXES = (".sas7bdat", ".xpt", ".dta")
ROWS = 1_000_000  # read at a time
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


@dataclass(frozen=True)
class About:
    """What a file says of its columns.

    Attributes:
        names: of all columns.
        formats: column → its format.
        labels: column → its values and their labels.
        encoding: of its texts; "": as it says.
    """

    names: list[str]
    formats: Mapping[str, str]
    labels: Mapping[str, Mapping[float, str]]
    encoding: str


def stat_header(path: Path, encoding: str = "", catalog: Path | None = None) -> About:
    """What a file says of its columns.

    Args:
        encoding: of its texts, where it says a wrong one or none.
        catalog: of a .sas7bdat file, with the labels of its values.

    Raises:
        RegisterError: a file is missing or damaged, or pyreadstat is not installed.
    """
    _, about = _read(path, encoding, metadataonly=True)
    formats = {name: kind for name, kind in about.original_variable_types.items() if kind}
    labels = about.variable_value_labels
    if catalog is not None:
        if not catalog.is_file():
            raise RegisterError("there is no such file", file=catalog, remedy="check the path of the catalog")
        _, listed = _read(catalog, encoding)
        sets = {name.upper(): values for name, values in listed.value_labels.items()}
        # A column's format is the name of its labels and a width: SEXF2.
        plain = {name: re.sub(r"\d*\.?\d*$", "", kind.upper()) for name, kind in formats.items()}
        labels = {name: sets[kind] for name, kind in plain.items() if kind in sets}
    numbers = {
        name: {float(value): str(text) for value, text in values.items() if isinstance(value, int | float)}
        for name, values in labels.items()
    }
    return About(list(about.column_names), formats, numbers, encoding)


def stat_batches(path: Path, about: About, wanted: list[str], labelled: Container[str]) -> Iterator[pl.DataFrame]:
    """The wanted columns of all rows, in types of their own.

    Args:
        about: as from `stat_header`.
        labelled: the columns whose values are to be read as their labels, where they have such.

    Raises:
        RegisterError: the file is damaged.
    """
    offset = 0
    while True:
        rows = {"usecols": wanted, "row_offset": offset, "row_limit": ROWS}
        frame, _ = _read(path, about.encoding, output_format="polars", **rows)
        if frame.height:
            yield frame.select(_cells(frame[name], about, name in labelled) for name in wanted)
        if frame.height < ROWS:
            return
        offset += ROWS


def _read(path: Path, encoding: str, **options: Any) -> tuple[Any, Any]:
    try:
        import pyreadstat
    except ImportError:
        remedy = "pip install 'precordial[stat]'"
        raise RegisterError("SAS and Stata files need the package pyreadstat", file=path, remedy=remedy) from None
    suffix = path.suffix.lower()
    readers = {".sas7bdat": "read_sas7bdat", ".xpt": "read_xport", ".dta": "read_dta"}
    if suffix in readers:
        # Dates are converted here: pyreadstat makes Python's objects of them, and fails at one that is impossible.
        options["disable_datetime_conversion"] = True
    try:
        reader: Any = getattr(pyreadstat, readers.get(suffix, "read_sas7bcat"))
        frame, about = reader(str(path), **{"output_format": "dict", "encoding": encoding or None, **options})
    except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError, UnicodeDecodeError, OSError) as error:
        what = "Stata" if suffix == ".dta" else "SAS"
        remedy = "write it again" + (", or check the encoding that is set" if encoding else "")
        raise RegisterError(f"the {what} file is damaged or is none", file=path, remedy=remedy) from error
    return frame, about


def _cells(cells: pl.Series, about: About, labelled: bool) -> pl.Series:
    if not cells.dtype.is_numeric():
        return cells
    cells = cells.cast(pl.Float64).fill_nan(None)
    unit = _unit(about.formats.get(cells.name, ""))
    if unit is not None:
        # Whole days, seconds or milliseconds: a fraction is cut off, as in a text. Year 9999 is far inside.
        moment = (pl.col(cells.name) * unit).floor().cast(pl.Int64, strict=False)
        return cells.to_frame().select(pl.lit(_EPOCH) + pl.duration(microseconds=moment)).to_series().alias(cells.name)
    if labelled and cells.name in about.labels:
        texts = cells.to_frame().select(plain_text(pl.Float64(), cells.name)).to_series()
        named = cells.replace_strict(about.labels[cells.name], default=None, return_dtype=pl.String)
        return named.fill_null(texts).alias(cells.name)
    return cells


def _unit(kind: str) -> int | None:
    """Microseconds of one unit of a date with this format; None: the format is none of a date."""
    if kind.startswith("%"):
        return next((unit for start, unit in _STATA_UNITS.items() if kind.startswith(start)), None)
    if _SAS_DAYS.fullmatch(kind.upper()):
        return _DAY
    return _SECOND if _SAS_SECONDS.fullmatch(kind.upper()) else None
