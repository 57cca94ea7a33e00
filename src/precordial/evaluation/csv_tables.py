"""CSV tables as text, and read back with errors that name the place."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from precordial.errors import PrecordialError


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as CSV, lines ended by a newline alone."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


def read_columns(path: str | Path, columns: Sequence[str], optional: Sequence[str] = ()) -> dict[str, list[str]]:
    """The named columns of a CSV file, in whatever order they stand there; others are passed over.

    Args:
        path: of the file.
        columns: that must be there.
        optional: that may be there.

    Raises:
        PrecordialError: no such file, no UTF-8, a missing column, or a row of another length than the header.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            table = list(csv.reader(file))
    except OSError as error:
        raise PrecordialError(f"cannot be read ({error.strerror})", file=path) from None
    except (UnicodeDecodeError, csv.Error):
        raise PrecordialError("is no CSV file in UTF-8", file=path, remedy="save it as UTF-8 CSV") from None
    header = table[0] if table else []
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        raise PrecordialError("the columns are not separated by commas", file=path, remedy="save it with commas")
    for name in (*columns, *optional):
        if header.count(name) > 1:
            raise PrecordialError("two columns have this name", file=path, row=1, column=name, remedy="rename one")
    for name in columns:
        if name not in header:
            raise PrecordialError(
                "this column is missing", file=path, row=1, column=name, remedy=f"needed: {', '.join(columns)}"
            )
    for number, row in enumerate(table[1:], start=2):
        if len(row) != len(header):
            raise PrecordialError(f"{len(row)} cells where the header has {len(header)}", file=path, row=number)
    wanted = [*columns, *(name for name in optional if name in header)]
    return {name: [row[at] for row in table[1:]] for name in wanted for at in [header.index(name)]}


def number(cell: str, path: str | Path, row: int, column: str) -> float:
    """A cell as a number, NaN if it is empty; row counted from the first below the header."""
    try:
        return float(cell) if cell else float("nan")
    except ValueError:
        raise PrecordialError("is not a number", file=path, row=row + 2, column=column) from None
