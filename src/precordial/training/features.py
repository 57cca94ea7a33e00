"""The features of a frozen body: computed once, in memory or in a file, for a head that is trained on them.

The body of a stage with ``trains = "head"`` in which nothing is awake is a fixed function of the ECG. Where the model
reads whole recordings, a head trained on stored features is the one that would have been trained behind the body, but
for the rounding of sums. Where it reads random crops, features are stored for starts on a grid, and the nearest one to
the start that is drawn is taken: this is another training, and `TrainingRun.cache_features` asks for it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from precordial.errors import PrecordialError
from precordial.models import Network
from precordial.training.loader import Batch, Examples, Numbers, batches, split_batches
from precordial.training.memory import free_bytes
from precordial.training.options import Precision
from precordial.training.precision import autocast
from precordial.training.run import TrainingRun

EVALUATION_BATCH = 128  # ECGs that go through a network at a time when it does not learn
SHARE = 0.25  # of the free memory that features may take; larger ones lie in a file


@dataclass(frozen=True)
class Features:
    """What a body makes of examples.

    Attributes:
        examples: the examples.
        values: (n, pieces, width), on the device, in memory, or in a file that has no name and ends with the process.
        starts: (pieces,) first sample of each piece; None where the only one is the whole recording.
    """

    examples: Examples
    values: Tensor
    starts: NDArray[np.int64] | None

    def drawn(self, parts: list[Numbers], device: torch.device, starts: list[Numbers] | None) -> Iterator[Batch]:
        """Batches for a training: inputs are (batch, width), of the piece that is nearest to each ECG's start."""
        for number, part in enumerate(parts):
            if self.starts is None or starts is None:
                yield self._batch(part, device, 0)
            else:
                yield self._batch(part, device, torch.from_numpy(nearest(self.starts, starts[number])))

    def all(self, parts: list[Numbers], device: torch.device) -> Iterator[Batch]:
        """Batches for an evaluation: inputs are (batch, pieces, width)."""
        for part in parts:
            yield self._batch(part, device, slice(None))

    def _batch(self, part: Numbers, device: torch.device, pieces: int | slice | Tensor) -> Batch:
        place, extra = self.values.device, self.examples.extra
        some = pieces.to(place) if isinstance(pieces, Tensor) else pieces
        return Batch(
            self.values[torch.from_numpy(part).to(place), some].to(device),
            torch.from_numpy(self.examples.truth[part]).to(device),
            None if extra is None else torch.from_numpy(extra[part]).to(device),
        )


def nearest(grid: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which of some ascending starts is the nearest to each of others; of two as near, the earlier one.

    >>> nearest(np.array([0, 125, 250]), np.array([0, 62, 63, 187, 188, 250])).tolist()
    [0, 0, 1, 1, 2, 2]
    """
    return np.searchsorted(grid[:-1] + grid[1:], 2 * starts)


def grid_starts(last: int, step: int) -> NDArray[np.int64]:
    """Starts from 0 to `last`, `step` apart; `last` is among them.

    >>> grid_starts(750, 300).tolist()
    [0, 300, 600, 750]
    """
    return np.append(np.arange(0, last, step), last)


def is_cached(run: TrainingRun, number: int, network: Network) -> bool:
    """Whether the head of stage `number` is trained on stored features.

    A running mean of the weights is validated with a body of its own, which stands still only where no stage has
    trained the body before.
    """
    before = run.stages[:number] if run.ema else ()
    if not run.stages[number].body_is_fixed or any(other.trains == "all" for other in before):
        return False
    return network.crops is None if run.cache_features == "auto" else run.cache_features


def make_features(
    network: Network, examples: Examples, place: torch.device, precision: Precision, folder: Path, grid: int | None
) -> Features:
    """Compute the features of examples; the network is in evaluation mode afterwards.

    Args:
        network: whose body.
        examples: the ECGs.
        place: where the network is.
        precision: in which the body computes; what it gives is stored as it is.
        folder: for a file, where memory does not suffice.
        grid: samples between the starts of crops, in a training; None: the crops of an evaluation.

    Raises:
        ArchiveError: the samples of an ECG are damaged.
        PrecordialError: no room for the file.
    """
    network.eval()
    crops, starts = network.crops, None
    if crops is not None:
        total = network.spec.model_samples
        starts = np.array(crops.starts(total)) if grid is None else grid_starts(total - crops.samples, grid)
    parts = split_batches(np.arange(len(examples)), EVALUATION_BATCH)
    values: Tensor | None = None
    for part, batch in zip(parts, batches(examples, parts, network.spec, place), strict=True):
        with torch.no_grad(), autocast(precision, place):
            if starts is None:
                some = network.body(batch.inputs)[:, None]
            else:
                some = network.crop_features(batch.inputs, starts.tolist())
        if values is None:
            values = _room((len(examples), *some.shape[1:]), some.dtype, place, folder)
        values[part[0] : part[-1] + 1] = some
    assert values is not None  # check_examples has seen to it
    return Features(examples, values, starts)


def head_outputs(network: Network, features: Features, place: torch.device, precision: Precision) -> Tensor:
    """(n, outputs) what `forward` gives, from features of an evaluation; float32 on the CPU."""
    network.eval()
    parts = split_batches(np.arange(len(features.examples)), EVALUATION_BATCH)
    outputs = []
    with torch.inference_mode():
        for inputs, _, extra in features.all(parts, place):
            with autocast(precision, place):
                outputs.append(network.piece_logits(inputs, extra).mean(dim=1).float().cpu())
    return torch.cat(outputs)


class FrozenBody:
    """Features of the training and the validation set: made when a stage first needs them, let go after the last one.

    Args:
        run: the training.
        training, validation: its examples.
        place: where the network is.
        folder: of the run.
    """

    def __init__(
        self, run: TrainingRun, training: Examples, validation: Examples, place: torch.device, folder: Path
    ) -> None:
        self.run, self.training, self.validation, self.place, self.folder = run, training, validation, place, folder
        self._made: tuple[Features, Features] | None = None

    def features(self, number: int, network: Network) -> tuple[Features, Features] | None:
        """Of stage `number`, those of both sets, or None where its body has to run; before `set_stage`."""
        if not is_cached(self.run, number, network):
            self._made = None
        elif self._made is None:
            grid = max(round(self.run.crop_grid * network.spec.model_rate), 1)
            how = self.place, self.run.precision, self.folder
            training = make_features(network, self.training, *how, grid)
            self._made = training, make_features(network, self.validation, *how, None)
        return self._made


def _room(shape: tuple[int, ...], dtype: torch.dtype, place: torch.device, folder: Path) -> Tensor:
    """Memory on the device, else of the machine, where a share of what is free suffices; else a nameless file."""
    needed = int(np.prod(shape)) * dtype.itemsize
    for device in dict.fromkeys((place, torch.device("cpu"))):
        if needed <= SHARE * free_bytes(device):
            return torch.empty(shape, dtype=dtype, device=device)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            if sys.platform == "linux":
                os.posix_fallocate(file.fileno(), 0, needed)  # or a full disk would show as a crash
            file.truncate(needed)
            mapped = np.memmap(file, np.uint8, "r+", shape=(needed,))
    except OSError:
        raise PrecordialError(
            f"the features of the frozen body need {needed / 1e9:.1f} GB, for which there is no room",
            file=folder,
            key="training.cache_features",
            remedy="make room on this disk, or set it to false",
        ) from None
    return torch.from_numpy(np.asarray(mapped)).view(dtype).view(shape)
