"""CODE-15 %: HDF5 files of exams, written by h5py; the samples are decoded from the file's own bytes."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ecg_samples.sample import Decoded, Sample

LEADS = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]


def make_exams(count: int, *, samples: int = 4096, seed: int = 3) -> NDArray[np.float32]:
    """(count, 4096, 12) of noise in mV, padded with zeros at both ends where `samples` are fewer."""
    noise = np.random.default_rng(seed).integers(-900, 900, (count, samples, 12)) / np.float32(1000)
    noise[noise == 0] = 0.001
    before = (4096 - samples) // 2
    return np.pad(noise, ((0, 0), (before, 4096 - samples - before), (0, 0))).astype(np.float32)


def write_code15(path: Path, tracings: NDArray[Any], ids: NDArray[Any] | None = None, **storage: Any) -> Path:
    """A part file as the set has them, the last row with the id 0; `storage` goes to h5py."""
    ids = np.arange(101, 101 + len(tracings)) if ids is None else ids
    with h5py.File(path, "w") as file:
        file["exam_id"] = np.append(ids, 0)
        file.create_dataset("tracings", data=np.concatenate([tracings, np.zeros_like(tracings[:1])]), **storage)
    return path


def decode_code15(path: Path) -> Decoded:
    file, start, stop = waveform(path)
    frames = list(struct.iter_unpack("<12f", file.read_bytes()[start:stop]))
    return 400.0, LEADS, [list(lead) for lead in zip(*frames, strict=True)]


def write(folder: Path) -> Path:
    return write_code15(folder / "exams_part0.hdf5", make_exams(1, samples=4000))


def waveform(path: Path) -> tuple[Path, int, int]:
    """The first exam, without its padding."""
    with h5py.File(path, "r") as file:
        start = file["tracings"].id.get_offset()
    row = path.read_bytes()[start : start + 4096 * 48]
    kept = [i for i, frame in enumerate(struct.iter_unpack("<12f", row)) if any(frame)]
    return path, start + 48 * kept[0], start + 48 * (kept[-1] + 1)


SAMPLE = Sample(write, decode_code15, (), waveform, checksum=False, demographics=False)
