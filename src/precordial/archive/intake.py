"""Files into an archive: recursive, parallel, resumable, and never stopped by a bad file."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from precordial.archive.archive import Archive
from precordial.archive.cluster import parts
from precordial.archive.copying import copy_into
from precordial.archive.details import Details
from precordial.archive.find import check_sources, count_files, find_files
from precordial.archive.layout import CodecName, Manifest, Rules, Windows, read_manifest
from precordial.archive.reading import FileReading
from precordial.archive.spool import Place, Results, Slot, Spool, put
from precordial.archive.taken import Rejected, SourceFile, Taken
from precordial.archive.writer import ArchiveWriter
from precordial.ecg import SECONDS
from precordial.errors import ArchiveError
from precordial.processes import AHEAD, in_batches, in_order

if TYPE_CHECKING:
    from precordial.archive.pseudonyms import Pseudonyms

CHUNK = 16  # files a worker takes at a time: large enough to hide the hand-over, small enough to share evenly
LARGE = 32 << 20  # bytes from which on a file is asked whether it holds so many ECGs that it is read in spans

Engine = Literal["local", "ray"]
Finish = Callable[[Taken | Rejected], Taken | Rejected]


@dataclass(frozen=True)
class IngestSummary:
    """What one call of `ingest` did.

    Attributes:
        added: ECGs put into the archive.
        skipped: files that an earlier call had finished.
        rejected: files, or ECGs in them, not taken, by reason (see `precordial.errors.REASONS`).
        total: ECGs in the archive now.
        seconds: how long it took.
    """

    added: int
    skipped: int
    rejected: dict[str, int] = field(default_factory=dict)
    total: int = 0
    seconds: float = 0.0


class Preset(Protocol):
    """What a data set's own tables know of its recordings."""

    def wanted(self, name: str) -> bool:
        """Whether a file is to be read."""

    def __call__(self, source: str) -> Details | None:
        """What is known of the ECG from a source; None: nothing."""


@dataclass(frozen=True)
class Job:
    """A file, or a span of one, with its key; and, with the last span, the key of the whole file."""

    file: SourceFile
    key: int
    whole: int | None = None

    @property
    def also(self) -> tuple[int, ...]:
        """What is finished with it."""
        return () if self.whole is None else (self.whole,)


