"""A register extract in whatever file it comes, as batches of rows with the file's own columns."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from precordial.errors import RegisterError
from precordial.registers.csv_files import Report, Spelling, csv_batches, csv_header
from precordial.registers.stat_files import SUFFIXES, stat_batches, stat_header
from precordial.registers.values import trimmed

ROWS = 1_000_000  # of a Parquet file read at a time
OTHERS = {".xlsx": "Excel", ".xls": "Excel", ".ods": "OpenDocument", ".sav": "SPSS", ".rds": "R", ".zip": "ZIP"}


@dataclass(frozen=True)
class Source:
    """An opened file.

    Attributes:
        names: of its columns.
        batches: from the wanted columns, each named once, and those of them whose values are to be read as their labels
            where the file has such, to the rows in their order: text without blanks around it, null where it is empty,
            or types of the file's own.
    """

    names: list[str]
    batches: Callable[[list[str], Container[str]], Iterator[pl.DataFrame]]


def open_source(path: Path, spelling: Spelling, report: Report, expected: tuple[str, ...] = ()) -> Source:
    """Open a CSV, Parquet, SAS or Stata file, by its suffix; what has another one is CSV.

    Args:
        spelling: of a CSV file; of SAS and Stata files the encoding, and the catalog.
        report: is told of rows with too many cells.
        expected: columns that are looked for.

    Raises:
        RegisterError: the file is missing, damaged, or not written as it is said to be; from the batches too.
    """
    if not path.is_file():
        problem = "no file fits this pattern" if "*" in str(path) else "there is no such file"
        remedy = f"set {spelling.key}.file" if spelling.key else "check the path"
        raise RegisterError(problem, file=path, remedy=remedy)
    suffix = path.suffix.lower()
    if suffix in OTHERS:
        raise RegisterError(f"{OTHERS[suffix]} files are not read", file=path, remedy="save it as CSV or Parquet")
    try:
        if suffix == ".parquet":
            return _parquet(path)
        if suffix in SUFFIXES:
            # What the file says of its encoding counts, unless another one than the default is set.
            about = stat_header(path, "" if spelling.encoding == "utf8" else spelling.encoding, spelling.catalog)
            return Source(
                about.names, lambda wanted, labelled: map(trimmed, stat_batches(path, about, wanted, labelled))
            )
        return _csv(path, spelling, report, expected)
    except OSError as error:
        problem = f"the file cannot be read ({error.strerror})"
        raise RegisterError(problem, file=path, remedy="check its rights") from error


def _csv(path: Path, spelling: Spelling, report: Report, expected: tuple[str, ...]) -> Source:
    header = csv_header(path, spelling, expected)

    def batches(wanted: list[str], labelled: Container[str]) -> Iterator[pl.DataFrame]:
        chosen = [pl.col(str(header.index(name))).alias(name) for name in wanted]
        for frame, tidy in csv_batches(path, spelling, header, report):
            yield frame.select(chosen) if tidy else trimmed(frame.select(chosen))

    return Source(header, batches)


def _parquet(path: Path) -> Source:
    damaged = RegisterError("the Parquet file is damaged or is none", file=path, remedy="write it again")
    try:
        names = list(pl.read_parquet_schema(path))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise damaged from error

    def batches(wanted: list[str], labelled: Container[str]) -> Iterator[pl.DataFrame]:
        offset = 0
        try:
            rows = pl.scan_parquet(path, glob=False).select(wanted)
            while (frame := rows.slice(offset, ROWS).collect()).height:
                yield trimmed(frame)
                offset += ROWS
        except (pl.exceptions.PolarsError, OSError) as error:
            raise damaged from error

    return Source(names, batches)
