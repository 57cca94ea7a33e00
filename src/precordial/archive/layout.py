"""What an archive looks like on disk.

::

    DIR/archive.json        manifest: version, rate, samples, leads, ECGs per shard
    DIR/signals/00000.i16   ECGs one after the other, each (lead, sample) little-endian int16
    DIR/index.bin           one fixed-width row per ECG, `ROW`
    DIR/text.bin            the rows' texts: patient id, source file, device, format
    DIR/rejects.jsonl       one line per file that was not taken, with its reason

Row k of the index belongs to ECG k % `SHARD` of shard k // `SHARD`. Everything is append-only. A commit
flushes signals and texts to disk before the index rows that point at them, so what has a valid index row
is complete; anything after the last valid row is the torn tail of a kill, and is cut when next written to.
"""

from __future__ import annotations

import json
import zlib
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from precordial.ecg import EIGHT
from precordial.errors import ArchiveError

SHARD = 16384  # ECGs in one file: 1.3 GB at 500 Hz × 10 s, small enough to copy, large enough to be few
COMMIT = 512  # ECGs in one commit; what a kill can cost, and what the torn-tail check looks back over

ROW = np.dtype(
    [
        ("ecg_id", "S16"),  # hex digest of the file's bytes: the same on every machine, whatever the order
        (
            "waveform",
            "<u8",
        ),  # digest of the stored samples: the checksum, and what the leakage guard compares
        ("recorded_at", "<M8[s]"),
        ("uv_per_unit", "<f8"),
        ("age", "<f4"),
        ("sex", "i1"),  # 1 female, 0 male, −1 unknown
        ("flags", "<u2"),
        ("file_rate", "<f4"),
        ("text_at", "<u8"),
        ("text_length", "<u4"),
        ("file_size", "<i8"),
        (
            "file_time",
            "<i8",
        ),  # modification time in ns: with size and name, how a finished file is known again
        ("crc", "<u4"),  # of the row before it and its text
    ]
)
REJECTS = "rejects.jsonl"
TEXTS = ("patient_id", "source", "device", "format")
_SEPARATOR = "\x1f"

Rows = NDArray[np.void]


class Manifest(BaseModel):
    """archive.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str = "precordial-archive"
    format_version: int = 1
    rate: int = 500
    samples: int = 5000
    leads: tuple[str, ...] = EIGHT
    shard: int = SHARD
    rules: Literal["paper", "authors-code"] = "paper"  # by which files were rejected, see `ingest`
    made_by: str = ""

    @property
    def ecg_bytes(self) -> int:
        """Bytes of one stored ECG."""
        return len(self.leads) * self.samples * 2


def read_manifest(folder: Path) -> Manifest:
    """Read archive.json, or say why this is no archive."""
    path = folder / "archive.json"
    if not path.is_file():
        raise ArchiveError(
            "there is no archive here",
            file=folder,
            remedy="make one with: precordial ingest SOURCE --archive DIR",
        )
    try:
        manifest = Manifest.model_validate(json.loads(path.read_text()))
    except (ValueError, ValidationError):
        raise ArchiveError("the manifest is damaged", file=path, remedy="restore it from a copy") from None
    if manifest.format_version != 1:
        raise ArchiveError(
            f"the archive has format version {manifest.format_version}, this program reads 1",
            file=path,
            remedy="use a newer precordial",
        )
    return manifest


def shard_path(folder: Path, shard: int) -> Path:
    """File that holds shard number `shard`."""
    return folder / "signals" / f"{shard:05d}.i16"


def waveform_digest(units: NDArray[np.int16]) -> int:
    """64-bit digest of an ECG's stored samples."""
    return int.from_bytes(blake2b(np.ascontiguousarray(units, "<i2").data, digest_size=8).digest(), "little")


def pack_text(values: dict[str, str | None]) -> bytes:
    """The texts of one row as bytes."""
    return _SEPARATOR.join((values.get(name) or "").replace(_SEPARATOR, " ") for name in TEXTS).encode()


def unpack_text(data: bytes) -> dict[str, str]:
    """The texts of one row; empty where unknown."""
    return dict(zip(TEXTS, data.decode().split(_SEPARATOR), strict=True))


def row_crc(row: np.void, text: bytes) -> int:
    """Checksum of an index row and its text."""
    return zlib.crc32(text, zlib.crc32(row.tobytes()[: -ROW["crc"].itemsize]))


def make_row(text_at: int, text: bytes, **values: Any) -> Rows:
    """One index row (shape (1,)) with its checksum."""
    row = np.zeros(1, ROW)
    for name, value in values.items():
        row[0][name] = value
    row[0]["text_at"], row[0]["text_length"] = text_at, len(text)
    row[0]["crc"] = row_crc(row[0], text)
    return row


def valid_rows(folder: Path, manifest: Manifest, rows: Rows) -> int:
    """How many index rows stand before a torn tail.

    Only rows at the very end can be torn, and no more than one commit of them; a bad row with good ones behind it
    is damage, which `verify` names and nothing cuts.

    Raises:
        ArchiveError: more is wrong than a kill can do.
    """
    n = len(rows)
    texts = map_bytes(folder / "text.bin")
    while n > 0:
        at, length = int(rows[n - 1]["text_at"]), int(rows[n - 1]["text_length"])
        if row_crc(rows[n - 1], texts[at : at + length].tobytes()) == int(rows[n - 1]["crc"]):
            break
        n -= 1
        if len(rows) - n > COMMIT:
            raise _damaged(folder / "index.bin")
    for shard in range(-(-n // manifest.shard)):
        path = shard_path(folder, shard)
        needed = min(n - shard * manifest.shard, manifest.shard) * manifest.ecg_bytes
        if not path.exists() or path.stat().st_size < needed:
            raise _damaged(path)
    return n


def map_bytes(path: Path) -> NDArray[np.uint8]:
    """A file's bytes, memory-mapped; none where there is no file."""
    if not path.exists() or path.stat().st_size == 0:
        return np.zeros(0, np.uint8)
    return np.memmap(path, np.uint8, mode="r")


def _damaged(path: Path) -> ArchiveError:
    return ArchiveError(
        "the archive is damaged here: less is left than its index says",
        file=path,
        remedy="restore this file from a copy, or ingest the files again into a new archive",
    )


def read_rows(folder: Path, manifest: Manifest) -> Rows:
    """The valid index rows, memory-mapped."""
    path = folder / "index.bin"
    count = path.stat().st_size // ROW.itemsize if path.exists() else 0
    if count == 0:
        return np.zeros(0, ROW)
    rows = np.memmap(path, ROW, mode="r", shape=(count,))
    return rows[: valid_rows(folder, manifest, rows)]