def ingest(
    sources: str | Path | Sequence[str | Path],
    archive: str | Path,
    *,
    rate: int | None = None,
    rules: Rules | None = None,
    windows: Windows | None = None,
    codec: CodecName | None = None,
    preset: Preset | None = None,
    pseudonymise: str | Path | None = None,
    engine: Engine = "local",
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> IngestSummary:
    """Read every ECG file under some folders into an archive.

    A file that is no ECG, or an ECG that cannot be used, goes to the archive's rejects with its reason.
    A second call goes on where the first ended; files that are in the archive, or in its rejects, are not
    opened again unless their size or time changed. The result does not depend on the number of workers, nor on
    interruptions.

    Args:
        sources: files or folders, searched recursively.
        archive: folder of the archive; made if absent.
        rate: Hz of the archive, 500 or 100; every ECG is resampled to it where it differs.
            None, here and below: what an archive has that is there already; 500 for a new one.
        rules: by which files are rejected; "paper" for a new archive. The authors' code also
            rejects a file for a faulty Median beat, and squeezes a recording of any length into ten seconds.
        windows: whether a longer recording gives its first ten seconds ("first", for a new archive), or every ten.
        codec: "raw", the default, or "pco": about a quarter of the size, and slower to read.
        preset: what a public set's own tables know, and which of its files are to be read; see
            `precordial.datasets.preset_metadata`.
        pseudonymise: the key file; see `precordial.archive.pseudonyms`. Made if absent.
        engine: "local": processes of this machine; "ray": a Ray cluster that sees the same folders.
        workers: processes; by default one per core. Call `ingest` with more than one from under
            ``if __name__ == "__main__":``, as any program that starts processes.
        progress: called with (files done, files in all).

    Returns:
        An `IngestSummary`.

    Raises:
        ArchiveError: no files at a source, another process writes to the archive, or it was made by other settings.
        PrecordialError: a worker process was killed; what is in the archive stays.
    """
    started, folder = time.monotonic(), Path(archive)
    paths = [Path(path) for path in ([sources] if isinstance(sources, str | Path) else sources)]
    check_sources(paths, archive=folder)  # an archive is not made for nothing
    total = count_files(paths, archive=folder) if progress else 0
    old = read_manifest(folder) if (folder / "archive.json").exists() else Manifest()
    rate = rate or old.rate
    if rate not in (500, 100):
        raise ArchiveError(f"an archive has 500 or 100 Hz, not {rate}", remedy="give one of them as rate")
    names = None
    if pseudonymise:
        from precordial.archive.pseudonyms import Pseudonyms

        # An archive that is there already has its key, or none: a new one would be made for nothing.
        names = Pseudonyms.open(Path(pseudonymise), archive=folder, create=not (folder / "archive.json").exists())
    wanted = Manifest(
        rate=rate,
        samples=rate * SECONDS,
        rules=rules or old.rules,
        windows=windows or old.windows,
        codec=codec or old.codec,
        key=names.fingerprint if names else "",
    )
    with ArchiveWriter(folder, wanted, before_commit=names.save if names else None) as writer:
        reading = FileReading(writer.manifest, names.secret if names else b"")
        files = find_files(paths, archive=folder)
        if names:  # by name they would mostly come by date, and their order would undo the shift of dates
            files = iter(names.shuffled(files))
        todo = Todo(files, reading, writer, preset)
        finish = partial(_finish, preset=preset, names=names)
        tally = Tally(progress, total)
        workers = workers or os.cpu_count() or 1
        if engine == "ray":
            _ingest_on_ray(todo, reading, writer, finish, tally, workers)
        else:
            with closing(_read(todo, reading, folder, workers)) as read:
                for job, results in read:
                    tally.results(writer.add(job.key, [finish(result) for result in results], also=job.also))
                    tally.file(job, todo.passed)
        writer.commit()
        held = writer.count
    rejected = dict(sorted(tally.rejected.items()))
    return IngestSummary(tally.added, todo.skipped, rejected, held, time.monotonic() - started)


def _ingest_on_ray(
    todo: Todo, reading: FileReading, writer: ArchiveWriter, finish: Finish, tally: Tally, workers: int
) -> None:
    # Beside the archive, since what lies there for a while is not pseudonymised.
    folder = writer.path.with_name(f".{writer.path.name}.parts")
    with closing(parts(todo, reading, folder, workers)) as made:
        for jobs, path in made:
            added, rejected = copy_into(writer, Archive(path), change=finish)
            tally.added += added
            tally.results(rejected)
            for job in jobs:
                tally.file(job, todo.passed)


class Tally:
    """What was done so far, and who is told."""

    def __init__(self, progress: Callable[[int, int], None] | None, total: int) -> None:
        self.added, self.rejected, self._done = 0, Counter[str](), 0
        self._progress, self._total = progress, total

    def results(self, results: Iterable[Taken | Rejected]) -> None:
        """Count what came of a file."""
        for result in results:
            if isinstance(result, Rejected):
                self.rejected[result.reason] += 1
            else:
                self.added += 1

    def file(self, job: Job, passed: int) -> None:
        """Count a file, with its last span; and say how many are done, with those that were passed over."""
        self._done += job.whole is not None or job.file.span is None
        if self._progress:
            self._progress(passed + self._done, self._total)


class Todo:
    """The files that are still to be read, found as they are asked for.

    Attributes:
        skipped: files that were finished already, so far.
        passed: these, and files that the preset does not want.
    """

    def __init__(
        self, files: Iterable[SourceFile], reading: FileReading, writer: ArchiveWriter, preset: Preset | None
    ) -> None:
        self.skipped = self.passed = 0
        self._files, self._reading, self._finished, self._preset = files, reading, writer.finished, preset

    def __iter__(self) -> Iterator[Job]:
        for file in self._files:
            key = self._reading.key(file)
            known = key in self._finished
            self.skipped += known
            if known or (self._preset and not self._preset.wanted(file.name)):
                self.passed += 1
                continue
            spans = self._reading.spans(file) if file.size >= LARGE else [file]
            for span in spans:
                own = self._reading.key(span)
                if own not in self._finished:
                    yield Job(span, own, key if span.span and span is spans[-1] else None)


def _finish(result: Taken | Rejected, preset: Preset | None, names: Pseudonyms | None) -> Taken | Rejected:
    """Put in what the set's tables know, and put out what tells who it is."""
    if preset and isinstance(result, Taken):
        details = preset(result.source)
        if details:
            result.ecg = details.applied_to(result.ecg)
        else:
            result = Rejected(result.source, "no-patient-id", "the set's own tables do not have this recording")
    if names and isinstance(result, Taken):
        result.ecg = names.ecg(result.ecg, result.source)
        result.source = names.source(result.source)
    elif names and isinstance(result, Rejected):
        result.source, result.problem = names.rejected(result.source, result.reason)
    return result


def _read(todo: Iterable[Job], reading: FileReading, folder: Path, workers: int) -> Generator[tuple[Job, Results]]:
    """What comes of each file, in the order of the files."""
    jobs = iter(todo)
    first = list(islice(jobs, CHUNK * 2 * workers))
    jobs = chain(first, jobs)
    if workers == 1 or len(first) < CHUNK * 2 * workers:  # starting processes takes longer than a few files
        for job in jobs:
            yield job, reading.read(job.file)
        return
    spool = Spool(folder, AHEAD * workers + 2, CHUNK * reading.manifest.ecg_bytes)
    try:
        chunks = ((chunk, spool.slot(k)) for k, chunk in enumerate(_chunks(jobs)))
        with closing(in_order(partial(_read_chunk, reading=reading), chunks, workers)) as done:
            for chunk in done:
                for job, results, places in chunk:
                    yield job, spool.get(results, places)
    finally:
        spool.remove()


def _chunks(jobs: Iterator[Job]) -> Iterator[list[Job]]:
    """Some files; or one span of a file, which alone holds more ECGs than so many files."""
    for spanned, some in groupby(jobs, key=lambda job: job.file.span is not None):
        yield from in_batches(some, 1 if spanned else CHUNK)


def _read_chunk(work: tuple[list[Job], Slot], reading: FileReading) -> list[tuple[Job, Results, list[Place]]]:
    jobs, slot = work
    results = [reading.read(job.file) for job in jobs]
    bare, places = put([result for one in results for result in one], slot)
    taken = iter(zip(bare, places, strict=True))
    parts = [list(islice(taken, len(one))) for one in results]
    return [(job, [r for r, _ in part], [p for _, p in part]) for job, part in zip(jobs, parts, strict=True)]
