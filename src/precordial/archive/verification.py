"""Proving that an archive holds what was put into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from precordial.archive.archive import Archive
from precordial.archive.layout import LOGGED, read_manifest, shard_path
from precordial.archive.log import read_log
from precordial.errors import ArchiveError


@dataclass(frozen=True)
class Verification:
    """What `verify` found.

    Attributes:
        ecgs: ECGs looked at.
        damaged: ids of ECGs whose samples do not match their digest.
        faults: what else is damaged, one line each.
        torn: bytes of an interrupted write; the next ingest cuts them, and nothing acknowledged is lost.
    """

    ecgs: int
    damaged: tuple[str, ...]
    faults: tuple[str, ...]
    torn: int

    @property
    def ok(self) -> bool:
        """Whether everything is as it was written."""
        return not self.damaged and not self.faults


def verify(path: str | Path, *, progress: Callable[[int, int], None] | None = None) -> Verification:
    """Compare everything in an archive with its digests: manifest, commits, index, texts, rejects and samples.

    Args:
        path: folder of the archive.
        progress: called with (ECGs done, ECGs in all).

    Raises:
        ArchiveError: there is no archive.
    """
    folder = Path(path)
    if not (folder / "archive.json").is_file():
        read_manifest(folder)  # says that there is none
    try:
        manifest, log = read_manifest(folder), read_log(folder)
    except ArchiveError as error:  # without these two nothing else can be told apart
        return Verification(0, (), (str(error),), 0)
    faults = {}
    for name in LOGGED:
        try:
            log.bytes(name)
        except ArchiveError as error:
            faults[name] = str(error)
    if "rows" in faults:  # where the samples lie is not known then
        return Verification(log.count, (), tuple(faults.values()), log.torn)
    archive, damaged = Archive(folder), []
    for k in range(len(archive)):
        try:
            archive.units(np.array([k]))
        except ArchiveError:
            damaged.append(str(archive.ids[k]))
        if progress and (k % 256 == 255 or k == len(archive) - 1):
            progress(k + 1, len(archive))
    torn = log.torn + sum(_behind(log.path(name), log.end(name)) for name in LOGGED)
    shard = (len(archive) - 1) // manifest.shard  # the one that grows; −1 where there is none yet
    if len(archive):
        last = archive.index[-1]
        torn += _behind(shard_path(folder, shard, manifest.codec), int(last["signal_at"] + last["signal_length"]))
    torn += _behind(shard_path(folder, shard + 1, manifest.codec), 0)
    return Verification(len(archive), tuple(damaged), tuple(faults.values()), torn)


def _behind(path: Path, end: int) -> int:
    """Bytes of a file behind its valid end."""
    return max(path.stat().st_size - end, 0) if path.exists() else 0
