"""A plain matrix of samples, ``.npy``, ``.npz`` or CSV, with rate, units and leads given beside it.

What the matrix does not say stands in ``NAME.toml`` beside ``NAME.npy``, or in ``matrix.toml`` for all files of the
folder::

    rate = 500                                  # Hz
    units = "uV"                                # or "mV", "V"; or uv_per_unit = 4.88
    leads = ["I", "II", "V1", "V2", "V3", "V4", "V5", "V6"]
    patient_id = "A1"                           # this and what follows may be left out
    recorded_at = 2021-05-10T13:05:16
    age = 60
    sex = "female"
    device = "MAC 5500"
    site = "Emergency ward"

An ``.npz`` may have arrays of these names beside the one named ``signal``; they come before the sidecar's. A CSV has
its leads in its first row, by which it is known; a first column ``time``, ``t``, ``sample`` or without a name is left
out.

Two dimensions are one ECG: which is the one of the leads is told by their number. Three dimensions are ECGs, their
number first; they are named "0", "1" and so on, and what the sidecar says holds for all. NaN, and an empty cell of a
CSV, is a missing sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from precordial.ecg import Ecg
from precordial.errors import UnusableEcg
from precordial.formats.checks import fill_gaps
from precordial.formats.matrix_files import look_into, looks_like_matrix
from precordial.formats.matrix_sidecar import Said, read_sidecar, sidecar_beside
from precordial.formats.reader import Reader, Several


def count_matrix(path: Path) -> int:
    """How many ECGs a file holds.

    Raises:
        UnusableEcg: it is damaged, or no matrix of numbers in two or three dimensions.
    """
    return look_into(path).count


def find_matrix(path: Path, name: str) -> int | None:
    """The number of the ECG with a name, which is its number; see `Several.find`."""
    return int(name) if name.isdecimal() and name == str(int(name)) and int(name) < count_matrix(path) else None


def read_matrices(path: Path, first: int, stop: int) -> Iterator[tuple[str, Ecg | UnusableEcg]]:
    """The ECGs from number `first` to before `stop`, each with its number; see `Several.read`."""
    matrix = look_into(path)
    said = read_sidecar(path, matrix.said)
    values = matrix.load()
    stack = values if values.ndim == 3 else values[None]
    turned = _leads_last(stack.shape[1:], len(said.leads), path)
    for i in range(first, min(stop, len(stack))):
        try:
            yield str(i), _ecg(stack[i].T if turned else stack[i], said, path)
        except UnusableEcg as error:
            yield str(i), error


def _leads_last(shape: tuple[int, ...], leads: int, path: Path) -> bool:
    """Whether the matrix has to be transposed."""
    if leads not in shape or shape[0] == shape[1]:
        size = " × ".join(map(str, shape))
        problem = f"a matrix of {size} for {leads} leads"
        raise UnusableEcg("unsupported", problem, file=path, remedy="one side, and only one, must be the leads")
    return shape[1] == leads


def _ecg(values: NDArray[Any], said: Said, path: Path) -> Ecg:
    """One ECG from its matrix, (leads, samples) in units."""
    with np.errstate(over="ignore", invalid="ignore"):  # it is checked next
        signal, flags = fill_gaps(values * np.float64(said.uv_per_unit / 1000), path)
    # An archive can keep integers only where 16 bits suffice.
    kept = values.dtype.kind in "iu" and -(1 << 15) <= values.min() <= values.max() < 1 << 15
    return Ecg(
        signal,
        rate=said.rate,
        leads=said.leads,
        patient_id=said.patient_id,
        recorded_at=said.recorded_at,
        age=said.age,
        sex=said.sex,
        device=said.device,
        site=said.site,
        uv_per_unit=said.uv_per_unit if kept else None,
        flags=flags,
        source="matrix",
    )


def _companions(path: Path) -> tuple[Path, ...]:
    beside = sidecar_beside(path)
    return () if beside is None else (beside,)


SEVERAL = Several(count_matrix, find_matrix, read_matrices)
MATRIX = Reader("matrix", looks_like_matrix, SEVERAL.only, _companions, several=SEVERAL)
