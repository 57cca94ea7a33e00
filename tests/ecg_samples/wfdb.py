"""WFDB records, and the Challenges' .hea with .mat."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg_samples.sample import Decoded, Sample


def make_wfdb_record(
    folder: Path,
    digital: NDArray[np.int16],
    *,
    name: str = "record",
    leads: Sequence[str] = ("I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"),
    record_line: str | None = None,
    rate: float = 500,
    storage: str = "16",
    gain: str = "1000.0(0)/mV",
    comments: Sequence[str] = (),
) -> Path:
    """Write a record of `digital`, (leads, samples), with checksums, and return its header.

    `storage` is the header's format field, such as ``16``, ``212`` or ``16+24``; an offset is filled with zeros.
    """
    kind, _, offset = storage.partition("+")
    frames = np.ascontiguousarray(np.asarray(digital, "<i2").T)
    data = pack_212(frames.ravel()) if kind.startswith("212") else frames.tobytes()
    (folder / f"{name}.dat").write_bytes(bytes(int(offset or 0)) + data)
    lines = [record_line or f"{name} {len(digital)} {rate:g} {digital.shape[1]}"]
    for lead, trace in zip(leads, digital, strict=False):
        checksum = int(trace.sum(dtype=np.int64)) % 65536
        lines.append(f"{name}.dat {storage} {gain} 16 0 {trace[0]} {checksum} 0 {lead}")
    header = folder / f"{name}.hea"
    header.write_text("\n".join([*lines, *comments]) + "\n")
    return header


def pack_212(values: NDArray[np.int16]) -> bytes:
    """Format 212, number by number as signal(5) describes it: two 12-bit numbers in three bytes."""
    packed = bytearray()
    for i in range(0, len(values), 2):
        first = int(values[i]) & 0xFFF
        second = int(values[i + 1]) & 0xFFF if i + 1 < len(values) else 0
        packed += bytes([first & 0xFF, first >> 8 | (second >> 8) << 4, second & 0xFF])
    return bytes(packed)


def decode_wfdb(path: Path) -> Decoded:
    record, *lines = [line.split() for line in path.read_text().splitlines() if not line.startswith("#")]
    data = path.with_name(lines[0][0]).read_bytes()[int(lines[0][1].partition("+")[2] or 0) :]
    gain = float(re.match(r"[\d.]+", lines[0][2])[0])
    frames = list(struct.iter_unpack(f"<{len(lines)}h", data))
    traces = [[frame[i] / gain for frame in frames] for i in range(len(lines))]
    return float(record[2]), [line[8] for line in lines], traces


def write(folder: Path) -> Path:
    digital = np.random.default_rng(1).integers(-900, 900, (12, 5000)).astype(np.int16)
    return make_wfdb_record(folder, digital, comments=["# Age: 71", "# Sex: Female"])


def waveform(path: Path) -> tuple[Path, int, int]:
    data = path.with_suffix(".dat")
    return data, 0, data.stat().st_size


SAMPLE = Sample(
    write,
    decode_wfdb,
    ("ptbxl/records100/00000/0000?_lr.hea", "cinc2021/*/*1.hea", "cinc2021/georgia/*.orig"),
    waveform,
)
