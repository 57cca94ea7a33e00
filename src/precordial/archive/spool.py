"""Signals from worker processes to the one that writes, through a mapped file: no pickling, no pipe."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from precordial.archive.taken import Rejected, Taken

Results = list[Taken | Rejected]
Place = tuple[int, int] | None  # first byte and length of a result's signal; None: it is in the result


@dataclass(frozen=True)
class Slot:
    """A part of the spool that one chunk of files has for itself: a file, its first byte there, and its bytes."""

    path: Path
    start: int
    size: int


def put(results: Results, slot: Slot) -> tuple[Results, list[Place]]:
    """Move signals into a slot as far as they fit; called by a worker, whose life is that of the spool.

    Returns:
        The results, which are without these signals now, and where they lie.
    """
    memory, at = _worker_map(slot.path), slot.start
    places = list[Place]()
    for result in results:
        place = None
        if isinstance(result, Taken):
            data = memoryview(result.data).cast("B")
            if at + len(data) <= slot.start + slot.size:
                memory[at : at + len(data)] = data
                place, result.data = (at, len(data)), b""
                at += len(data)
            else:
                result.data = bytes(data)  # a view cannot go to another process
        places.append(place)
    return results, places


@cache
def _worker_map(path: Path) -> mmap.mmap:
    return _map(path)


def _map(path: Path) -> mmap.mmap:
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), 0)


class Spool:
    """A file of equal slots, which the processes of one machine see as memory.

    On Linux it is a file without a name, in memory, that ends with this process, however it ends; workers find it
    through ``/proc``. Elsewhere it lies in a folder. Shared memory proper is often limited to a few MB in containers.

    Args:
        folder: for a file with a name, which a kill leaves and the next spool replaces.
        slots: how many chunks may be at work, or done and not yet written.
        size: bytes of each slot.
    """

    def __init__(self, folder: Path, slots: int, size: int) -> None:
        self.slots, self.size = slots, size
        if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
            self._file = os.fdopen(os.memfd_create("precordial"), "wb")
            self.path = Path(f"/proc/{os.getpid()}/fd/{self._file.fileno()}")
        else:
            self.path = folder / ".spool"
            self._file = self.path.open("wb")
        for _ in range(slots):  # written, or memory or a disk that fills up would kill who writes to the map
            self._file.write(bytes(size))
        self._file.flush()
        self._memory = memoryview(_map(self.path))

    def slot(self, number: int) -> Slot:
        """The slot of chunk number `number`; it is free again when that chunk's results are written."""
        return Slot(self.path, number % self.slots * self.size, self.size)

    def get(self, results: Results, places: Sequence[Place]) -> Results:
        """Give results their signals again, which stay valid until their slot is used again."""
        for result, place in zip(results, places, strict=True):
            if place and isinstance(result, Taken):
                result.data = self._memory[place[0] : place[0] + place[1]]
        return results

    def remove(self) -> None:
        """Remove the file."""
        self._file.close()
        if not self.path.is_relative_to("/proc"):
            self.path.unlink()
