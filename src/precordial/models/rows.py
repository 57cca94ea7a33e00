"""Random draws by sample: a process that has some rows of a batch draws for them what one process would.

A training over several processes (`precordial.training.distributed`) gives each of them some rows of every batch. All
draw for the whole batch, from the same seed, and each takes its rows; so dropout, crops and augmentations are those of
a training in one process. With one process nothing is drawn but what is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """The rows of a batch that this process has.

    Attributes:
        first, last: the first one and the one behind the last.
        total: how many the whole batch has.
    """

    first: int
    last: int
    total: int

    def drawn(self, count: int, draw: Callable[[int], Tensor]) -> Tensor:
        """As the function `drawn`, for these rows."""
        each = count // (self.last - self.first) if self.last > self.first else 1
        return draw(self.total * each)[self.first * each : self.last * each]


_rows: Rows | None = None


@contextmanager
def having(rows: Rows | None) -> Iterator[None]:
    """Within the block the network's batch is these rows of a larger one; None: it is a whole batch."""
    global _rows
    before, _rows = _rows, rows
    try:
        yield
    finally:
        _rows = before


def is_whole() -> bool:
    """Whether the network's batch is a whole one."""
    return _rows is None


def drawn(count: int, draw: Callable[[int], Tensor]) -> Tensor:
    """What `draw` gives for the `count` samples of this process.

    Args:
        count: samples here; or a multiple of them, in a layer where each ECG has several rows.
        draw: how many → a tensor with so many rows, drawn from torch's global generator.
    """
    return draw(count) if _rows is None else _rows.drawn(count, draw)
