"""What became of the rows and cells of the tables that were read, and what is wrong with them.

Loaded with every study, so without Polars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from precordial.errors import RegisterError


@dataclass
class TableAccount:
    """One table.

    Attributes:
        files: what was read.
        rows: in them.
        kept: rows that the table has now; of a table with several codes a row, those that still have one.
        dropped: reason → rows.
        notes: what is worth knowing → how many.
        empty: our column → empty cells, of all rows that are not blank.
        dates: our column → first and last day, ISO 8601.
        patients: different ones, of all rows; None: the table has none.
    """

    files: list[str] = field(default_factory=list)
    rows: int = 0
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)
    empty: dict[str, int] = field(default_factory=dict)
    dates: dict[str, tuple[str, str]] = field(default_factory=dict)
    patients: int | None = None

    def drop(self, reason: str, rows: int) -> None:
        """Count rows that are left out; none is not told."""
        if rows:
            self.dropped[reason] = self.dropped.get(reason, 0) + rows

    def note(self, what: str, count: int) -> None:
        """Count something that is worth knowing; none is not told."""
        if count:
            self.notes[what] = self.notes.get(what, 0) + count


@dataclass
class Account:
    """All tables by name, and the problems that were met.

    Attributes:
        collect: False: the first problem is raised. True: problems are collected, and reading goes on as far as it
            can.
        tables: by name, in the order in which they were read.
        problems: one line each.
    """

    collect: bool = False
    tables: dict[str, TableAccount] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def problem(self, error: RegisterError) -> None:
        """Raise the error, or collect it."""
        if not self.collect:
            raise error
        self.problems.append(str(error))

    def table(self, name: str) -> TableAccount:
        """The account of a table; a new one the first time."""
        return self.tables.setdefault(name, TableAccount())

    def text(self) -> str:
        """A summary to be printed; the problems last."""
        blocks = ["\n".join(_lines(name, table)) for name, table in self.tables.items()]
        if self.problems:
            blocks.append("\n".join(["problems", *(f"  {problem}" for problem in self.problems)]))
        return "\n\n".join(blocks)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"tables": {name: asdict(table) for name, table in self.tables.items()}, "problems": self.problems}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Account:
        """The inverse of `as_json`; the account of a collecting reading, since nothing is read any more."""
        tables = {name: TableAccount(**table) for name, table in value["tables"].items()}
        for table in tables.values():
            table.dates = {column: (first, last) for column, (first, last) in table.dates.items()}
        return cls(collect=True, tables=tables, problems=list(value["problems"]))


def _lines(name: str, table: TableAccount) -> list[str]:
    lines = [f"{name}  ({', '.join(table.files)})"]
    counts = {"rows read": table.rows, **{f"− {why}": rows for why, rows in table.dropped.items()}}
    counts |= {"rows kept": table.kept}
    if table.patients is not None:
        counts["patients"] = table.patients
    counts |= table.notes
    width = max(len(_spaced(count)) for count in counts.values())
    lines += [f"  {_spaced(count):>{width}}  {what}" for what, count in counts.items()]
    full = table.rows - table.dropped.get("blank row", 0)
    columns = list(dict.fromkeys([*table.dates, *(column for column, empty in table.empty.items() if empty)]))
    wide = max(map(len, columns), default=0)
    for column in columns:
        parts = [f"{first} to {last}" for first, last in [table.dates[column]]] if column in table.dates else []
        if table.empty.get(column):
            parts.append(f"{100 * table.empty[column] / max(full, 1):.3g} % empty")
        lines.append(f"  {column:<{wide}}  {', '.join(parts)}")
    return lines


def _spaced(count: int) -> str:
    return f"{count:,}".replace(",", " ")
