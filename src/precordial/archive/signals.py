"""The samples in an archive's shards: whole ECGs or a piece of each, compared with their digests."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from precordial.archive.codecs import CODECS
from precordial.archive.layout import Manifest, Rows, damaged, map_bytes, shard_path


class Signals:
    """The shards of an archive, memory-mapped, and which of their ECGs have been compared with their digests.

    Args:
        folder: of the archive.
        manifest: of the archive.
        index: its rows.
    """

    def __init__(self, folder: Path, manifest: Manifest, index: Rows) -> None:
        self.folder, self.manifest, self.index = folder, manifest, index

    @cached_property
    def _shards(self) -> list[NDArray[np.uint8]]:
        """The bytes of each shard."""
        shards = range(-(-len(self.index) // self.manifest.shard))
        return [map_bytes(shard_path(self.folder, shard, self.manifest.codec)) for shard in shards]

    @cached_property
    def _compared(self) -> NDArray[np.bool_]:
        """Of each row, whether it was found to be as it was written; a byte an ECG."""
        return np.zeros(len(self.index), bool)

    def read(
        self,
        rows: NDArray[np.integer[Any]],
        out: NDArray[np.int16],
        starts: NDArray[np.integer[Any]] | None = None,
        *,
        every_time: bool = True,
    ) -> None:
        """Read some ECGs, or the piece of each that begins at its start.

        Args:
            rows: (n,) rows, in any order, also repeated.
            out: (n, leads, samples) to read into; its last axis is the length of the pieces.
            starts: (n,) first sample of each piece; by default 0.
            every_time: compare each ECG with its digest, and not only where this object has not done so before.

        Raises:
            ArchiveError: the samples of one are damaged.
        """
        index, size, raw = self.index, self.manifest.shard, self.manifest.codec == "raw"
        shards, shape, decode = self._shards, self.manifest.shape, CODECS[self.manifest.codec].decode
        compared, digest = self._compared, xxh3_64_intdigest
        places, wanted = index["signal_at"][rows], index["waveform"][rows].tolist()
        ends = (places + index["signal_length"][rows]).tolist()
        firsts = [0] * len(rows) if starts is None else starts.tolist()
        length = out.shape[2]
        decoded = np.empty(shape, np.int16)
        for to, row, place, end, first, one in zip(
            out, rows.tolist(), places.tolist(), ends, firsts, wanted, strict=True
        ):
            data = shards[row // size][place:end]
            try:
                if raw:  # taken from the map where it lies
                    whole = data.view("<i2").reshape(shape)
                else:
                    whole = decoded
                    decode(data, decoded.view(np.uint8).reshape(-1))
                good = (compared[row] and not every_time) or digest(whole.data) == one
            except ValueError:
                good = False
            if not good:
                raise damaged(
                    shard_path(self.folder, row // size, self.manifest.codec),
                    f"the samples of ECG {int(index['ecg_id'][row]):016x} do not match their digest",
                )
            compared[row] = True
            to[...] = whole[:, first : first + length]
