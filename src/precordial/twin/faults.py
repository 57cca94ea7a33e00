"""What goes wrong with ECG files: planted in a few, so that a study has something to count.

The writers (`muse_files`, `wfdb_files`) do what is a matter of bytes; the rest is done here.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from precordial.twin.header import Header

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
KINDS = ("", *FAULTS)  # a fault is an index into these


def plant(n: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """Which fault each of n ECGs gets; 0 for none."""
    fault = np.zeros(n, np.int8)
    places, first = rng.permutation(n), 0
    for kind, share in enumerate(FAULTS.values(), start=1):
        count = math.ceil(share * n)
        fault[places[first : first + count]] = kind
        first += count
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


def truncate(data: bytes) -> bytes:
    """What is left of an unreadable file."""
    return data[: len(data) * 6 // 10]
