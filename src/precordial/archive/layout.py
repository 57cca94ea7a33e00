"""What an archive looks like on disk.

::

    DIR/archive.json        manifest: version, rate, samples, leads, codec, ECGs per shard
    DIR/signals/00000.i16   ECGs one after the other, each (lead, sample) little-endian int16; .pco where compressed
    DIR/index.bin           one fixed-width row per ECG, `ROW`
    DIR/text.bin            one line per ECG: its patient id, source file, device, site, format
    DIR/rejects.jsonl       one line per file or ECG that was not taken, with its reason
    DIR/files.bin           the digest of each finished file, by which it is known again
    DIR/commits.bin         one record per commit, `RECORD`: how far each of these files is valid, and its digests

Everything is append-only. A commit flushes the files before the record that vouches for them, so what the last
record spans is complete; anything behind it is the torn tail of a kill, and is cut when next written to.
Nothing but the shards grows with the length of an ECG.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from xxhash import xxh3_64_intdigest

from precordial.ecg import EIGHT
from precordial.errors import ArchiveError

VERSION = 2
SHARD = 16384  # ECGs in one file: 1.3 GB at 500 Hz × 10 s, small enough to copy, large enough to be few
COMMIT = 512  # ECGs in one commit, about: what a kill can cost

Rules = Literal["paper", "authors-code"]
Windows = Literal["first", "every"]
CodecName = Literal["raw", "pco"]
Rows = NDArray[np.void]

# All fields are aligned, so that a column of the memory-mapped index is as fast as an array of its own.
ROW = np.dtype(
    [
        ("ecg_id", "<u8"),  # digest of the file's bytes: the same on every machine, whatever the order
        ("waveform", "<u8"),  # digest of the stored samples: the checksum, and what the leakage guard compares
        ("file_key", "<u8"),  # digest of the file's path, size and time
        ("recorded_at", "<M8[s]"),
        ("uv_per_unit", "<f8"),
        ("signal_at", "<u8"),  # byte in its shard
        ("text_at", "<u8"),
        ("signal_length", "<u4"),
        ("text_length", "<u4"),
        ("flags", "<u4"),
        ("sex", "<i4"),  # 1 female, 0 male, −1 unknown
        ("age", "<f4"),
        ("file_rate", "<f4"),
        ("mains_uv", "<f4"),
        ("wander_uv", "<f4"),
    ]
)

# The files that a commit vouches for, in the order in which it writes them; "signals" follow from the rows.
REJECTS = "rejects.jsonl"
LOGGED = {"text": "text.bin", "rows": "index.bin", "rejects": REJECTS, "files": "files.bin"}
COMMITS = "commits.bin"
RECORD = np.dtype(
    [
        *((f"{name}_end", "<u8") for name in LOGGED),  # bytes of each file that are valid
        *((f"{name}_digest", "<u8") for name in LOGGED),  # of the bytes since the record before
        ("crc", "<u4"),  # of this record
    ]
)
TEXTS = ("patient_id", "source", "device", "site", "format")
SEPARATOR = "\x1f"
_UNWANTED = str.maketrans(dict.fromkeys(f"{SEPARATOR}\n\r", " "))


class Manifest(BaseModel):
    """archive.json; what it says holds for every ECG of the archive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str = "precordial-archive"
    format_version: int = VERSION
    rate: int = 500
    samples: int = 5000
    leads: tuple[str, ...] = EIGHT
    shard: int = SHARD
    codec: CodecName = "raw"
    rules: Rules = "paper"  # by which files were rejected, see `ingest`
    windows: Windows = "first"  # whether the first ten seconds of a recording are kept, or every ten
    key: str = ""  # fingerprint of the key by which it is pseudonymised; empty: it is not
    made_by: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """(leads, samples) of each ECG."""
        return len(self.leads), self.samples

    @property
    def ecg_bytes(self) -> int:
        """Bytes of one ECG, uncompressed."""
        return 2 * len(self.leads) * self.samples

    def text(self) -> str:
        """As it stands in archive.json, with a digest of itself."""
        values = self.model_dump(mode="json")
        return json.dumps({**values, "digest": _digest(values)}, indent=1) + "\n"


def _digest(values: dict[str, Any]) -> str:
    return f"{xxh3_64_intdigest(json.dumps(values, sort_keys=True).encode()):016x}"


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
        values = json.loads(path.read_text())
        version = int(values["format_version"])
        if version == VERSION and values.pop("digest", None) == _digest(values):
            return Manifest.model_validate(values)
    except (ValueError, ValidationError, LookupError, TypeError, AttributeError):
        version = VERSION
    if version != VERSION:
        remedy = "use a newer precordial" if version > VERSION else "ingest the files again into a new archive"
        raise ArchiveError(
            f"the archive has format version {version}, this program reads {VERSION}", file=path, remedy=remedy
        )
    raise ArchiveError("the manifest is damaged", file=path, remedy="restore it from a copy")


def shard_path(folder: Path, shard: int, codec: CodecName) -> Path:
    """File that holds shard number `shard`."""
    return folder / "signals" / f"{shard:05d}.{'i16' if codec == 'raw' else codec}"


def waveform_digest(units: NDArray[np.int16]) -> int:
    """64-bit digest (XXH3) of an ECG's stored samples, (leads, samples) int16."""
    return xxh3_64_intdigest((units if units.flags.c_contiguous else np.ascontiguousarray(units)).data)


def pack_text(values: dict[str, str | None]) -> bytes:
    """The texts of one row as a line."""
    return (SEPARATOR.join((values.get(name) or "").translate(_UNWANTED) for name in TEXTS) + "\n").encode()


def unpack_text(line: bytes) -> dict[str, str]:
    """The texts of one row; empty where unknown."""
    return dict(zip(TEXTS, line.decode().rstrip("\n").split(SEPARATOR), strict=True))


def record_crc(record: bytes) -> int:
    """Checksum of a commit's record, whose own last field is left out."""
    return zlib.crc32(record[: -RECORD["crc"].itemsize])


def map_bytes(path: Path) -> NDArray[np.uint8]:
    """A file's bytes, memory-mapped; none where there is no file."""
    if not path.exists() or path.stat().st_size == 0:
        return np.zeros(0, np.uint8)
    return np.asarray(np.memmap(path, np.uint8, mode="r"))


def damaged(path: Path, what: str) -> ArchiveError:
    """The error of a file that is not as it was written."""
    return ArchiveError(
        f"the archive is damaged here: {what}",
        file=path,
        remedy="restore this file from a copy, or ingest the files again into a new archive",
    )
