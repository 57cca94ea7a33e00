"""A table of text, and how it is written: to read, as CSV, as Markdown and as LaTeX."""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from precordial.errors import PrecordialError
from precordial.evaluation.csv_tables import csv_text
from precordial.files import write_atomic

PAGE = 150  # letters across, where long text is wrapped


@dataclass(frozen=True)
class Table:
    """A title, a header and rows of text.

    A row whose first cell alone is filled heads the rows below it.

    Attributes:
        widths: shares of the columns in the width of a page, for tables of long text; () where no cell is long.

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
    widths: tuple[float, ...] = ()

    def text(self) -> str:
        """Columns in line, two spaces apart."""
        if self.widths:
            return self._long_text()
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

    def _long_text(self) -> str:
        """Columns of wrapped lines."""
        widths = [max(6, round(share * PAGE)) for share in self.widths]
        out = [self.title, ""]
        for number, row in enumerate([self.header, *self.rows]):
            cells = [textwrap.wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
            for parts in itertools.zip_longest(*cells, fillvalue=""):
                line = "  ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True))
                out.append(line.rstrip())
            out.append("" if number else "-" * (sum(widths) + 2 * (len(widths) - 1)))
        return "\n".join(out).rstrip() + "\n"

    def csv(self) -> str:
        """Header and rows; the title is left out."""
        return csv_text(self.header, self.rows)

    def markdown(self) -> str:
        """The title as a paragraph, and a pipe table."""
        lines: list[list[str]] = [[in_markdown(cell) for cell in self.header], ["---"] * len(self.header)]
        for row in self.rows:
            cells = [in_markdown(cell) for cell in row]
            lines.append([f"**{cells[0]}**", *cells[1:]] if _heads(row) else cells)
        return f"{in_markdown(self.title)}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def latex(self) -> str:
        """A ``table`` with its caption; the preamble needs the package booktabs, and UTF-8."""
        lines: list[str] = []
        for line in self.rows:
            cells = [_in_latex(cell) for cell in line]
            if _heads(line):
                cells = [rf"\multicolumn{{{len(line)}}}{{l}}{{\textit{{{cells[0]}}}}}"]
                lines += [r"\addlinespace"] if lines else []
            lines.append(rf"{' & '.join(cells)} \\")
        head = " & ".join(_in_latex(cell) for cell in self.header)
        if self.widths:
            return self._long_latex(head, lines)
        parts = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_in_latex(self.title)}}}",
            rf"\begin{{tabular}}{{{'l' * len(self.header)}}}",
            r"\toprule",
            rf"{head} \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
        return "\n".join(parts) + "\n"

    def _long_latex(self, head: str, lines: list[str]) -> str:
        """For the package longtable: goes over pages."""
        columns = "".join(rf"p{{{0.9 * share:.3f}\linewidth}}" for share in self.widths)
        parts = [
            rf"\begin{{longtable}}{{{columns}}}",
            rf"\caption{{{_in_latex(self.title)}}} \\",
            r"\toprule",
            rf"{head} \\",
            r"\midrule",
            r"\endhead",
            *lines,
            r"\bottomrule",
            r"\end{longtable}",
        ]
        return "\n".join(parts) + "\n"

    def write(self, path: Path) -> None:
        """Write it whole or not at all, as the path's suffix says.

        Raises:
            PrecordialError: another suffix than those of `FORMATS`.
        """
        if path.suffix not in FORMATS:
            raise PrecordialError(
                "a table is not written in such a file", file=path, remedy=f"end its name with {' or '.join(FORMATS)}"
            )
        write_atomic(path, FORMATS[path.suffix](self))


FORMATS: dict[str, Callable[[Table], str]] = {
    ".txt": Table.text,
    ".csv": Table.csv,
    ".md": Table.markdown,
    ".tex": Table.latex,
}


def write_report(folder: str | Path, tables: Mapping[str, Table], *, flow: str = "") -> list[Path]:
    """Write each table in all `FORMATS`, and the flow chart's text as ``flow.txt``.

    Args:
        folder: made if it is not there.
        tables: name of the file → table.
        flow: of the cohort, `Flow.text`.

    Returns:
        The files written, each whole or not at all.
    """
    folder, paths = Path(folder), []
    if flow:
        paths.append(folder / "flow.txt")
        write_atomic(paths[0], flow.rstrip("\n") + "\n")
    for name, table in tables.items():
        for suffix in FORMATS:
            paths.append(folder / f"{name}{suffix}")
            table.write(paths[-1])
    return paths


def grouped(number: int) -> str:
    """A count with its thousands apart.

    >>> grouped(162903)
    '162 903'
    """
    return f"{number:_}".replace("_", " ")


def _heads(line: tuple[str, ...]) -> bool:
    return bool(line[0]) and not any(line[1:])


def in_markdown(text: str) -> str:
    """A text with Markdown's own characters made harmless."""
    return re.sub(r"[\\`*_\[\]<>#|~$]", r"\\\g<0>", " ".join(text.split()))


# Letters beyond ASCII are left as they are; these are not letters.
_LATEX = {character: f"\\{character}" for character in "{}$&#%_"} | {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # else it would belong to the line break before it, as would an asterisk
    "*": "{*}",
    '"': "''",
    "−": "$-$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "²": r"\textsuperscript{2}",
    "µ": r"\textmu{}",
    "–": "--",
    "\u00a0": "~",
}


def _in_latex(text: str) -> str:
    """A text with LaTeX's own characters made harmless, and its thousands kept together."""
    parts = re.split(r"(?<=\d) (?=\d{3}\b)", " ".join(text.splitlines()))
    return r"\,".join("".join(_LATEX.get(character, character) for character in part) for part in parts)
