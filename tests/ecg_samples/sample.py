"""What a format gives to the tests that hold for every reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Decoded = tuple[float, list[str], list[list[float]]]  # rate, leads, mV of each lead


@dataclass(frozen=True)
class Sample:
    """One format's samples.

    Attributes:
        write: writes a faithful file of ten seconds at 500 Hz into an empty folder, of a woman whose age is known and
            with nothing to be flagged, and returns its path.
        decode: reads such a file, and the real ones, by other means than the reader.
        real: patterns of real files in ../shared/data.
        waveform: the file, first byte and end of the stored samples (in compressed formats, of their bytes).
        checksum: whether the format has checksums over them.
        exact: whether `decode` gives what the reader must give to the last bit; else to one unit of the file.
        demographics: whether the format has age and sex.
        mend: gives a damaged file checksums that fit it, where they are such that no damage would get past them.
    """

    write: Callable[[Path], Path]
    decode: Callable[[Path], Decoded]
    real: tuple[str, ...]
    waveform: Callable[[Path], tuple[Path, int, int]]
    checksum: bool = True
    exact: bool = True
    demographics: bool = True
    mend: Callable[[Path], None] | None = None
