"""How SCP-ECG files pack their samples: Huffman codes (EN 1064, Section 2 and Annex C) and differences.

A code begins with a prefix that tells how long the whole code is. It then stands for the table's value, or the bits
behind the prefix are the value, or it says that another table holds from here on.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from precordial.errors import UnusableEcg

DEFAULT_TABLE = 19_999  # stands in place of the number of tables where the standard's own one is used
PREFIX = 16  # bits; no longer prefix is read. The standard's own table has at most 10
TABLES = 8  # no more are read; each takes 0.4 MB
SWITCHES = 20_000  # no more of them are followed in one lead, each taking a microsecond


@dataclass(frozen=True)
class Code:
    """One kind of code: `prefix` and whole length in bits, its `first` bits, and its value or its table (from 0)."""

    prefix: int
    length: int
    first: int
    value: int
    switches: bool = False


class Table:
    """What the next `PREFIX` bits of a stream mean.

    Attributes:
        length: of the code that begins so; 0 where none does, and negative for those that switch the table.
        prefix, value: of that code; the value of a switch is a table's number.
    """

    def __init__(self, codes: list[Code]) -> None:
        """Raises ValueError where two codes begin alike."""
        self.length = np.zeros(1 << PREFIX, np.int8)
        self.prefix = np.zeros(1 << PREFIX, np.int8)
        self.value = np.zeros(1 << PREFIX, np.int32)
        for code in codes:
            free = PREFIX - code.prefix
            like = slice(code.first << free, (code.first + 1) << free)
            if self.length[like].any():
                raise ValueError("two codes begin alike")
            self.length[like] = -code.length if code.switches else code.length
            self.prefix[like] = code.prefix
            self.value[like] = code.value


@cache
def default_table() -> Table:
    """The standard's own table: 0 is one bit, ±n is n ones, a zero and the sign, others follow in 8 or 16 bits."""
    codes = [Code(1, 1, 0b0, 0), Code(10, 18, 0b1111111110, 0), Code(10, 26, 0b1111111111, 0)]
    for n in range(1, 9):
        ones = (1 << n) - 1 << 2
        codes += [Code(n + 2, n + 2, ones, n), Code(n + 2, n + 2, ones | 1, -n)]
    return Table(codes)


def read_tables(section: bytes, path: Path) -> list[Table]:
    """The Huffman tables of Section 2; none where the samples are stored plainly.

    Raises:
        UnusableEcg: they are damaged, or have codes that are not read.
        struct.error: the section ends before they do.
    """
    (count,) = struct.unpack_from("<H", section)
    if count == DEFAULT_TABLE:
        return [default_table()]
    if count > TABLES:
        raise UnusableEcg("unsupported", f"{count} Huffman tables", file=path)
    tables = []
    at = 2
    for _ in range(count):
        (codes,) = struct.unpack_from("<H", section, at)
        fields = struct.iter_unpack("<BBBhI", section[at + 2 : at + 2 + 9 * codes])
        at += 2 + 9 * codes
        if at > len(section):
            raise struct.error("the table ends early")
        try:
            tables.append(Table([_code(*field, tables=count) for field in fields]))
        except ValueError as error:
            raise UnusableEcg("unreadable", f"in a Huffman table, {error}", file=path) from None
        except NotImplementedError as error:
            raise UnusableEcg("unsupported", f"a Huffman table with {error}", file=path) from None
    return tables


def _code(prefix: int, length: int, mode: int, value: int, base: int, *, tables: int) -> Code:
    """A code from its five numbers; of `base` the lowest bit is the code's first."""
    if not 1 <= prefix <= length:
        raise ValueError("a code is shorter than its prefix")
    if prefix > PREFIX or length > prefix + 16 or (length > prefix and value):
        raise NotImplementedError("codes of an unusual form")
    switches = mode == 0
    if switches and not 1 <= value <= tables:
        raise ValueError("a code leads to a table that is not there")
    first = int(f"{base & ((1 << prefix) - 1):0{prefix}b}"[::-1], 2)
    return Code(prefix, length, first, value - 1 if switches else value, switches)


def decode(data: bytes, count: int, tables: list[Table], path: Path) -> NDArray[np.int64]:
    """The first `count` values of a lead, which begins with the first table.

    What code would begin at each bit is looked up for all bits at once; only the way from code to code is a loop.

    Raises:
        UnusableEcg: the data end early, or have bits that are no code.
    """
    padded = np.frombuffer(data + bytes(8), np.uint8).astype(np.int64)
    size = len(data)
    words = np.zeros(size, np.int64)  # 40 bits from each byte on
    for i in range(5):
        words |= padded[i : size + i] << (32 - 8 * i)
    bits = ((words[:, None] >> np.arange(24, 16, -1)) & 0xFFFF).ravel()  # 16 bits from each bit on
    lengths: dict[int, list[int]] = {}  # of the codes that would begin at each bit, by table
    number, at = 0, 0
    starts: list[int] = []
    runs: list[tuple[int, int]] = []  # tables, and how many values had been found when each began to hold
    try:
        while len(starts) < count:
            runs.append((number, len(starts)))
            if len(runs) > SWITCHES:
                raise UnusableEcg("unsupported", f"more than {SWITCHES} switches of Huffman tables", file=path)
            if number not in lengths:
                lengths[number] = tables[number].length[bits].tolist()
            steps = lengths[number]
            while len(starts) < count and steps[at] > 0:
                starts.append(at)
                at += steps[at]
            if len(starts) < count and steps[at] == 0:
                raise UnusableEcg("unreadable", "the samples hold bits that are no Huffman code", file=path)
            if len(starts) < count:
                number, at = int(tables[number].value[bits[at]]), at - steps[at]
    except IndexError:  # beyond the last bit
        at = 8 * size + 1
    if len(starts) < count or at > 8 * size:
        raise UnusableEcg("unreadable", f"a lead ends before its {count} samples", file=path)
    found = np.diff([start for _, start in runs] + [count])
    holds = np.repeat([number for number, _ in runs], found)  # the table of each value
    begins, values = np.array(starts), np.empty(count, np.int64)
    for number in lengths:
        mine = holds == number
        values[mine] = _values(tables[number], words, bits, begins[mine])
    return values


def _values(
    table: Table, words: NDArray[np.int64], bits: NDArray[np.int64], begins: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The values of the codes that begin at these bits."""
    like = bits[begins]
    prefix, length = table.prefix[like].astype(np.int64), table.length[like].astype(np.int64)
    behind = length - prefix
    after = (words[begins // 8] >> (40 - begins % 8 - length)) & ((1 << behind) - 1)
    signed = after - ((after >> np.maximum(behind - 1, 0)) << behind)
    return np.where(behind > 0, signed, table.value[like])


def integrate(digital: NDArray[np.int64], differences: int) -> NDArray[np.int64]:
    """The samples, (leads, samples), of which the first or second differences are stored; modulo 2^16, as they are.

    The first sample, and for second differences the second one too, is stored as it is.

    >>> integrate(np.array([[5, 7, 1, -2]]), 2)
    array([[ 5,  7, 10, 11]])
    """
    if differences == 0:
        return digital
    if differences == 2 and digital.shape[1] > 1:
        slopes = digital.copy()
        slopes[:, 1] -= slopes[:, 0]
        slopes[:, 1:] = slopes[:, 1:].cumsum(axis=1)
    else:
        slopes = digital
    return slopes.cumsum(axis=1).astype(np.int16).astype(np.int64)
