"""CODE-15 %: HDF5 files of many ECGs, 12 leads at 400 Hz, through h5py (the extra ``hdf5``).

A part of the set (zenodo.org/records/4916206) has two datasets: ``exam_id`` (n,) and ``tracings`` (n, 4096, 12),
floating point, in the order of `precordial.ecg.TWELVE`. Who the patient was stands in ``exams.csv`` beside it, under
the exam's id, which is the name of each ECG here.

What the reader decides where the set leaves room:

- The values are taken as millivolts, as by the makers of the PhysioNet Challenge 2025. The set's own page gives no
  unit; the authors' model page says "1e-4 V" and "multiply volts by 1000" in one sentence. Users find amplitudes 1.4 to
  2 times those of other sets: whoever mixes sets by amplitude should know.
- Rows of zeros in all leads at either end are padding and are left out: an exam of seven seconds is one of seven
  seconds. (Most short exams have 2934 samples, most long ones all 4096.) An exam of zeros alone has no rhythm.
- The last row of each part has the id 0 and no exam: it is not counted.
- A file without ids is refused. Such are the test set of the same authors, whose limb leads stand in another order, and
  other sets in the same shape.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from precordial.ecg import TWELVE, Ecg
from precordial.errors import UnusableEcg
from precordial.formats.checks import fill_gaps, held_in, optional
from precordial.formats.reader import Reader, Several

if TYPE_CHECKING:
    import h5py

RATE = 400.0  # Hz
SAMPLES = 4096
BLOCK = 64  # ECGs read at a time: 13 MB
EXAMS_LIMIT = 1_000_000  # the whole set has 345 779
# Limits of what one call into HDF5 may take: a chunk is unpacked whole, and many small ones take long to look up.
CHUNK_BYTES = 1 << 25
CHUNK_VALUES = 256
DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3  # filters whose output has a known size, but for the first

EXPECTED = f"of HDF5 files CODE-15 % is read: datasets exam_id (n,) and tracings (n, {SAMPLES}, 12)"


@dataclass(frozen=True)
class Part:
    """An open file: the exams' ids, in the order of the rows, and the tracings."""

    ids: tuple[int, ...]
    tracings: h5py.Dataset


def count_code15(path: Path) -> int:
    """How many exams a file holds.

    Raises:
        UnusableEcg: it is damaged, or no file of this set.
    """
    with _opened(path) as part:
        return len(part.ids)


def find_exam(path: Path, name: str) -> int | None:
    """The row of the exam with an id; see `Several.find`."""
    with _opened(path) as part:
        return next((row for row, exam in enumerate(part.ids) if str(exam) == name), None)


def read_exams(path: Path, first: int, stop: int) -> Iterator[tuple[str, Ecg | UnusableEcg]]:
    """The exams of the rows from `first` to before `stop`, each with its id; see `Several.read`."""
    with _opened(path) as part:
        ids = part.ids[first:stop]
        for start in range(first, first + len(ids), BLOCK):
            names = map(str, part.ids[start : min(start + BLOCK, stop)])
            rows = _rows(part.tracings, start, min(start + BLOCK, first + len(ids)), path)
            for name, row in zip(names, rows, strict=True):
                try:
                    yield name, row if isinstance(row, UnusableEcg) else _exam(row, path)
                except UnusableEcg as error:
                    yield name, error


def _exam(tracing: NDArray[np.floating[Any]], path: Path) -> Ecg:
    """One exam from its row, (4096, 12)."""
    recorded = np.flatnonzero((tracing != 0).any(axis=1))
    if len(recorded) == 0:
        raise UnusableEcg("no-rhythm", "the exam holds nothing but zeros", file=path)
    signal, flags = fill_gaps(tracing[recorded[0] : recorded[-1] + 1].T, path)
    return Ecg(signal, rate=RATE, leads=TWELVE, flags=flags, source="code-15")


@contextmanager
def _opened(path: Path) -> Iterator[Part]:
    """Open a file and check all of its layout, so that what is read from it then has a known size."""
    library = optional("h5py", "HDF5", "hdf5", path)
    with held_in(path, "the HDF5 file"):
        # Not locked: the set may lie on a file system without locks. The cache holds a chunk between two blocks.
        file = library.File(path, "r", locking=False, rdcc_nbytes=2 * CHUNK_BYTES)
    try:
        with held_in(path, "the HDF5 file"):
            part = _part(library, file, path)
        yield part
    finally:
        with held_in(path, "the HDF5 file"):
            file.close()


