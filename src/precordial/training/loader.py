"""Batches from the archive: integers from the memory map, turned into millivolts on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from precordial.archive import Archive
from precordial.ecg import InputSpec


@dataclass(frozen=True)
class Examples:
    """ECGs with their labels, as a training or an evaluation goes through them.

    Attributes:
        archive: where the signals are.
        rows: (n,) archive row of each example.
        truth: (n, targets) float32 labels.
        extra: (n, values) float32 of what the model reads beside the ECG, NaN where unknown; None: nothing.
    """

    archive: Archive
    rows: NDArray[np.int64]
    truth: NDArray[np.float32]
    extra: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.rows)


def split_batches(order: NDArray[np.int64], batch: int) -> list[NDArray[np.int64]]:
    """Cut an order into batches; a last one of a single ECG joins the one before it, for batch norm's sake."""
    cuts = list(range(batch, len(order), batch))
    if cuts and len(order) - cuts[-1] == 1:
        cuts.pop()
    return np.split(order, cuts)


class Batch(NamedTuple):
    """Examples on the device.

    Attributes:
        inputs: (batch, 8, model_samples) prepared.
        truth: (batch, targets).
        extra: (batch, values) beside the ECG, or None.
    """

    inputs: Tensor
    truth: Tensor
    extra: Tensor | None


def batches(
    examples: Examples,
    parts: list[NDArray[np.int64]],
    spec: InputSpec,
    device: torch.device,
    change: Callable[[int, Tensor], Tensor] | None = None,
) -> Iterator[Batch]:
    """The examples of each part, read one batch ahead.

    Args:
        examples, parts, spec, device: what is read, in which parts, for which model and where.
        change: what becomes of the millivolts of a part, given its number, before they are prepared.
    """

    def read(part: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
        rows = examples.rows[part]
        units = torch.from_numpy(examples.archive.units(rows))
        scale = torch.from_numpy(examples.archive.millivolts_per_unit(rows))
        return units, scale, torch.from_numpy(examples.truth[part])

    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(read, parts[0]) if parts else None
        for number in range(len(parts)):
            assert ahead is not None
            units, scale, truth = ahead.result()
            if number + 1 < len(parts):
                ahead = reader.submit(read, parts[number + 1])
            millivolts = units.to(device).float() * scale.to(device)[:, None, None]
            if change:
                millivolts = change(number, millivolts)
            extra = None if examples.extra is None else torch.from_numpy(examples.extra[parts[number]]).to(device)
            yield Batch(spec.prepare(millivolts), truth.to(device), extra)
