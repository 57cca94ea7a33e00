"""CSV files in batches of whole rows, all cells text; where a file breaks, the error says in which row.

A batch holds the rows of some 8 MB, so memory does not grow with the file. Polars parses it; Python's own csv
module, which is slower, only looks for the row of an error.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from precordial.errors import RegisterError

BLOCK = 1 << 23  # bytes read at a time: what is made of them stays in a cache
LONGEST = 1 << 27  # bytes of a block without the end of a row
SEPARATORS = (";", "\t", ",", "|")  # the likeliest first
_QUOTE, _LINE = b'"', b"\n"
_ASCII = bytes(range(128))
_HEADER = 1 << 20  # bytes read for the header
Report = Callable[[RegisterError], None]


@dataclass(frozen=True)
class Spelling:
    """How a file is written.

    Attributes:
        separator, encoding: of a CSV file.
        catalog: of a SAS file.
        key: of its table in the study file, for remedies; None: it is not in one.
    """

    separator: str = ","
    encoding: str = "utf8"
    key: str | None = None
    catalog: Path | None = None

    @property
    def dialect(self) -> dict[str, Any]:
        """For Python's csv module."""
        return {"delimiter": self.separator}

    def key_of(self, setting: str) -> str | None:
        """The key of a setting in the study file."""
        return f"{self.key}.{setting}" if self.key else None

    def set_to(self, setting: str) -> str:
        """The remedy of another setting."""
        return f"set {self.key}.{setting}" if self.key else f"give another {setting}"


def csv_header(path: Path, spelling: Spelling, expected: tuple[str, ...] = ()) -> list[str]:
    """The names of the columns.

    Args:
        expected: columns that are looked for; the one of these that stands there is not taken for a wrong separator.

    Raises:
        RegisterError: the file or the spelling cannot be used.
    """
    if len(spelling.separator.encode()) != 1:
        raise RegisterError("the separator must be one ASCII character", file=path, key=spelling.key_of("separator"))
    try:
        codecs.lookup(spelling.encoding)
    except LookupError:
        key = spelling.key_of("encoding")
        remedy = 'try "utf8", "cp1252" or "latin-1"'
        raise RegisterError("there is no such encoding", file=path, key=key, remedy=remedy) from None
    first = next(_blocks(path, spelling, min(BLOCK, _HEADER)), b"")
    text = _text(path, spelling, first[: _first_row(first)])
    try:
        header = next(csv.reader(io.StringIO(text, newline=""), **spelling.dialect), [])
    except csv.Error:
        raise RegisterError("the row cannot be read as CSV", file=path, row=1, remedy="check its quotes") from None
    if not header:
        raise RegisterError("the first row is empty, so columns cannot be read", file=path, remedy="it must name them")
    other = next((mark for mark in SEPARATORS if mark != spelling.separator and mark in header[0]), None)
    if len(header) == 1 and other is not None and header[0] not in expected:
        shown = "tabs" if other == "\t" else f"'{other}'"
        written = '"\\t"' if other == "\t" else f'"{other}"'
        raise RegisterError(
            f"the cells seem to be separated by {shown}",
            file=path,
            row=1,
            remedy=f"{spelling.set_to('separator')} = {written}",
        )
    return header


def csv_batches(
    path: Path, spelling: Spelling, header: list[str], report: Report
) -> Iterator[tuple[pl.DataFrame, bool]]:
    """All columns of all rows, blank ones too, as they are written; null where a cell is empty.

    The columns are called by their place, "0", "1" and so on. With each batch comes whether it is tidy: no cell has
    blanks around it, or is an empty text.

    Args:
        header: as from `csv_header`.
        report: is told once of rows with too many cells; where it returns, their further cells are left out.

    Raises:
        RegisterError: the file is not written as it is said to be.
    """
    schema = {str(place): pl.String for place in range(len(header))}
    names = spelling.separator.join(schema).encode() + _LINE
    row, told = 2, False  # the row of the file at which the block begins
    for number, text in enumerate(_blocks(path, spelling, BLOCK, names)):
        if not number:
            text = names + text[len(names) + _first_row(text[len(names) :]) :]
        if len(text) == len(names):
            continue
        try:
            frame = _parse(text, spelling, schema)
        except pl.exceptions.PolarsError:
            error = _what_breaks(path, spelling, text[len(names) :], row, len(header))
            if not told:
                report(error)
            told = True
            try:
                frame = _parse(text, spelling, schema, cut_rows=True)
            except pl.exceptions.PolarsError:
                return  # the reader cannot go on: where a row ends is not known
        yield frame, _tidy(text)
        row += frame.height


def _tidy(text: bytes) -> bool:
    # To look for signs in the whole text takes a tenth of the time of looking at its cells.
    return text.isascii() and not any(sign in text for sign in (_QUOTE, b" ", b"\t", b"\v", b"\f", b"\r"))


def _parse(text: bytes, spelling: Spelling, schema: dict[str, Any], *, cut_rows: bool = False) -> pl.DataFrame:
    # All columns are read: given only some, Polars does not see a row with too many cells.
    return pl.read_csv(text, separator=spelling.separator, schema=schema, truncate_ragged_lines=cut_rows)


