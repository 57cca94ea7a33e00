"""Plain matrices, with what has to be said about them beside them."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from ecg_samples.sample import Decoded, Sample

LEADS = ["I", "II", "V1", "V2", "V3", "V4", "V5", "V6"]
SIDECAR = 'rate = 500\nunits = "uV"\nleads = ["I", "II", "V1", "V2", "V3", "V4", "V5", "V6"]\n'


def decode_matrix(path: Path) -> Decoded:
    """Of the sample: the array as it lies in the zip, unpacked without zipfile or NumPy."""
    data = path.read_bytes()
    at = data.index(b"signal.npy")
    start = at + len("signal.npy") + struct.unpack_from("<H", data, at - 2)[0]
    array = zlib.decompressobj(-15).decompress(data[start:])
    values = [value for (value,) in struct.iter_unpack("<h", array[10 + struct.unpack_from("<H", array, 8)[0] :])]
    return 500.0, LEADS, [[value * (4.88 / 1000) for value in values[i * 5000 : (i + 1) * 5000]] for i in range(8)]


def write(folder: Path) -> Path:
    path = folder / "ecg.npz"
    noise = np.random.default_rng(4).integers(-900, 900, (8, 5000)).astype("<i2")
    said = {"rate": 500, "uv_per_unit": 4.88, "leads": LEADS, "age": 60, "sex": "female", "patient_id": "TEST0001"}
    np.savez_compressed(path, signal=noise, **said)
    return path


def waveform(path: Path) -> tuple[Path, int, int]:
    with zipfile.ZipFile(path) as members:
        entry = members.getinfo("signal.npy")
    data = path.read_bytes()
    extra = struct.unpack_from("<H", data, entry.header_offset + 28)[0]
    start = entry.header_offset + 30 + len(entry.filename) + extra
    return path, start, start + entry.compress_size


SAMPLE = Sample(write, decode_matrix, (), waveform, checksum=False)
