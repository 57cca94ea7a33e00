"""What comes of a file: an ECG ready to be stored, or the reason why it is not taken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from precordial.archive.codecs import CODECS, Bytes
from precordial.archive.layout import CodecName, waveform_digest
from precordial.ecg import Ecg, Flag

NO_FLAG = Flag(0)
NO_SIGNAL = np.empty((0, 0), np.float32)


@dataclass(slots=True)  # not frozen: it changes hands for each ECG, and copies would take as long as reading it
class Taken:
    """An ECG ready to be stored.

    Attributes:
        ecg_id: digest of its file's bytes; shown as 16 hex digits.
        source: its file below the folder that was ingested; ``FILE#NAME``, ``FILE@SECOND`` where that has several.
        data: its samples as the archive's codec encodes them.
        waveform: digest of its samples.
        uv_per_unit: µV of one unit.
        ecg: the rest of what the file said, with all flags and without the signal.
        file_rate: Hz in the file.
        mains_uv, wander_uv: see `precordial.quality.Quality`.
    """

    ecg_id: int
    source: str
    data: Bytes
    waveform: int
    uv_per_unit: float
    ecg: Ecg
    file_rate: float
    mains_uv: float = float("nan")
    wander_uv: float = float("nan")


@dataclass(slots=True)
class Rejected:
    """A file, or an ECG in it, that is not taken: a reason of `precordial.errors.REASONS`, and what was wrong."""

    source: str
    reason: str
    problem: str


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to be read, or some of the ECGs that it holds.

    Attributes:
        path: where it is, from the root of the file system on.
        name: its path below the folder that is ingested.
        size: bytes, those of its companions included.
        time: when it or a companion was last changed, in ns.
        span: the numbers of the first and behind the last ECG, for a file that holds several.
    """

    path: Path
    name: str
    size: int
    time: int
    span: tuple[int, int] | None = None

    @property
    def identity(self) -> bytes:
        """What it is known again by."""
        # The whole path: files of one name, size and time in two folders may be those of two patients.
        return repr((str(self.path), self.size, self.time, self.span)).encode(errors="surrogateescape")


def take(
    ecg: Ecg,
    *,
    ecg_id: int,
    source: str,
    file_rate: float | None = None,
    codec: CodecName = "raw",
    flags: Flag = NO_FLAG,
    mains_uv: float = float("nan"),
    wander_uv: float = float("nan"),
) -> Taken:
    """A normalised ECG as it will be stored; `flags` are added to its own, and see `Taken` for the rest."""
    units, uv_per_unit, own = to_units(ecg)
    return Taken(
        ecg_id,
        source,
        CODECS[codec].encode(units),
        waveform_digest(units),
        uv_per_unit,
        replace(ecg, signal=NO_SIGNAL, leads=(), flags=own | flags),
        ecg.rate if file_rate is None else file_rate,
        mains_uv,
        wander_uv,
    )


def to_units(ecg: Ecg) -> tuple[NDArray[np.int16], float, Flag]:
    """An ECG's samples as 16-bit integers.

    The file's own integers are kept where all leads share one gain and nothing was resampled; else one
    unit is 1 µV.

    Returns:
        (8, samples) int16, µV per unit, and the flags (`Flag.CLIPPED` where 16 bits did not suffice).
    """
    scale = ecg.uv_per_unit or 1.0
    # In float32, whose error is a two-hundredth of a unit at the end of 16 bits, and less below.
    units = ecg.signal * np.float32(1000 / scale)
    whole = np.rint(units)
    units -= whole
    if scale != 1.0 and max(units.max(), -units.min()) > 0.02:  # leads derived by halves are no longer integers
        scale, whole = 1.0, np.rint(ecg.signal * np.float32(1000))
    flags = ecg.flags
    if whole.min() < -32768 or whole.max() > 32767:
        flags |= Flag.CLIPPED
        np.clip(whole, -32768, 32767, out=whole)
    return whole.astype(np.int16), scale, flags
