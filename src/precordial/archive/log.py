"""The commits of an archive: how far its files are valid, and whether they are as they were written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from precordial.archive.layout import COMMITS, LOGGED, RECORD, ROW, Rows, damaged, map_bytes, record_crc

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Log:
    """The commits of an archive as they were when it was opened.

    Attributes:
        folder: of the archive.
        records: the commits, `RECORD`, in their order.
        torn: bytes behind them, left by a kill.
    """

    folder: Path
    records: Rows
    torn: int

    def end(self, name: str) -> int:
        """Valid bytes of one of the files `LOGGED`."""
        return int(self.records[-1][f"{name}_end"]) if len(self.records) else 0

    @property
    def count(self) -> int:
        """ECGs in the archive."""
        return self.end("rows") // ROW.itemsize

    def path(self, name: str) -> Path:
        """One of the files `LOGGED`."""
        return self.folder / LOGGED[name]

    def bytes(self, name: str, *, check: bool = True) -> Bytes:
        """The valid bytes of a file, memory-mapped.

        Raises:
            ArchiveError: the file is shorter than that, or (with `check`) not as it was written.
        """
        data = map_bytes(self.path(name))[: self.end(name)]
        if len(data) < self.end(name):
            raise damaged(self.path(name), "it is shorter than its commits say")
        wrong = self.wrong_blocks(name, data) if check else []
        if wrong:
            raise damaged(self.path(name), f"bytes {wrong[0][0]} to {wrong[0][1]} do not match their digest")
        return data

    def wrong_blocks(self, name: str, data: Bytes, *, around: int | None = None) -> list[tuple[int, int]]:
        """Spans of a file's bytes that do not match the digest in their commit.

        Args:
            name: one of `LOGGED`.
            data: its bytes.
            around: look only at the block that holds this byte.
        """
        ends, digests = self.records[f"{name}_end"].astype(np.int64), self.records[f"{name}_digest"]
        starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
        some = range(len(ends)) if around is None else [int(np.searchsorted(ends, around, side="right"))]
        spans = ((int(starts[k]), int(ends[k]), int(digests[k])) for k in some)
        return [(a, b) for a, b, digest in spans if xxh3_64_intdigest(data[a:b].data) != digest]


def read_log(folder: Path) -> Log:
    """Read commits.bin.

    What follows the last whole record, or is all zero, is the trace of a kill. A record that does not match its
    checksum is not: it is damage, and nothing is cut for it.

    Raises:
        ArchiveError: a record is damaged.
    """
    path = folder / COMMITS
    data = path.read_bytes() if path.exists() else b""
    whole = data[: len(data) // RECORD.itemsize * RECORD.itemsize]
    size = len(whole)
    while size and not any(whole[size - RECORD.itemsize : size]):
        size -= RECORD.itemsize
    records = np.frombuffer(whole[:size], RECORD)
    for k, crc in enumerate(records["crc"].tolist()):
        if record_crc(whole[k * RECORD.itemsize : (k + 1) * RECORD.itemsize]) != crc:
            raise damaged(path, f"the record of commit {k + 1} does not match its checksum")
    return Log(folder, records, len(data) - size)
