"""Matrices in files: NumPy's ``.npy`` and ``.npz``, and CSV, looked into before anything is read.

Nothing is unpickled, nothing is unpacked beyond the size that a header announces, and an ``.npy`` stays on the disk.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from precordial.ecg import LIMB, TWELVE, canonical_lead
from precordial.errors import UnusableEcg
from precordial.formats.checks import held_in
from precordial.formats.matrix_sidecar import KEYS
from precordial.formats.reader import HEAD_BYTES, read_bytes

VALUES_LIMIT = 1 << 24  # of one ECG: 12 leads of 500 Hz for 46 minutes
PACKED_LIMIT = 1 << 27  # bytes of the signal of an .npz, which is unpacked whole; an .npy is not
TEXT_LIMIT = 1 << 23  # bytes of a CSV: 12 leads of 500 Hz for some 3 minutes
CELLS_LIMIT = 1 << 22
FIELD_LIMIT = 1 << 16  # bytes of the other arrays of an .npz together with all names: real ones take 2 kB

NPY, ZIP = b"\x93NUMPY", b"PK\x03\x04"
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_TIMES = {"time", "t", "sample", ""}
_CHEST = set(TWELVE) - set(LIMB)


@dataclass(frozen=True)
class Matrix:
    """A file that was looked into, but not read.

    Attributes:
        count: how many ECGs it holds.
        load: reads it: one ECG in two dimensions, or all in three.
        said: what the file says itself, by the sidecar's keys.
    """

    count: int
    load: Callable[[], NDArray[Any]]
    said: dict[str, Any]


def looks_like_matrix(head: bytes) -> bool:
    """Whether the first bytes are of an .npy, of an .npz, or of a CSV whose first row names leads only."""
    if head.startswith(ZIP):
        return head[30 : 30 + int.from_bytes(head[26:28], "little")].endswith(b".npy")
    return head.startswith(NPY) or csv_header(head) is not None


def look_into(path: Path) -> Matrix:
    """Look into a file of any of the three kinds.

    Raises:
        UnusableEcg: it is damaged, or no matrix of numbers in two or three dimensions.
    """
    with held_in(path, "the matrix"), path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(NPY):
        return _look_npy(path)
    return _look_npz(path) if head.startswith(ZIP) else _look_csv(path, head)


def _look_npy(path: Path) -> Matrix:
    with held_in(path, "the .npy file"), path.open("rb") as file:
        shape, order, dtype = _described(file)
        start, size = file.tell(), path.stat().st_size
    _check(shape, dtype, size - start, path)

    def load() -> NDArray[Any]:
        with held_in(path, "the .npy file"):
            return np.memmap(path, dtype, "r", start, shape, order)

    return Matrix(shape[0] if len(shape) == 3 else 1, load, {})


def _look_npz(path: Path) -> Matrix:
    with held_in(path, "the .npz file"), path.open("rb") as file:
        _check_directory(file)
        with zipfile.ZipFile(file) as members:
            if "signal.npy" not in members.NameToInfo:
                raise UnusableEcg("unsupported", "no array named signal in it", file=path)
            with _member(members, "signal") as member:
                shape, _, dtype = _described(member)
                size = members.NameToInfo["signal.npy"].file_size - member.tell()
            said = {name: _field(members, name) for name in KEYS if f"{name}.npy" in members.NameToInfo}
    _check(shape, dtype, size, path)
    if size > PACKED_LIMIT:
        raise UnusableEcg(
            "unsupported", f"unpacks to more than {PACKED_LIMIT >> 20} MB", file=path, remedy="save it as .npy"
        )

    def load() -> NDArray[Any]:
        with held_in(path, "the .npz file"), zipfile.ZipFile(path) as members:
            return _unpack(members, "signal", size)

    return Matrix(shape[0] if len(shape) == 3 else 1, load, said)


def _look_csv(path: Path, head: bytes) -> Matrix:
    header = csv_header(head)
    if header is None:
        raise UnusableEcg("unreadable", "its first row is no longer one of leads", file=path)
    delimiter, leads, time = header

    def load() -> NDArray[Any]:
        data = read_bytes(path, TEXT_LIMIT)
        if not data.endswith(b"\n"):
            raise UnusableEcg("unreadable", "its last row does not end; it may be truncated", file=path)
        rows = [row for row in data.decode("utf-8-sig", "replace").splitlines() if row.strip() and row[0] != "#"][1:]
        columns = len(leads) + time
        if not rows or any(row.count(delimiter) != columns - 1 for row in rows):
            raise UnusableEcg("unreadable", f"it has no rows, or one without {columns} columns", file=path)
        if len(rows) * columns > CELLS_LIMIT:
            raise UnusableEcg("unsupported", f"more than {CELLS_LIMIT} values", file=path, remedy="save it as .npy")
        text = "\n" + "\n".join(rows) + "\n"
        if delimiter == ";":
            text = text.replace(",", ".")
        for _ in range(2):  # each replacement leaves every other one of a row of empty cells
            text = text.replace(2 * delimiter, f"{delimiter}nan{delimiter}")
        text = text.replace(f"\n{delimiter}", f"\nnan{delimiter}").replace(f"{delimiter}\n", f"{delimiter}nan\n")
        rows = text.split("\n")[1:-1]
        with held_in(path, "the CSV"):
            return np.loadtxt(rows, delimiter=delimiter, usecols=range(time, columns), ndmin=2, comments=None).T

    return Matrix(1, load, {"leads": leads})


def csv_header(head: bytes) -> tuple[str, list[str], int] | None:
    """Delimiter, leads and the number of columns before them, if the first bytes are a CSV of an ECG.

    Its first row that is no comment must name leads only, from which all eight can be had: no table of a register has
    that.

    >>> csv_header(b"time,I,II,V1,V2,V3,V4,V5,V6\\n0,1,2,3,4,5,6,7,8\\n")
    (',', ['I', 'II', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6'], 1)
    """
    lines = head.removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True)
    line = next((line for line in lines if line.strip() and not line.startswith(b"#")), b"")
    if not line.endswith((b"\n", b"\r")) or not line.isascii():
        return None
    for delimiter in ",;\t":
        names = [name.strip(' "\r\n') for name in line.decode().split(delimiter)]
        time = int(len(names) > 1 and names[0].lower() in _TIMES)
        leads = [canonical_lead(name) for name in names[time:]]
        if set(leads) <= set(TWELVE) and set(leads) >= _CHEST and len(set(leads) & set(LIMB)) >= 2:
            return delimiter, leads, time
    return None


def _described(file: IO[bytes]) -> tuple[tuple[int, ...], Literal["C", "F"], np.dtype[Any]]:
    """Shape, order ("C" or "F") and type of an array of NumPy's format; the file then stands at its first value."""
    shape, fortran, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
    return shape, "F" if fortran else "C", dtype


def _check(shape: tuple[int, ...], dtype: np.dtype[Any], stored: int, path: Path) -> None:
    """Refuse what is no matrix of numbers of the size that is stored."""
    if dtype.kind not in "iuf" or dtype.itemsize > 8 or len(shape) not in (2, 3):
        raise UnusableEcg("unsupported", "no array of numbers in two or three dimensions", file=path)
    if min(shape) < 1 or prod(shape) * dtype.itemsize != stored:
        raise UnusableEcg("unreadable", "it does not hold the array that its header announces", file=path)
    if prod(shape[-2:]) > VALUES_LIMIT:
        raise UnusableEcg("unsupported", f"an ECG of more than {VALUES_LIMIT} values", file=path, remedy="cut it first")


def _check_directory(file: IO[bytes]) -> None:
    """Refuse a zip with a directory of its own size: zipfile takes it up whole, whatever it holds."""
    file.seek(-42, 2)
    end = file.read()
    directory = int.from_bytes(end[32:36], "little")
    if end[:4] == b"PK\x06\x07" or end[20:24] != b"PK\x05\x06" or directory > FIELD_LIMIT:
        raise ValueError("not as NumPy writes it")
    file.seek(0)


def _member(members: zipfile.ZipFile, name: str) -> IO[bytes]:
    """An array of an .npz, opened."""
    entry = members.NameToInfo[f"{name}.npy"]
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("not as NumPy writes it")
    return members.open(entry)


def _unpack(members: zipfile.ZipFile, name: str, limit: int) -> NDArray[Any]:
    """An array of an .npz of at most so many bytes; no more than its header announces is unpacked."""
    with _member(members, name) as member:
        shape, order, dtype = _described(member)
        size = prod(shape) * dtype.itemsize
        if not 0 < size <= limit or dtype.hasobject:
            raise ValueError("empty, too large, or no plain array")
        data = member.read(size)
        if member.read(1):  # at its end zipfile also compares the checksum
            raise ValueError("larger than announced")
    return np.frombuffer(data, dtype, prod(shape)).reshape(shape, order=order)


def _field(members: zipfile.ZipFile, name: str) -> Any:
    """An array of an .npz as the TOML value that would say the same."""
    array = _unpack(members, name, FIELD_LIMIT)
    if array.dtype.kind == "M":
        array = array.astype("datetime64[us]")
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    return array.item() if array.size == 1 and name != "leads" else array.tolist()
