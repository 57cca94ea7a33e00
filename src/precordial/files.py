"""Writing files so that a kill leaves either the old file or the whole new one, never half of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from precordial.errors import PrecordialError


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write a file under a temporary name, flush it to disk, and rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with temporary.open("wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


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
