"""Appending to an archive: one writer at a time, commits that survive a kill, and the cut of a torn tail."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from xxhash import xxh3_64_intdigest

from precordial import __version__
from precordial.archive.archive import Archive
from precordial.archive.known import Digests
from precordial.archive.layout import (
    COMMIT,
    COMMITS,
    LOGGED,
    RECORD,
    ROW,
    Manifest,
    damaged,
    pack_text,
    read_manifest,
    record_crc,
    shard_path,
)
from precordial.archive.log import Log, read_log
from precordial.archive.taken import Rejected, Taken
from precordial.errors import ArchiveError
from precordial.files import append_durably, hold_folder, write_atomic


class ArchiveWriter:
    """The one process that may append to an archive; a context manager.

    What is queued takes memory for one commit, whatever the size of the archive; besides, each ECG and each file ever
    taken costs the eight bytes of its digest.

    Args:
        path: folder of the archive, made if absent.
        wanted: settings of a new archive, or what an existing one must have.
        before_commit: called before anything is acknowledged.

    Raises:
        PrecordialError: another process is writing, the archive has other settings, or it is damaged.
    """

    def __init__(self, path: Path, wanted: Manifest, *, before_commit: Callable[[], None] | None = None) -> None:
        self.path, self._before_commit = path, before_commit
        (path / "signals").mkdir(parents=True, exist_ok=True)
        self._lock = hold_folder(path, "writing to this archive")
        self._shard: tuple[int, int] | None = None  # number and file descriptor of the shard that grows
        try:
            if not (path / "archive.json").exists():
                made = wanted.model_copy(update={"made_by": f"precordial {__version__}"})
                write_atomic(path / "archive.json", made.text())
            self.manifest = read_manifest(path)
            check_settings(path, self.manifest, wanted)
            log = read_log(path)
            rows = log.bytes("rows").view(ROW)
            self._count, self._ends = len(rows), {name: log.end(name) for name in LOGGED}
            self._signal_end = _cut_torn_tail(log, self.manifest)
            self._ids = Digests(rows["ecg_id"])
            self.finished = Digests(log.bytes("files").view("<u8"))
        except BaseException:
            self._lock.close()
            raise
        self._queued: dict[str, list[bytes]] = {name: [] for name in LOGGED}
        self._queued_rows = 0
        self._known: Archive | None = None  # opened when it is needed
        self._whole = True  # whether what is queued and what is written fit together

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(self.path)  # of a disk that is full the system does not say which
        try:
            # What Ctrl-C broke off in the middle stays a torn tail; the next writer cuts it.
            if (kind is None or issubclass(kind, KeyboardInterrupt)) and self._whole:
                self.commit()
        finally:
            if self._shard is not None:
                os.close(self._shard[1])
            self._lock.close()

    @property
    def count(self) -> int:
        """ECGs acknowledged so far."""
        return self._count

    def add(
        self, file_key: int, results: Iterable[Taken | Rejected], *, also: Iterable[int] = ()
    ) -> list[Taken | Rejected]:
        """Queue all that came of one file; a later `commit` acknowledges it, in whole or not at all.

        Args:
            file_key: digest by which the file is known again (`finished`).
            results: its ECGs; or why there are none.
            also: keys of further files that are finished with it.

        Returns:
            What was done: an ECG whose content is in the archive already comes back rejected; but one that is there
            from the very same source, whose file was only touched, does not come back.
        """
        self._whole = False
        done = [put for result in results if (put := self._put(result, file_key))]
        for key in (file_key, *also):
            self.finished.add(key)
            self._queued["files"].append(np.uint64(key).tobytes())
        self._whole = True
        if len(self._queued["files"]) >= COMMIT or self._queued_rows >= COMMIT:
            self.commit()
        return done

    def _put(self, result: Taken | Rejected, file_key: int) -> Taken | Rejected | None:
        if isinstance(result, Taken):
            if result.ecg_id not in self._ids:
                self._put_ecg(result, file_key)
                return result
            if self._is_there_from(result):
                return None
            problem = "an ECG with the same content is already in the archive"
            result = Rejected(result.source, "duplicate", problem)
        row = {"source": result.source, "reason": result.reason, "problem": result.problem}
        self._queued["rejects"].append(json.dumps(row, ensure_ascii=False).encode(errors="surrogateescape") + b"\n")
        return result

    def _is_there_from(self, taken: Taken) -> bool:
        """Whether the archive had the ECG, from the same source, when it was first asked."""
        if self._known is None:
            self._known = Archive(self.path)
        ecg_id = f"{taken.ecg_id:016x}"
        return ecg_id in self._known and self._known.source(self._known.rows([ecg_id]).item()) == taken.source

    def _put_ecg(self, taken: Taken, file_key: int) -> None:
        ecg, data = taken.ecg, memoryview(taken.data)
        text = pack_text(
            {
                "patient_id": ecg.patient_id,
                "source": taken.source,
                "device": ecg.device,
                "site": ecg.site,
                "format": ecg.source,
            }
        )
        shard, first = divmod(self._count + self._queued_rows, self.manifest.shard)
        if first == 0:
            self._signal_end = 0
        row = np.array(
            (
                taken.ecg_id,
                taken.waveform,
                file_key,
                np.datetime64("NaT", "s") if ecg.recorded_at is None else np.datetime64(ecg.recorded_at, "s"),
                taken.uv_per_unit,
                self._signal_end,
                self._ends["text"],
                data.nbytes,
                len(text),
                int(ecg.flags),
                -1 if ecg.sex is None else int(ecg.sex == "female"),
                np.nan if ecg.age is None else ecg.age,
                taken.file_rate,
                taken.mains_uv,
                taken.wander_uv,
            ),
            ROW,
        )
        self._write_signal(shard, data)
        self._signal_end += data.nbytes
        self._queued["rows"].append(row.tobytes())
        self._queued["text"].append(text)
        self._ends["text"] += len(text)
        self._queued_rows += 1
        self._ids.add(taken.ecg_id)

    def _write_signal(self, shard: int, data: memoryview) -> None:
        """Append to a shard at once, so that memory holds no signals; the commit makes them durable."""
        if self._shard is None or self._shard[0] != shard:
            if self._shard is not None:
                os.fsync(self._shard[1])
                os.close(self._shard[1])
            path = shard_path(self.path, shard, self.manifest.codec)
            self._shard = (shard, os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666))
        rest = data.cast("B")
        while rest:  # the system may take less than it is given, on a disk that fills up
            rest = rest[os.write(self._shard[1], rest) :]

    def commit(self) -> None:
        """Put everything queued on disk; when this returns, a kill cannot lose it."""
        if not self._queued["files"]:
            return
        self._whole = False
        if self._before_commit:
            self._before_commit()
        if self._shard is not None:
            os.fsync(self._shard[1])
        values = {}
        for name, file in LOGGED.items():
            data = b"".join(self._queued[name])
            if data:
                append_durably(self.path / file, data)
            if name != "text":  # which is counted as it is queued, since the rows say where it lies
                self._ends[name] += len(data)
            values[f"{name}_digest"] = xxh3_64_intdigest(data)
        values |= {f"{name}_end": end for name, end in self._ends.items()}
        record = np.array(tuple(values.get(name, 0) for name in RECORD.names or ()), RECORD)
        record["crc"] = record_crc(record.tobytes())
        append_durably(self.path / COMMITS, record.tobytes())
        self._count += self._queued_rows
        self._queued, self._queued_rows = {name: [] for name in LOGGED}, 0
        self._whole = True


def check_settings(path: Path, manifest: Manifest, wanted: Manifest) -> None:
    """Refuse to mix ECGs that were taken by different settings.

    Raises:
        ArchiveError: the archive has others than are wanted.
    """
    problem, remedy = "", "use another folder: an archive keeps its first settings"
    if (manifest.rate, manifest.samples) != (wanted.rate, wanted.samples):
        problem = f"the archive holds {manifest.samples} samples at {manifest.rate} Hz, "
        problem += f"not {wanted.samples} at {wanted.rate} Hz"
    elif manifest.rules != wanted.rules:
        problem = f"files were taken into this archive by the rules '{manifest.rules}', not '{wanted.rules}'"
    elif manifest.windows != wanted.windows:
        kept = {"first": "the first ten seconds of each recording", "every": "every ten seconds of a recording"}
        problem = f"the archive holds {kept[manifest.windows]}, not {kept[wanted.windows]}"
    elif manifest.codec != wanted.codec:
        problem = f"the archive stores its ECGs by the codec '{manifest.codec}', not '{wanted.codec}'"
    elif manifest.key and not wanted.key:
        problem, remedy = "the archive is pseudonymised, and no key is given", "give its key file by --pseudonymise"
    elif manifest.key and manifest.key != wanted.key:
        problem, remedy = "the archive is pseudonymised by another key", "give the key file that it was made with"
    elif manifest.key != wanted.key:
        problem = "the archive is not pseudonymised"
    if problem:
        raise ArchiveError(problem, file=path, remedy=remedy)


def _cut_torn_tail(log: Log, manifest: Manifest) -> int:
    """Cut what no commit vouches for, and return where the growing shard ends.

    Raises:
        ArchiveError: a file is shorter than its commits say, which no kill can do.
    """
    rows = log.bytes("rows", check=False).view(ROW)
    held = {shard: rows[min((shard + 1) * manifest.shard, len(rows)) - 1] for shard in _shards(len(rows), manifest)}
    ends = {shard: int(row["signal_at"]) + int(row["signal_length"]) for shard, row in held.items()}
    sizes = {shard_path(log.folder, shard, manifest.codec): end for shard, end in ends.items()}
    sizes |= {log.path(name): log.end(name) for name in LOGGED}
    for path, size in sizes.items():
        if size > (path.stat().st_size if path.exists() else 0):
            raise damaged(path, "it is shorter than its commits say")
    for path in (log.folder / "signals").iterdir():
        sizes.setdefault(path, 0)
    sizes[log.folder / COMMITS] = log.records.nbytes
    for path, size in sizes.items():
        _truncate(path, size)
    return ends[max(ends)] if ends else 0


def _shards(count: int, manifest: Manifest) -> range:
    return range(-(-count // manifest.shard))


def _truncate(path: Path, size: int) -> None:
    if path.exists() and path.stat().st_size > size:
        with path.open("r+b") as file:
            file.truncate(size)
            os.fsync(file.fileno())
