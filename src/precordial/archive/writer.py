"""Appending to an archive: one writer at a time, commits that survive a kill, and the cut of a torn tail."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from precordial import __version__
from precordial.archive.layout import (
    COMMIT,
    REJECTS,
    ROW,
    Manifest,
    make_row,
    pack_text,
    read_manifest,
    read_rows,
    shard_path,
    waveform_digest,
)
from precordial.ecg import Ecg, Flag
from precordial.errors import ArchiveError
from precordial.files import append_durably, hold_folder, write_atomic

Rules = Literal["paper", "authors-code"]
Key = tuple[str, int, int]  # source file, size, modification time: how a finished file is known again


@dataclass(frozen=True)
class Taken:
    """An ECG ready to be stored.

    Attributes:
        ecg_id: 16 hex digits.
        units: (8, samples) int16.
        uv_per_unit: µV of one unit.
        flags: see `Flag`.
        ecg: the rest of what the file said; its signal is not looked at.
        file_rate: Hz in the file.
        key: how the file is known again.
    """

    ecg_id: str
    units: NDArray[np.int16]
    uv_per_unit: float
    flags: Flag
    ecg: Ecg
    file_rate: float
    key: Key


@dataclass(frozen=True)
class Rejected:
    """A file that is not taken: a reason of `precordial.errors.REASONS`, and what was wrong."""

    reason: str
    problem: str
    key: Key


def to_units(ecg: Ecg) -> tuple[NDArray[np.int16], float, Flag]:
    """An ECG's samples as 16-bit integers.

    The file's own integers are kept where all leads share one gain and nothing was resampled; else one
    unit is 1 µV.

    Returns:
        (8, samples) int16, µV per unit, and the flags (`Flag.CLIPPED` where 16 bits did not suffice).
    """
    microvolts = ecg.signal.astype(np.float64) * 1000
    scale = ecg.uv_per_unit or 1.0
    units = microvolts / scale
    whole = np.rint(units)
    if scale != 1.0 and np.abs(units - whole).max() > 0.01:  # leads derived by halves are no longer integers
        scale, whole = 1.0, np.rint(microvolts)
    clipped = np.clip(whole, -32768, 32767)
    flags = ecg.flags | (Flag.CLIPPED if (clipped != whole).any() else Flag(0))
    return clipped.astype(np.int16), scale, flags


class ArchiveWriter:
    """The one process that may append to an archive; a context manager.

    Args:
        path: folder of the archive, made if absent.
        rate, samples: of a new archive, or what an existing one must have.
        rules: by which files are rejected, likewise.

    Raises:
        PrecordialError: another process is writing, or the archive has another rate or length.
    """

    def __init__(self, path: Path, *, rate: int, samples: int, rules: Rules = "paper") -> None:
        self.path = path
        (path / "signals").mkdir(parents=True, exist_ok=True)
        self._lock = hold_folder(path, "writing to this archive")
        try:
            if not (path / "archive.json").exists():
                manifest = Manifest(rate=rate, samples=samples, rules=rules, made_by=f"precordial {__version__}")
                write_atomic(path / "archive.json", manifest.model_dump_json(indent=1) + "\n")
            self.manifest = read_manifest(path)
            if (self.manifest.rate, self.manifest.samples) != (rate, samples):
                raise ArchiveError(
                    f"the archive holds {self.manifest.samples} samples at {self.manifest.rate} Hz, "
                    f"not {samples} at {rate} Hz",
                    file=path,
                    remedy="an archive keeps the rate of its creation: use another folder for another rate",
                )
            if self.manifest.rules != rules:
                raise ArchiveError(
                    f"files were taken into this archive by the rules '{self.manifest.rules}', not '{rules}'",
                    file=path,
                    remedy="use another folder for other rules",
                )
            self._cut_torn_tail()
            self.keys = self._known_keys()
        except BaseException:
            self._lock.close()
            raise
        self._signals: list[NDArray[np.int16]] = []
        self._rows: list[bytes] = []
        self._text = b""
        self._rejects: list[bytes] = []
        self._committing = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # A commit that Ctrl-C broke off is not made again, or it would stand there twice; its tail will be cut.
            if (kind is None or issubclass(kind, KeyboardInterrupt)) and not self._committing:
                self.commit()
        finally:
            self._lock.close()

    @property
    def count(self) -> int:
        """ECGs acknowledged so far."""
        return self._count

    def add(self, taken: Taken) -> Taken | Rejected:
        """Queue one ECG; the next `commit` acknowledges it. One whose content is there already comes back rejected."""
        if taken.ecg_id in self._ids:
            return Rejected("duplicate", "an ECG with the same content is already in the archive", taken.key)
        ecg = taken.ecg
        texts = {
            "patient_id": ecg.patient_id,
            "source": taken.key[0],
            "device": ecg.device,
            "format": ecg.source,
        }
        text = pack_text(texts)
        row = make_row(
            self._text_size + len(self._text),
            text,
            ecg_id=taken.ecg_id.encode(),
            waveform=waveform_digest(taken.units),
            recorded_at=np.datetime64("NaT") if ecg.recorded_at is None else np.datetime64(ecg.recorded_at, "s"),
            uv_per_unit=taken.uv_per_unit,
            age=np.nan if ecg.age is None else ecg.age,
            sex=-1 if ecg.sex is None else int(ecg.sex == "female"),
            flags=int(taken.flags),
            file_rate=taken.file_rate,
            file_size=taken.key[1],
            file_time=taken.key[2],
        )
        self._signals.append(taken.units)
        self._rows.append(row.tobytes())
        self._text += text
        self._ids.add(taken.ecg_id)
        self.keys.add(taken.key)
        if len(self._rows) >= COMMIT:
            self.commit()
        return taken

    def reject(self, rejected: Rejected) -> None:
        """Queue one file that is not taken."""
        source, size, modified = rejected.key
        row = {
            "source": source,
            "reason": rejected.reason,
            "problem": rejected.problem,
            "size": size,
            "time": modified,
        }
        self._rejects.append(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        self.keys.add(rejected.key)
        if len(self._rejects) >= COMMIT:
            self.commit()

    def commit(self) -> None:
        """Put everything queued on disk; when this returns, a kill cannot lose it."""
        self._committing = True
        if self._rejects:
            append_durably(self.path / REJECTS, b"".join(self._rejects))
            self._rejects = []
        if self._rows:
            self._commit_rows()
        self._committing = False

    def _commit_rows(self) -> None:
        start, size = self._count, self.manifest.shard
        for shard in range(start // size, (start + len(self._rows) - 1) // size + 1):
            first, last = max(start, shard * size) - start, (shard + 1) * size - start
            data = np.stack(self._signals[first:last]).astype("<i2", copy=False)
            append_durably(shard_path(self.path, shard), data.tobytes())
        append_durably(self.path / "text.bin", self._text)
        append_durably(self.path / "index.bin", b"".join(self._rows))
        self._count += len(self._rows)
        self._text_size += len(self._text)
        self._signals, self._rows, self._text = [], [], b""

    def _cut_torn_tail(self) -> None:
        rows = read_rows(self.path, self.manifest)
        self._count = len(rows)
        self._text_size = int(rows[-1]["text_at"]) + int(rows[-1]["text_length"]) if len(rows) else 0
        self._ids = set(rows["ecg_id"].astype("U16").tolist())
        size, ecg_bytes = self.manifest.shard, self.manifest.ecg_bytes
        _truncate(self.path / "index.bin", self._count * ROW.itemsize)
        _truncate(self.path / "text.bin", self._text_size)
        for path in sorted((self.path / "signals").glob("*.i16")):
            held = min(max(self._count - int(path.stem) * size, 0), size)
            _truncate(path, held * ecg_bytes)
        rejects = self.path / REJECTS
        if rejects.exists():
            _truncate(rejects, rejects.read_bytes().rfind(b"\n") + 1)

    def _known_keys(self) -> set[Key]:
        from precordial.archive.archive import Archive

        archive = Archive(self.path)
        sources = [text["source"] for text in archive.texts()]
        sizes, times = archive.index["file_size"].tolist(), archive.index["file_time"].tolist()
        known: set[Key] = set(zip(sources, sizes, times, strict=True))
        return known | {(row["source"], row["size"], row["time"]) for row in archive.rejects()}


def _truncate(path: Path, size: int) -> None:
    if path.exists() and path.stat().st_size > size:
        with path.open("r+b") as file:
            file.truncate(size)
            os.fsync(file.fileno())
