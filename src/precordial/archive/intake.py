"""Files into an archive: recursive, parallel, resumable, and never stopped by a bad file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import numpy as np

from precordial.archive.layout import Manifest, read_manifest
from precordial.archive.writer import ArchiveWriter, Key, Rejected, Taken, to_units
from precordial.ecg import SECONDS, normalise
from precordial.errors import ArchiveError, PrecordialError, UnusableEcg
from precordial.formats import find_reader, read_ecg
from precordial.processes import in_order

CHUNK = 16  # files a worker takes at a time: large enough to hide the hand-over, small enough to share evenly


@dataclass(frozen=True)
class IngestSummary:
    """What one call of `ingest` did.

    Attributes:
        added: ECGs put into the archive.
        skipped: files that an earlier call had finished.
        rejected: files not taken, by reason (see `precordial.errors.REASONS`).
        total: ECGs in the archive now.
        seconds: how long it took.
    """

    added: int
    skipped: int
    rejected: dict[str, int] = field(default_factory=dict)
    total: int = 0
    seconds: float = 0.0


Job = tuple[Path, Key]
ReadOne = Callable[[Job], Taken | Rejected]


def ingest(
    sources: str | Path | Sequence[str | Path],
    archive: str | Path,
    *,
    rate: int | None = None,
    rules: Literal["paper", "authors-code"] | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> IngestSummary:
    """Read every ECG file under some folders into an archive.

    A file that is no ECG, or an ECG that cannot be used, goes to the archive's rejects with its reason.
    A second call goes on where the first ended; files that are in the archive, or in its rejects, are not
    opened again. The result does not depend on the number of workers, nor on interruptions.

    Args:
        sources: files or folders, searched recursively.
        archive: folder of the archive; made if absent.
        rate: Hz of the archive, 500 or 100; every ECG is resampled to it where it differs, and ten seconds are kept.
            None: what an archive has that is there already, 500 for a new one.
        rules: by which files are rejected; None: as the archive's, "paper" for a new one. The authors' code also
            rejects a file for a faulty Median beat, and squeezes a recording of any length into ten seconds.
        workers: processes; by default one per core. Call `ingest` with more than one from under
            ``if __name__ == "__main__":``, as any program that starts processes.
        progress: called with (files done, files in all).

    Returns:
        An `IngestSummary`.

    Raises:
        ArchiveError: no files at a source, another process writes to the archive, or the archive has another rate.
        PrecordialError: a worker process was killed; what is in the archive stays.
    """
    started = time.monotonic()
    paths = [sources] if isinstance(sources, str | Path) else list(sources)
    jobs = list(find_files([Path(path) for path in paths], archive=Path(archive)))
    old = read_manifest(Path(archive)) if (Path(archive) / "archive.json").exists() else Manifest()
    rate, rules = rate or old.rate, rules or old.rules
    if rate not in (500, 100):
        raise ArchiveError(f"an archive has 500 or 100 Hz, not {rate}", remedy="give one of them as rate")
    added = 0
    rejected: dict[str, int] = {}
    with ArchiveWriter(Path(archive), rate=rate, samples=rate * SECONDS, rules=rules) as writer:
        todo = [job for job in jobs if job[1] not in writer.keys]
        skipped = done = len(jobs) - len(todo)
        read = partial(read_one, rate=rate, authors=rules == "authors-code")
        with closing(_work(todo, read, workers or os.cpu_count() or 1)) as chunks:
            for results in chunks:
                for result in results:
                    if isinstance(result, Taken):
                        result = writer.add(result)
                    if isinstance(result, Rejected):
                        writer.reject(result)
                        rejected[result.reason] = rejected.get(result.reason, 0) + 1
                    else:
                        added += 1
                done += len(results)
                if progress:
                    progress(done, len(jobs))
        writer.commit()
        total = writer.count
    return IngestSummary(added, skipped, dict(sorted(rejected.items())), total, time.monotonic() - started)


def find_files(sources: Sequence[Path], *, archive: Path | None = None) -> Iterator[Job]:
    """Every file to read, sorted by name within its source, with the key by which it is known again.

    Data files of a WFDB header belong to the header, and a header kept as ``.orig`` beside its mended form is
    left alone. Hidden files and the archive itself are not looked at.
    """
    for source in sources:
        if not source.exists():
            raise ArchiveError("there is no such file or folder", file=source, remedy="check the path")
        found = False
        for folder, folders, names in os.walk(source) if source.is_dir() else [_single(source)]:
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            if archive is not None and Path(folder).resolve().is_relative_to(archive.resolve()):
                folders.clear()
                continue
            present = set(names)
            for name in sorted(names):
                stem, _, suffix = name.rpartition(".")
                of_header = suffix in ("dat", "mat") and f"{stem}.hea" in present
                if name.startswith(".") or of_header or (suffix == "orig" and stem in present):
                    continue
                found = True
                path = Path(folder, name)
                status = path.stat()
                relative = path.relative_to(source if source.is_dir() else source.parent).as_posix()
                yield path, (relative, status.st_size, status.st_mtime_ns)
        if not found:
            raise ArchiveError("the folder holds no files", file=source, remedy="give the folder with the ECG files")


def _single(path: Path) -> tuple[str, list[str], list[str]]:
    return str(path.parent), [], [path.name]


def read_one(job: Job, *, rate: int, authors: bool = False) -> Taken | Rejected:
    """Read, check and normalise one file; any fault becomes a reject."""
    path, key = job
    try:
        ecg_id = content_id(path)
        read = read_ecg(path, strict=authors)
        ecg = normalise(read, rate=rate, samples=rate * SECONDS, squeeze=authors)
    except UnusableEcg as error:
        return Rejected(error.reason, error.problem, key)
    except PrecordialError as error:
        return Rejected("unreadable", error.problem, key)
    except OSError as error:
        return Rejected("unreadable", f"the system could not read it ({error.strerror})", key)
    except Exception as error:
        # A fault of the reader. Among 840 000 files one must not stop the run; its name is in the rejects.
        return Rejected("unreadable", f"the reader failed on it ({type(error).__name__})", key)
    units, uv_per_unit, flags = to_units(ecg)
    bare = replace(ecg, signal=np.empty((0, 0), np.float32), leads=())
    return Taken(ecg_id, units, uv_per_unit, flags, bare, read.rate, key)


def content_id(path: Path) -> str:
    """Id of an ECG: 16 hex digits of the digest of its files' bytes (a WFDB record has two)."""
    reader = find_reader(path)
    hasher = blake2b(digest_size=8)
    for file in (path, *(reader.companions(path) if reader else ())):
        hasher.update(file.read_bytes())
    return hasher.hexdigest()


def _read_chunk(jobs: list[Job], read: ReadOne) -> list[Taken | Rejected]:
    return [read(job) for job in jobs]


def _work(jobs: list[Job], read: ReadOne, workers: int) -> Generator[list[Taken | Rejected]]:
    """Results in the order of the jobs, a chunk at a time."""
    chunks = [jobs[i : i + CHUNK] for i in range(0, len(jobs), CHUNK)]
    few = len(chunks) < 2 * workers  # starting processes takes longer than a few files
    return in_order(partial(_read_chunk, read=read), chunks, 1 if few else workers)
