"""Columns of a CSV file as NumPy arrays, without Polars, which a training machine may not have.

The file is cut at its separators by NumPy, some megabytes at a time; that takes a sixth of the time of Python's csv
module. It must be written as Polars writes it: cells with a comma, a quote or the end of a line are quoted.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

BLOCK = 1 << 22  # bytes cut at a time: what is made of them stays in a cache
_TYPES = {"text": "U1", "time": "datetime64[s]", "int": "int64", "float": "float64"}
_COMMA, _LINE, _QUOTE = b',\n"'
_WORD = 8  # letters that are compared as one number


def read_columns(path: Path, kinds: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """The columns of a file.

    Args:
        path: of a file in UTF-8, with commas between cells and a line feed after each row.
        kinds: column → "text", "time" (ISO 8601), "int" or "float", in the order of the file. An empty time is NaT, an
            empty float is NaN.

    Returns:
        Column → values, times as datetime64[s].

    Raises:
        ValueError: the file has other columns, a row has too few or too many cells, or a cell is not of its kind.
        OSError: it cannot be read.
    """
    parts: dict[str, list[NDArray[Any]]] = {name: [np.zeros(0, _TYPES[kind])] for name, kind in kinds.items()}
    with path.open("rb") as file:
        if next(csv.reader([file.readline().decode()]), None) != list(kinds):
            raise ValueError("other columns")
        for block in _blocks(file):
            for (name, kind), cells in zip(kinds.items(), _cells(block, len(kinds)), strict=True):
                parts[name].append(_values(cells, kind))
    return {name: np.concatenate(found) for name, found in parts.items()}


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Whole rows: a line that ends inside of quotes goes on in the next."""
    while block := file.read(BLOCK):
        lines = [block, file.readline()]
        quotes = block.count(b'"') + lines[1].count(b'"')
        while quotes % 2:
            lines.append(file.readline())
            quotes += lines[-1].count(b'"')
            if not lines[-1]:
                raise ValueError("a quote has no end")
        yield b"".join(lines)


def _cells(block: bytes, columns: int) -> Iterator[NDArray[np.uint8]]:
    """Of each column (n, width) letters, with zeros behind the end of each cell; quotes around cells are taken off."""
    letters = np.frombuffer(block if block.endswith(b"\n") else block + b"\n", np.uint8)
    separates = (letters == _COMMA) | (letters == _LINE)
    if b'"' in block:
        separates &= np.cumsum(letters == _QUOTE, dtype=np.uint8) % 2 == 0
    ends = np.flatnonzero(separates)
    starts = np.append(0, ends[:-1] + 1)
    rows, more = divmod(len(ends), columns)
    lines = letters[ends] == _LINE
    if more or lines.sum() != rows or not lines[columns - 1 :: columns].all():
        raise ValueError("a row has too few or too many cells")
    quoted = letters[starts] == _QUOTE
    lengths = (ends - starts - 2 * quoted).reshape(rows, columns)
    starts = (starts + quoted).reshape(rows, columns)
    letters = np.append(letters, np.zeros(lengths.max() + 1, np.uint8))
    for start, length in zip(starts.T, lengths.T, strict=True):
        width = max(int(length.max()), 1)
        cells = sliding_window_view(letters, width)[start]
        cells[np.arange(width) >= length[:, None]] = 0
        yield cells


def _values(cells: NDArray[np.uint8], kind: str) -> NDArray[Any]:
    n, width = cells.shape
    if kind == "text" and cells.max() < 128 and not (cells == _QUOTE).any():
        return cells.astype(np.uint32).view(f"U{width}").reshape(n)
    if width <= _WORD:  # few different cells, such as "1.0" and "0.0": each is converted once
        words = np.zeros((n, _WORD), np.uint8)
        words[:, :width] = cells
        different, number = np.unique(words.view(np.uint64).reshape(n), return_inverse=True)
        return _converted(different.view(f"S{_WORD}"), kind)[number]
    return _converted(cells.view(f"S{width}").reshape(n), kind)


def _converted(cells: NDArray[np.bytes_], kind: str) -> NDArray[Any]:
    if kind == "text":
        return np.array([cell.replace(b'""', b'"').decode() for cell in cells.tolist()], np.str_)
    if kind == "int":
        return cells.astype(np.int64)
    known = cells != b""
    values = np.full(len(cells), np.nan) if kind == "float" else np.full(len(cells), np.datetime64("NaT", "s"))
    values[known] = cells[known].astype(_TYPES[kind])
    return values
