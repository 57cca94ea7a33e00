"""Reading an archive: ECGs by id, batches for training, and the index as a table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from precordial.archive.layout import (
    ROW,
    SEPARATOR,
    TEXTS,
    Rows,
    damaged,
    read_manifest,
    unpack_text,
)
from precordial.archive.log import read_log
from precordial.archive.signals import Signals
from precordial.ecg import Ecg, Flag, Sex
from precordial.errors import ArchiveError

if TYPE_CHECKING:
    import polars as pl

HEX = frozenset("0123456789abcdef")


class Archive:
    """An archive opened for reading.

    Everything stays on disk and is memory-mapped; the archive may grow meanwhile, but this object shows it as
    it was when opened. Whatever is read is compared with its digest, by `read_again` once.

    Args:
        path: folder made by `precordial.ingest`.

    Raises:
        ArchiveError: there is no archive at `path`, or its manifest or index is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest = read_manifest(self.path)
        self.log = read_log(self.path)
        self.index: Rows = self.log.bytes("rows").view(ROW)

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
        """Id of each ECG, 16 hex digits, in archive order."""
        text = self.index["ecg_id"].astype(">u8").tobytes().hex().encode()
        return np.frombuffer(text, "S16").astype("U16")

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.intp], NDArray[np.uint64]]:
        ids = self.index["ecg_id"]
        order = np.argsort(ids, kind="stable")
        return order, ids[order]

    def rows(self, ids: Iterable[str]) -> NDArray[np.int64]:
        """Row number of each id.

        Raises:
            ArchiveError: an id is not in the archive.
        """
        wanted = [str(ecg_id) for ecg_id in ids]
        rows, found = self._find(wanted)
        if not found.all():
            absent = np.flatnonzero(~found)
            raise ArchiveError(
                f"{len(absent)} of {len(wanted)} ECGs are not in the archive, the first is {wanted[int(absent[0])]}",
                file=self.path,
                remedy="ingest them, or build the cohort again from this archive",
            )
        return rows

    def __contains__(self, ecg_id: object) -> bool:
        return bool(self._find([str(ecg_id)])[1][0])

    def _find(self, ids: list[str]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Row number of each id, and whether there is one."""
        digests, good = _numbers(ids)
        order, ordered = self._sorted
        if len(ordered) == 0:
            return np.zeros(len(ids), np.int64), np.zeros(len(ids), bool)
        at = np.minimum(np.searchsorted(ordered, digests), len(ordered) - 1)
        return order[at].astype(np.int64), good & (ordered[at] == digests)

    @cached_property
    def _signals(self) -> Signals:
        return Signals(self.path, self.manifest, self.index)

    def units(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.int16]:
        """Stored integers of some ECGs, (n, 8, samples) int16; times `millivolts_per_unit` they are mV.

        Raises:
            ArchiveError: the samples of one are damaged.
        """
        rows = np.asarray(rows)
        out = np.empty((len(rows), *self.manifest.shape), np.int16)
        self._signals.read(rows, out)
        return out

    def read_again(
        self,
        rows: NDArray[np.integer[Any]],
        out: NDArray[np.int16],
        starts: NDArray[np.integer[Any]] | None = None,
    ) -> None:
        """Stored integers, as `units`, for who reads the same ECGs again and again: into memory that is there already.

        An ECG, also one of which a piece is read, is compared with its digest, whole, where this object has not done
        so before. What damages the file afterwards is not seen.

        Args:
            rows: (n,) rows, in any order, also repeated.
            out: (n, 8, samples) to read into; its last axis is the length of the pieces.
            starts: (n,) first sample of each piece; by default 0.

        Raises:
            ArchiveError: the samples of one are damaged.
        """
        self._signals.read(rows, out, starts, every_time=False)

    def millivolts_per_unit(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """(n,) float32: what one stored unit of each ECG is in mV."""
        scale: NDArray[np.float32] = (self.index["uv_per_unit"][rows] / 1000).astype(np.float32)
        return scale

    def __getitem__(self, ecg_id: str) -> Ecg:
        """The ECG with this id.

        Raises:
            ArchiveError: there is no such ECG, or it is damaged.
        """
        row_number = int(self.rows([ecg_id])[0])
        ecg = self.header(row_number)
        signal = self.units(np.array([row_number]))[0] * np.float32((ecg.uv_per_unit or 1.0) / 1000)
        return replace(ecg, signal=signal, leads=self.manifest.leads)

    def header(self, row: int) -> Ecg:
        """All of the ECG of a row but its signal, which is empty, and has no leads."""
        return self.entry(row)[1]

    def source(self, row: int) -> str:
        """The file that the ECG of a row comes from."""
        return self.entry(row)[0]

    def entry(self, row: int) -> tuple[str, Ecg]:
        """`source` and `header` of a row, whose texts are read and checked once for both."""
        values, text = self.index[row], unpack_text(self._line(row))
        ecg = Ecg(
            signal=np.empty((0, 0), np.float32),
            rate=self.rate,
            leads=(),
            patient_id=text["patient_id"] or None,
            recorded_at=values["recorded_at"].item(),
            age=None if np.isnan(values["age"]) else float(values["age"]),
            sex=_sex(int(values["sex"])),
            device=text["device"] or None,
            site=text["site"] or None,
            uv_per_unit=float(values["uv_per_unit"]),
            flags=Flag(int(values["flags"])),
            source=text["format"],
        )
        return text["source"], ecg

    @cached_property
    def _text(self) -> NDArray[np.uint8]:
        """The texts of all rows, unchecked."""
        return self.log.bytes("text", check=False)

    def _line(self, row: int) -> bytes:
        """The texts of one row, whose commit alone is checked."""
        data, at = self._text, int(self.index["text_at"][row])
        if self.log.wrong_blocks("text", data, around=at):
            raise damaged(self.log.path("text"), f"the texts of ECG {self.ids[row]} do not match their digest")
        return data[at : at + int(self.index["text_length"][row])].tobytes()

    def texts(self) -> list[dict[str, str]]:
        """Patient id, source file, device, site and format of each ECG; empty where unknown."""
        lines = self.log.bytes("text").tobytes().splitlines(keepends=True)
        return [unpack_text(line) for line in lines]

    def table(self) -> pl.DataFrame:
        """The index as a table: one row per ECG, null where unknown; `sex` is 1 for female."""
        import polars as pl

        index = self.index
        sex = index["sex"].astype(float)
        return pl.DataFrame(
            {
                "ecg_id": pl.Series(self.ids, dtype=pl.String),
                **self._text_columns(),
                "recorded_at": pl.Series(index["recorded_at"].astype("datetime64[us]")),
                "age": pl.Series(index["age"].astype(float), nan_to_null=True, dtype=pl.Float64),
                "sex": pl.Series(np.where(sex < 0, np.nan, sex), nan_to_null=True, dtype=pl.Float64),
                "waveform": pl.Series(index["waveform"].astype(np.uint64), dtype=pl.UInt64),
                "flags": pl.Series(index["flags"].astype(np.int64), dtype=pl.Int64),
                "file_rate": pl.Series(index["file_rate"].astype(float), dtype=pl.Float64),
                "mains_uv": pl.Series(index["mains_uv"].astype(float), nan_to_null=True, dtype=pl.Float64),
                "wander_uv": pl.Series(index["wander_uv"].astype(float), nan_to_null=True, dtype=pl.Float64),
            }
        )

    def _text_columns(self) -> dict[str, pl.Series]:
        """patient_id, source, device, site and format of all rows."""
        import polars as pl

        if len(self) == 0:
            return {name: pl.Series(name, [], dtype=pl.String) for name in TEXTS}
        table = pl.read_csv(
            self.log.bytes("text").tobytes(),
            has_header=False,
            new_columns=list(TEXTS),
            separator=SEPARATOR,
            quote_char=None,
            schema_overrides=[pl.String] * len(TEXTS),
        )
        return {name: table[name] for name in TEXTS}

    def rejects(self) -> list[dict[str, str]]:
        """Files, or ECGs in them, that were not taken: source, reason and what was wrong."""
        return [json.loads(line) for line in self.log.bytes("rejects").tobytes().splitlines()]

    def reject_counts(self) -> dict[str, int]:
        """How many were not taken, by reason."""
        return dict(sorted(Counter(row["reason"] for row in self.rejects()).items()))

    @cached_property
    def digest(self) -> str:
        """Digest of the contents, independent of the order in which files came, and of the codec."""
        hasher = blake2b(digest_size=8)
        order, ordered = self._sorted
        hasher.update(f"{self.rate} {self.samples}".encode())
        hasher.update(ordered.tobytes())
        hasher.update(np.ascontiguousarray(self.index["waveform"][order]).tobytes())
        return hasher.hexdigest()


def _numbers(ids: list[str]) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """The digests that ids show, and which of them are ids at all."""
    good = np.array([len(one) == 16 and set(one) <= HEX for one in ids], bool)
    digits = "".join(one if ok else "0" * 16 for one, ok in zip(ids, good.tolist(), strict=True))
    return np.frombuffer(bytes.fromhex(digits), ">u8").astype(np.uint64), good


def _sex(code: int) -> Sex | None:
    if code < 0:
        return None
    return "female" if code == 1 else "male"
