"""What goes wrong with ECG files: planted in a few, so that a study has something to count."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from precordial.twin.muse_writer import Header

# Planted faults and the share of the ECGs that has each; at least one of each kind. The names are the reasons of
# precordial.errors where the file becomes unusable; a wrong age stands in the header of a usable file.
FAULTS = {
    "bad-checksum": 0.004,
    "flat-lead": 0.004,
    "unreadable": 0.003,
    "no-patient-id": 0.003,
    "no-time": 0.002,
    "duplicate": 0.004,
    "wrong-age": 0.01,
}


def plant(n: int, rng: np.random.Generator) -> NDArray[np.str_]:
    """Which fault each of n ECGs gets; "" for none."""
    fault = np.full(n, "", dtype="U16")
    places = iter(rng.permutation(n))
    for kind, share in FAULTS.items():
        for _ in range(math.ceil(share * n)):
            fault[next(places)] = kind
    return fault


def spoil(header: Header, kind: str, rng: np.random.Generator) -> Header:
    """The header with this fault; another age is wrong by 12 to 40 years, or 0."""
    if kind == "no-patient-id":
        return replace(header, patient_id="")
    if kind == "no-time":
        return replace(header, recorded_at=None)
    if kind == "wrong-age":
        return replace(header, age=max(header.age + int(rng.integers(12, 41)) * int(rng.choice((-1, 1))), 0))
    return header


def damage(data: bytes, kind: str) -> bytes:
    """The file as it came off the disk."""
    if kind == "unreadable":
        return data[: len(data) * 6 // 10]
    if kind == "bad-checksum":  # one character in the last lead of the Rhythm
        place = data.rindex(b"<WaveFormData>") + 2000
        place += data[place : place + 1] == b"\n"
        return data[:place] + (b"B" if data[place : place + 1] == b"A" else b"A") + data[place + 1 :]
    return data
