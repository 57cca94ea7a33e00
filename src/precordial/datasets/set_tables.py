"""What presets share: a set's tables, read with clear errors, as details by recording."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from precordial.archive.details import Details, FindDetails
from precordial.errors import RegisterError

if TYPE_CHECKING:
    import polars as pl

    from precordial.registers import Kind

AS_PUBLISHED = "take the table as it was published"
_SECOND = re.compile(r"@\d+(\.\d+)?$")  # one of several stretches of a long recording
T = TypeVar("T")


@dataclass(frozen=True)
class Metadata:
    """What a set's own tables say of its recordings.

    Attributes:
        wanted: whether a file, by its POSIX path below the set's folder, is one of the set's recordings.
        find: the details of a recording by its name in the archive.
    """

    wanted: Callable[[str], bool]
    find: FindDetails

    def __call__(self, source: str) -> Details | None:
        """The details of a recording.

        Args:
            source: its file's POSIX path below the set's folder, with ``#EXAM_ID`` for CODE-15 %; ``@SECOND`` behind it
                is not looked at.

        Returns:
            None where the tables do not have the recording.
        """
        return self.find(_SECOND.sub("", source))


def is_header(path: str, below: str) -> bool:
    """Whether a file below the set's folder is the header of a record in one of its folders."""
    return path.startswith(below) and path.endswith(".hea")


def look_up(source: str, rows: Mapping[str, Details], key: Callable[[str], str]) -> Details | None:
    """The details of a recording, by what `key` makes of its name in the archive."""
    return rows.get(key(source))


def read_set_table(path: Path, columns: Mapping[str, str], types: Mapping[str, Kind]) -> pl.DataFrame:
    """As `precordial.registers.read_table`, with errors for someone who has a published set and no study file."""
    from precordial.registers import read_table

    if not path.is_file():
        raise RegisterError("there is no such file", file=path, remedy="give the folder that holds the set's tables")
    try:
        return read_table(path, columns, types=types)
    except RegisterError as error:  # its remedies are for a study file, which has no say here
        raise RegisterError(
            error.problem, file=path, row=error.row, column=error.column, remedy=AS_PUBLISHED
        ) from error


def by_recording(
    table: pl.DataFrame, path: Path, names: Mapping[str, str], details: Callable[[Mapping[str, Any]], T]
) -> dict[str, T]:
    """The rows by their recording; each must have one, and a patient where the table has patients."""
    needed = [name for name in ("source", "patient_id") if name in names]
    found: dict[str, T] = {}
    rows: Iterable[dict[str, Any]] = table.iter_rows(named=True)
    for row in rows:
        empty = next((name for name in needed if row[name] is None), None)
        if empty is not None:
            raise RegisterError(
                "the cell is empty", file=path, row=row["row"], column=names[empty], remedy=AS_PUBLISHED
            )
        if row["source"] in found:
            raise RegisterError(
                "the recording stands twice", file=path, row=row["row"], column=names["source"], remedy=AS_PUBLISHED
            )
        found[row["source"]] = details(row)
    return found


def indicators(found: Sequence[Set[str] | None], names: Iterable[str]) -> list[pl.Series]:
    """A column of 0 and 1 for each name: whether it is among what was found; null where nothing is known of a row."""
    import polars as pl

    return [
        pl.Series(name, [None if one is None else float(name in one) for one in found], pl.Float64) for name in names
    ]


def plain_id(cell: str) -> str:
    """An id or number without the ".0" of a column that once had gaps; equal ones are one object."""
    return sys.intern(cell.removesuffix(".0"))


def shared(cell: str | None) -> str | None:
    """A text that stands in many rows, as one object."""
    return None if cell is None else sys.intern(cell)