def _part(library: Any, file: h5py.File, path: Path) -> Part:
    datasets = []
    for name in ("exam_id", "tracings"):
        link = file.get(name, getlink=True)
        dataset = file[name] if isinstance(link, library.HardLink) else None  # other links reach for other files
        if not isinstance(dataset, library.Dataset) or dataset.external or dataset.is_virtual:
            raise UnusableEcg("unsupported", f"no dataset {name}", file=path, remedy=EXPECTED)
        _check_storage(dataset, path)
        datasets.append(dataset)
    exam_id, tracings = datasets
    if exam_id.ndim != 1 or tracings.shape != (*exam_id.shape, SAMPLES, len(TWELVE)):
        raise UnusableEcg("unsupported", "exam_id or tracings of another shape", file=path, remedy=EXPECTED)
    if exam_id.dtype.kind not in "iu" or tracings.dtype.kind != "f" or tracings.dtype.itemsize > 8:
        raise UnusableEcg("unsupported", "exam_id or tracings of another type", file=path, remedy=EXPECTED)
    if len(exam_id) > EXAMS_LIMIT:
        raise UnusableEcg("unreadable", f"announces {len(exam_id)} exams", file=path)
    _check_deflated(exam_id, 0, len(exam_id))
    ids = tuple(map(int, exam_id[:]))
    ids = ids[:-1] if ids and ids[-1] == 0 else ids
    if not ids or len(set(ids)) != len(ids):
        raise UnusableEcg("unreadable", "it has no exams, or an exam's id twice", file=path)
    return Part(ids, tracings)


def _check_storage(dataset: h5py.Dataset, path: Path) -> None:
    """Refuse what HDF5 would unpack without a limit, or look up without end."""
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if not set(filters) <= {DEFLATE, SHUFFLE, FLETCHER32} or len(set(filters)) < len(filters):
        raise UnusableEcg(
            "unsupported", "compressed otherwise than by gzip", file=path, remedy="repack it with h5repack"
        )
    if dataset.chunks is not None:
        values = prod(dataset.chunks)
        small = dataset.ndim > 1 and values < CHUNK_VALUES
        if small or values * dataset.dtype.itemsize > CHUNK_BYTES:
            raise UnusableEcg(
                "unsupported",
                f"chunks of more than {CHUNK_BYTES >> 20} MB or of less than {CHUNK_VALUES} values",
                file=path,
                remedy="repack it with h5repack",
            )


def _rows(tracings: h5py.Dataset, start: int, stop: int, path: Path) -> list[NDArray[np.floating[Any]] | UnusableEcg]:
    """Some rows; where they cannot be read together, each by itself, so that one bad chunk costs only its own."""
    try:
        with held_in(path, "the exam's chunk"):
            _check_deflated(tracings, start, stop)
            return list(tracings[start:stop])
    except UnusableEcg as error:
        if stop - start == 1:
            return [error]
        return [row for i in range(start, stop) for row in _rows(tracings, i, i + 1, path)]


def _check_deflated(dataset: h5py.Dataset, start: int, stop: int) -> None:
    """Unpack the chunks of some rows within limits, since HDF5 itself goes on as long as there is output."""
    if dataset.compression != "gzip":
        return
    chunk, limit = dataset.chunks, prod(dataset.chunks) * dataset.dtype.itemsize
    first = range(start - start % chunk[0], stop, chunk[0])
    others = (range(0, size, step) for size, step in zip(dataset.shape[1:], chunk[1:], strict=True))
    for offset in itertools.product(first, *others):
        stored = dataset.id.get_chunk_info_by_coord(offset).size
        if stored == 0:
            continue  # never written: it reads as zeros
        if stored > 2 * limit:
            raise ValueError("a chunk larger than announced")
        skipped, data = dataset.id.read_direct_chunk(offset)
        if skipped == 0 and len(zlib.decompressobj().decompress(data, limit + 1)) > limit:
            raise ValueError("a chunk larger than announced")


SEVERAL = Several(count_code15, find_exam, read_exams)
CODE15 = Reader("code-15", lambda head: head.startswith(b"\x89HDF\r\n\x1a\n"), SEVERAL.only, several=SEVERAL)
