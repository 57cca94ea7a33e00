"""Writing files so that a kill leaves either the old file or the whole new one, never half of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from precordial.errors import PrecordialError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to; afterwards flush it to disk and rename it to `path`.

    A kill in between leaves the temporary file; the next write to the same name takes its place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(path)
        _flush(path.parent)  # or the new name itself might not survive a power cut
    finally:
        temporary.unlink(missing_ok=True)


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write a file so that a kill leaves the old one or the whole new one."""
    with replacing(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def hold_folder(folder: Path, doing: str) -> IO[bytes]:
    """Hold a folder's lock until the returned file is closed; the system lets go of it when the process ends.

    Raises:
        PrecordialError: another process holds it.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / ".lock").open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise PrecordialError(f"another process is {doing}", file=folder, remedy="wait until it has ended") from None
    return file


def append_durably(path: Path, data: bytes) -> None:
    """Append to a file and return once the bytes are on disk."""
    with path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
