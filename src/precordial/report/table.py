"""A table of text, and the two ways in which it is written: to read, and as CSV."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from precordial.evaluation.csv_tables import csv_text
from precordial.files import write_atomic


@dataclass(frozen=True)
class Table:
    """A title, a header and rows of text.

    A row whose first cell alone is filled heads the rows below it.

    >>> table = Table("Table 0", ("Model", "AUC"), (("CNN-20k", "0.79"), ("At half size", ""), ("RN-900k", "0.80")))
    >>> print(table.text(), end="")
    Table 0
    <BLANKLINE>
    Model    AUC
    -------------
    CNN-20k  0.79
    <BLANKLINE>
    At half size
    RN-900k  0.80
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def text(self) -> str:
        """Columns in line, two spaces apart."""
        lines = [self.header, *self.rows]
        widths = [max(len(line[i]) for line in lines if not _heads(line)) for i in range(len(self.header))]
        out = [self.title, ""]
        for line in lines:
            if _heads(line):
                out.append("")
            out.append("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
            if line is self.header:
                out.append("-" * (sum(widths) + 2 * (len(widths) - 1)))
        return "\n".join(out) + "\n"

    def csv(self) -> str:
        """Header and rows; the title is left out."""
        return csv_text(self.header, self.rows)


def write_report(folder: str | Path, tables: Mapping[str, Table], *, flow: str = "") -> list[Path]:
    """Write each table as ``NAME.txt`` and ``NAME.csv``, and the flow chart as ``flow.txt``.

    Args:
        folder: made if it is not there.
        tables: by name, as `precordial.report.report_tables` gives them.
        flow: text of the flow chart; no file if it is empty.

    Returns:
        The files written, each whole or not at all.
    """
    texts = {"flow.txt": flow.rstrip("\n") + "\n"} if flow else {}
    for name, table in tables.items():
        texts |= {f"{name}.txt": table.text(), f"{name}.csv": table.csv()}
    for file, text in texts.items():
        write_atomic(Path(folder) / file, text)
    return [Path(folder) / file for file in texts]


def grouped(number: int) -> str:
    """A count with its thousands apart.

    >>> grouped(162903)
    '162 903'
    """
    return f"{number:_}".replace("_", " ")


def _heads(line: tuple[str, ...]) -> bool:
    return bool(line[0]) and not any(line[1:])
