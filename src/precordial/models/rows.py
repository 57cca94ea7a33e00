"""Random draws by sample: a process that has some rows of a batch draws for them what one process would.

A training over several processes (`precordial.training.distributed`) gives each of them some rows of every batch. All
draw for the whole batch, from the same seed, and each takes its rows; so dropout, crops and augmentations are those of
a training in one process. With one process nothing is drawn but what is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


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


def drawn(count: int, draw: Callable[[int], Tensor]) -> Tensor:
    """What `draw` gives for the `count` samples of this process.

    Args:
        count: samples here; or a multiple of them, in a layer where each ECG has several rows.
        draw: how many → a tensor with so many rows, drawn from torch's global generator.
    """
    return draw(count) if _rows is None else _rows.drawn(count, draw)


class RowDropout(nn.Dropout):
    """`nn.Dropout` for some rows of a batch: of the mask that one process would draw, to the last bit, their part."""

    def forward(self, x: Tensor) -> Tensor:
        """Drop."""
        if not self.training:
            return x
        layout = sorted(range(x.ndim), key=x.stride, reverse=True)  # dropout draws in the order of the memory

        def mask(count: int) -> Tensor:
            ones = torch.empty_permuted((count, *x.shape[1:]), layout, dtype=x.dtype, device=x.device).fill_(1)
            return F.dropout(ones, self.p)

        return x * drawn(len(x), mask)
