"""Proving that an archive holds what was put into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from precordial.archive.archive import Archive
from precordial.archive.layout import ROW, row_crc, waveform_digest


@dataclass(frozen=True)
class Verification:
    """What `verify` found.

    Attributes:
        ecgs: ECGs looked at.
        damaged: ids of ECGs whose samples or index row do not match their checksum.
        torn: index rows of an interrupted write; the next ingest cuts them, and nothing acknowledged is lost.
    """

    ecgs: int
    damaged: tuple[str, ...]
    torn: int

    @property
    def ok(self) -> bool:
        """Whether every ECG is as it was written."""
        return not self.damaged


def verify(archive: Archive, *, progress: Callable[[int, int], None] | None = None) -> Verification:
    """Check every ECG's samples and index row against their checksums.

    Args:
        archive: an opened archive.
        progress: called with (ECGs done, ECGs in all).
    """
    damaged = []
    n = len(archive)
    texts = archive.text_bytes
    for k in range(n):
        row = archive.index[k]
        at, length = int(row["text_at"]), int(row["text_length"])
        units = archive.units(np.array([k]))[0]
        good = row_crc(row, texts[at : at + length].tobytes()) == int(row["crc"])
        if not (good and waveform_digest(units) == int(row["waveform"])):
            damaged.append(row["ecg_id"].decode(errors="replace"))
        if progress and (k % 256 == 255 or k == n - 1):
            progress(k + 1, n)
    index = archive.path / "index.bin"
    held = index.stat().st_size // ROW.itemsize if index.exists() else 0
    return Verification(n, tuple(damaged), held - n)