def _blocks(path: Path, spelling: Spelling, size: int, before: bytes = b"") -> Iterator[bytes]:
    """The file as UTF-8, cut after rows, `before` before each block; a line feed inside quotes ends no row."""
    rest = b""  # of a row
    for block in _utf8(path, spelling, size):
        end = _last_row(block, rest.count(_QUOTE))
        if end or len(rest) > LONGEST:
            # One copy: copies are a good part of the time that it takes to read a file.
            yield b"".join((before, rest, memoryview(block)[: end or len(block)]))
            rest = block[end:] if end else b""
        else:
            rest += block
    if rest:
        yield before + rest


def _utf8(path: Path, spelling: Spelling, size: int) -> Iterator[bytes]:
    codec = codecs.lookup(spelling.encoding)
    known = codec.name in ("utf-8", "utf-8-sig")
    decoder = codec.incrementaldecoder(errors="strict") if not known else None
    ascii_inside = decoder is not None and _ASCII.decode(codec.name, "replace").encode() == _ASCII
    old_lines = None  # rows that end in a carriage return alone
    try:
        with (gzip.open if path.suffix.lower() == ".gz" else open)(path, "rb") as file:
            while True:
                block = file.read(size)
                last = not block
                if decoder is not None and not (ascii_inside and block.isascii() and not decoder.getstate()[0]):
                    block = decoder.decode(block, final=last).encode()
                if old_lines is None:
                    block = block.removeprefix(codecs.BOM_UTF8)
                    old_lines = _LINE not in block and b"\r" in block[:-1]
                if block:
                    yield block.replace(b"\r", _LINE) if old_lines else block
                if last:
                    return
    except UnicodeDecodeError:
        raise _wrong_encoding(path, spelling) from None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise RegisterError("the compressed file is damaged", file=path, remedy="copy it again") from None


def _last_row(block: bytes, quotes_before: int) -> int:
    """Where the last whole row ends; 0: there is none."""
    if not quotes_before and _QUOTE not in block:  # looking is much faster than counting
        return block.rfind(_LINE) + 1
    end, quotes = len(block), quotes_before + block.count(_QUOTE)
    while (line := block.rfind(_LINE, 0, end)) >= 0:
        quotes -= block.count(_QUOTE, line, end)
        if quotes % 2 == 0:
            return line + 1
        end = line
    return 0


def _first_row(block: bytes) -> int:
    """Where the first row ends."""
    end = -1
    while (end := block.find(_LINE, end + 1)) >= 0:
        if block.count(_QUOTE, 0, end) % 2 == 0:
            return end + 1
    return len(block)


def _text(path: Path, spelling: Spelling, block: bytes) -> str:
    try:
        return block.decode()
    except UnicodeDecodeError:
        raise _wrong_encoding(path, spelling) from None


def _wrong_encoding(path: Path, spelling: Spelling, row: int | None = None) -> RegisterError:
    example = '"cp1252"' if spelling.encoding != "cp1252" else '"utf8"'
    return RegisterError(
        f"the file is not written in {spelling.encoding}",
        file=path,
        row=row,
        remedy=f"{spelling.set_to('encoding')}, for instance {example}",
    )


def _what_breaks(path: Path, spelling: Spelling, block: bytes, row: int, width: int) -> RegisterError:
    """Say where a block breaks; Polars does not."""
    try:
        text = block.decode()
    except UnicodeDecodeError as error:
        before = block[: error.start].decode()
        return _wrong_encoding(path, spelling, row + max(sum(1 for _ in _rows(before, spelling)) - 1, 0))
    wide, more = None, 0
    for place, (cells, written) in enumerate(_rows(text, spelling), start=row):
        if cells is None or written.count('"') % 2:
            return RegisterError(
                "the row cannot be read as CSV", file=path, row=place, remedy="check its quotes; those in a cell double"
            )
        if cells > width:
            more += wide is not None
            wide = wide or (place, cells)
    if wide is None:
        return RegisterError("the file cannot be read as CSV", file=path, remedy="check its quotes")
    return RegisterError(
        f"{wide[1]} cells where the header has {width}" + (f" ({more} more rows like it nearby)" if more else ""),
        file=path,
        row=wide[0],
        remedy=f"quote cells that contain the separator, or {spelling.set_to('separator')}",
    )


def _rows(text: str, spelling: Spelling) -> Iterator[tuple[int | None, str]]:
    """How many cells each row has (None: it is no CSV, and nothing follows), and the row as it is written."""
    written: list[str] = []

    def lines() -> Iterator[str]:
        for line in io.StringIO(text, newline=""):
            written.append(line)
            yield line

    reader = csv.reader(lines(), strict=True, **spelling.dialect)
    while True:
        written.clear()
        try:
            cells = next(reader, None)
        except csv.Error:
            yield None, "".join(written)
            return
        if cells is None:
            return
        yield len(cells), "".join(written)
