"""Sets of 64-bit digests that hold millions in eight bytes each."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

NEW = 1 << 16  # digests kept in a Python set before they are merged into the array


class Digests:
    """A growing set of 64-bit digests: a sorted array, and the newest in a set of their own.

    Args:
        digests: to begin with, in any order.

    >>> known = Digests(np.array([5, 3], np.uint64))
    >>> known.add(7)
    >>> 3 in known, 4 in known, 7 in known, len(known)
    (True, False, True, 3)
    """

    def __init__(self, digests: NDArray[np.uint64]) -> None:
        self._sort(digests)
        self._new: set[int] = set()

    def __contains__(self, digest: int) -> bool:
        if digest in self._new:
            return True
        at = bisect_left(self._ordered, digest)
        return at < len(self._ordered) and self._ordered[at] == digest

    def __len__(self) -> int:
        return len(self._ordered) + len(self._new)

    def add(self, digest: int) -> None:
        """Add one."""
        if digest in self:
            return
        self._new.add(digest)
        if len(self._new) >= NEW:
            new = np.fromiter(self._new, np.uint64, len(self._new))
            self._sort(np.concatenate([np.frombuffer(self._ordered, np.uint64), new]))
            self._new.clear()

    def _sort(self, digests: NDArray[np.uint64]) -> None:
        # A memory view finds single digests four times as fast as NumPy does.
        self._ordered = np.unique(np.asarray(digests, np.uint64)).data.cast("B").cast("Q")
