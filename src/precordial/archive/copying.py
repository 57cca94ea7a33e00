"""ECGs from one archive into another: with another codec, or from the shards of many workers into one archive."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import closing
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np

from precordial.archive.archive import Archive
from precordial.archive.codecs import CODECS
from precordial.archive.layout import CodecName
from precordial.archive.taken import Rejected, Taken
from precordial.archive.writer import ArchiveWriter
from precordial.errors import ArchiveError
from precordial.processes import in_order

SPAN = 256  # ECGs that a worker encodes at a time


def convert(
    source: str | Path,
    target: str | Path,
    *,
    codec: CodecName,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write an archive once more with another codec; every sample is compared with its digest on the way.

    The copy has the same ECGs with the same ids and digest, in the same order, the same rejects, and knows the same
    files. It is made beside its final name, under which nothing unfinished ever lies.

    Args:
        source, target: folders; there must be nothing at `target`.
        codec: of the copy.
        workers: processes; by default one per core.
        progress: called with (ECGs done, ECGs in all).

    Returns:
        How many ECGs the copy has.

    Raises:
        ArchiveError: there is something at `target`, or the source is damaged.
    """
    archive, target = Archive(source), Path(target)
    if target.exists():
        raise ArchiveError("there is something here already", file=target, remedy="give a folder that is not there")
    partial_ = target.with_name(f".{target.name}.part")
    shutil.rmtree(partial_, ignore_errors=True)
    try:
        wanted = archive.manifest.model_copy(update={"codec": codec})
        with ArchiveWriter(partial_, wanted) as writer:
            copy_into(writer, archive, workers=workers or os.cpu_count() or 1, progress=progress)
        partial_.replace(target)
    finally:
        shutil.rmtree(partial_, ignore_errors=True)
    return len(archive)


def copy_into(
    writer: ArchiveWriter,
    archive: Archive,
    *,
    change: Callable[[Taken | Rejected], Taken | Rejected] = lambda one: one,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[int, list[Rejected]]:
    """Add all that an archive holds to another: ECGs in their order, rejects, and the files that are finished.

    Args:
        writer: of the other.
        archive: stays as it is.
        change: what is done to each ECG and reject on the way.
        workers: processes that encode.
        progress: called with (ECGs done, ECGs in all).

    Returns:
        How many ECGs were added, and what was not: the archive's rejects, and the ECGs that the other has already.

    Raises:
        ArchiveError: a sample or a text is damaged.
    """
    n, added, rejected, codec = len(archive), 0, list[Rejected](), writer.manifest.codec
    spans = ((archive.path, n, codec, start, min(start + SPAN, n)) for start in range(0, n, SPAN))
    with closing(in_order(_encoded, spans, workers)) as encoded:
        taken = (one for several in encoded for one in several)
        files = groupby(zip(archive.index["file_key"].tolist(), taken, strict=True), key=itemgetter(0))
        for done, (key, ecgs) in enumerate(files):
            results = writer.add(key, [change(ecg) for _, ecg in ecgs])
            refused = [one for one in results if isinstance(one, Rejected)]
            added += len(results) - len(refused)
            rejected += refused
            if progress and done % SPAN == 0:
                progress(writer.count, n)
    old = [change(Rejected(**row)) for row in archive.rejects()]
    others = np.setdiff1d(archive.log.bytes("files").view("<u8"), archive.index["file_key"]).tolist()
    if others:  # at once, since it is not known which of the rejects are of which file
        writer.add(others[0], old, also=others[1:])
    return added, rejected + [one for one in old if isinstance(one, Rejected)]


@lru_cache(maxsize=1)
def _opened(path: Path, ecgs: int) -> Archive:
    """An archive of so many ECGs, kept open by a worker."""
    return Archive(path)


def _encoded(work: tuple[Path, int, CodecName, int, int]) -> list[Taken]:
    """Some ECGs of an archive as another codec stores them."""
    path, ecgs, codec, start, end = work
    archive, encode = _opened(path, ecgs), CODECS[codec].encode
    units = archive.units(np.arange(start, end))
    rows = archive.index[start:end]
    entries = map(archive.entry, range(start, end))
    return [
        Taken(
            ecg_id=int(row["ecg_id"]),
            source=source,
            data=bytes(encode(samples)),  # a view cannot go to another process
            waveform=int(row["waveform"]),
            uv_per_unit=float(row["uv_per_unit"]),
            ecg=ecg,
            file_rate=float(row["file_rate"]),
            mains_uv=float(row["mains_uv"]),
            wander_uv=float(row["wander_uv"]),
        )
        for (source, ecg), row, samples in zip(entries, rows, units, strict=True)
    ]
