"""Reading an archive: ECGs by id, batches for training, and the index as a table."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from precordial.archive.layout import (
    REJECTS,
    Rows,
    map_bytes,
    read_manifest,
    read_rows,
    shard_path,
    unpack_text,
    waveform_digest,
)
from precordial.ecg import Ecg, Flag, Sex
from precordial.errors import ArchiveError

if TYPE_CHECKING:
    import polars as pl


class Archive:
    """An archive opened for reading.

    Signals stay on disk and are memory-mapped; the archive may grow meanwhile, but this object shows it as
    it was when opened.

    Args:
        path: folder made by `precordial.ingest`.

    Raises:
        ArchiveError: there is no archive at `path`, or its manifest is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest = read_manifest(self.path)
        self.index: Rows = read_rows(self.path, self.manifest)

    @property
    def rate(self) -> int:
        """Hz of every ECG in the archive."""
        return self.manifest.rate

    @property
    def samples(self) -> int:
        """Samples of every ECG in the archive."""
        return self.manifest.samples

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def ids(self) -> NDArray[np.str_]:
        """Id of each ECG, in archive order."""
        return self.index["ecg_id"].astype("U16")

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.intp], NDArray[np.str_]]:
        order = np.argsort(self.ids, kind="stable")
        return order, self.ids[order]

    def rows(self, ids: Iterable[str]) -> NDArray[np.int64]:
        """Row number of each id.

        Raises:
            ArchiveError: an id is not in the archive.
        """
        wanted = np.asarray(list(ids), dtype="U16")
        if len(wanted) == 0:
            return np.zeros(0, np.int64)
        order, ordered = self._sorted
        at = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
        absent = wanted[ordered[at] != wanted] if len(ordered) else wanted
        if len(absent):
            raise ArchiveError(
                f"{len(absent)} of {len(wanted)} ECGs are not in the archive, the first is {absent[0]}",
                file=self.path,
                remedy="ingest them, or build the cohort again from this archive",
            )
        return order[at].astype(np.int64)

    def __contains__(self, ecg_id: object) -> bool:
        ordered = self._sorted[1]
        at = int(np.searchsorted(ordered, str(ecg_id)))
        return at < len(ordered) and bool(ordered[at] == ecg_id)

    @cached_property
    def _shards(self) -> list[NDArray[np.int16]]:
        size, leads, samples = self.manifest.shard, len(self.manifest.leads), self.samples
        return [
            np.memmap(
                shard_path(self.path, shard),
                "<i2",
                mode="r",
                shape=(min(size, len(self) - shard * size), leads, samples),
            )
            for shard in range(-(-len(self) // size))
        ]

    def units(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.int16]:
        """Stored integers of some ECGs, (n, 8, samples) int16; times `millivolts_per_unit` they are mV."""
        out = np.empty((len(rows), len(self.manifest.leads), self.samples), np.int16)
        size = self.manifest.shard
        for i, row in enumerate(np.asarray(rows).tolist()):
            out[i] = self._shards[row // size][row % size]
        return out

    def millivolts_per_unit(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """(n,) float32: what one stored unit of each ECG is in mV."""
        scale: NDArray[np.float32] = (self.index["uv_per_unit"][rows] / 1000).astype(np.float32)
        return scale

    def __getitem__(self, ecg_id: str) -> Ecg:
        """The ECG with this id, its checksum verified.

        Raises:
            ArchiveError: there is no such ECG, or its samples are damaged.
        """
        row_number = int(self.rows([ecg_id])[0])
        row = self.index[row_number]
        units = self.units(np.array([row_number]))[0]
        if waveform_digest(units) != int(row["waveform"]):
            raise ArchiveError(
                f"the samples of ECG {ecg_id} are damaged",
                file=shard_path(self.path, row_number // self.manifest.shard),
                remedy="run precordial archive verify, and ingest the file again into a new archive",
            )
        text = unpack_text(self.text_bytes[int(row["text_at"]) :][: int(row["text_length"])].tobytes())
        return Ecg(
            signal=units.astype(np.float32) * np.float32(row["uv_per_unit"] / 1000),
            rate=self.rate,
            leads=self.manifest.leads,
            patient_id=text["patient_id"] or None,
            recorded_at=row["recorded_at"].item(),
            age=None if np.isnan(row["age"]) else float(row["age"]),
            sex=_sex(int(row["sex"])),
            device=text["device"] or None,
            uv_per_unit=float(row["uv_per_unit"]),
            flags=Flag(int(row["flags"])),
            source=text["format"],
        )

    @cached_property
    def text_bytes(self) -> NDArray[np.uint8]:
        """The texts of all rows, as they lie in text.bin."""
        return map_bytes(self.path / "text.bin")

    def texts(self) -> list[dict[str, str]]:
        """Patient id, source file, device and format of each ECG; empty where unknown."""
        data = self.text_bytes.tobytes()
        spans = zip(self.index["text_at"].tolist(), self.index["text_length"].tolist(), strict=True)
        return [unpack_text(data[at : at + length]) for at, length in spans]

    def table(self) -> pl.DataFrame:
        """The index as a table: one row per ECG, null where unknown; `sex` is 1 for female."""
        import polars as pl

        texts = self.texts()
        sex = self.index["sex"].astype(float)
        columns = {
            "ecg_id": self.ids.tolist(),
            "patient_id": [text["patient_id"] or None for text in texts],
            "recorded_at": pl.Series(self.index["recorded_at"].astype("datetime64[us]")),
            "age": pl.Series(self.index["age"].astype(float), nan_to_null=True, dtype=pl.Float64),
            "sex": pl.Series(np.where(sex < 0, np.nan, sex), nan_to_null=True, dtype=pl.Float64),
            "waveform": pl.Series(self.index["waveform"].astype(np.uint64), dtype=pl.UInt64),
            "source": [text["source"] for text in texts],
            "device": [text["device"] or None for text in texts],
            "flags": pl.Series(self.index["flags"].astype(np.int64), dtype=pl.Int64),
            "file_rate": pl.Series(self.index["file_rate"].astype(float), dtype=pl.Float64),
        }
        return pl.DataFrame(
            columns,
            schema_overrides={
                "patient_id": pl.String,
                "device": pl.String,
                "ecg_id": pl.String,
                "source": pl.String,
            },
        )

    def rejects(self) -> list[dict[str, Any]]:
        """Files that were not taken: source, reason and what was wrong."""
        path = self.path / REJECTS
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []  # a torn last line is not one
        return [json.loads(line) for line in lines]

    def reject_counts(self) -> dict[str, int]:
        """How many files were not taken, by reason."""
        counts: dict[str, int] = {}
        for row in self.rejects():
            counts[row["reason"]] = counts.get(row["reason"], 0) + 1
        return dict(sorted(counts.items()))

    @cached_property
    def digest(self) -> str:
        """Digest of the contents, independent of the order in which files came."""
        hasher = blake2b(digest_size=8)
        order, ordered = self._sorted
        hasher.update(f"{self.rate} {self.samples}".encode())
        hasher.update(ordered.astype("S16").tobytes())
        hasher.update(np.ascontiguousarray(self.index["waveform"][order]).tobytes())
        return hasher.hexdigest()


def _sex(code: int) -> Sex | None:
    if code < 0:
        return None
    return "female" if code == 1 else "male"
