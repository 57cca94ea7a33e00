"""Batches from the archive: integers from the memory map, turned into millivolts on the device.

A thread reads ahead, into two buffers in turn, which are pinned where the device is a GPU; so the next batch is read
and copied while the network works. Where a model reads crops, only these are read. Signals that are resident, on the
device or in memory, are picked out there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from precordial.archive import Archive
from precordial.ecg import InputSpec
from precordial.errors import PrecordialError
from precordial.models import Crops, Network
from precordial.models.network import cut_pieces
from precordial.models.rows import Rows
from precordial.training.memory import free_bytes

BUFFERS = 2
IN_CACHE = 8  # ECGs that a processor scales at a time: a quarter faster than the whole batch
BLOCK = 256  # ECGs that are made resident at a time
RESIDENT_SHARE = 0.5  # of the free memory that "auto" may take
Resident = bool | Literal["auto"]
Numbers = NDArray[np.int64]
Change = Callable[[int, Tensor], Tensor]


@dataclass(frozen=True)
class Examples:
    """ECGs with their labels, as a training or an evaluation goes through them.

    Attributes:
        archive: where the signals are.
        rows: (n,) archive row of each example.
        truth: (n, targets) float32 labels.
        extra: (n, values) float32 of what the model reads beside the ECG, NaN where unknown; None: nothing.
        held: (n, 8, samples) int16, the signals, where they are resident.
    """

    archive: Archive
    rows: Numbers
    truth: NDArray[np.float32]
    extra: NDArray[np.float32] | None = None
    held: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)


class Batch(NamedTuple):
    """Examples on the device.

    Attributes:
        inputs: (batch, 8, model_samples), or crops of them, prepared.
        truth: (batch, targets).
        extra: (batch, values) beside the ECG, or None.
    """

    inputs: Tensor
    truth: Tensor
    extra: Tensor | None


class Stored(NamedTuple):
    """What a `Batch` is made of, on the device: stored units, mV per unit, labels, extra inputs, starts of crops."""

    units: Tensor
    scale: Tensor
    truth: Tensor
    extra: Tensor | None
    starts: Tensor | None


def split_batches(order: Numbers, batch: int) -> list[Numbers]:
    """Cut an order into batches; a last one of a single ECG joins the one before it, for batch norm's sake."""
    cuts = list(range(batch, len(order), batch))
    if cuts and len(order) - cuts[-1] == 1:
        cuts.pop()
    return np.split(order, cuts)


def crop_starts(crops: Crops, total: int, step_seed: int, batch: int, rows: Rows | None = None) -> Numbers:
    """(batch,) where the crops of a step begin in recordings of `total` samples: they follow from the step's seed.

    They are the first draws after ``torch.manual_seed(step_seed)`` on a CPU, on every device, and drawn for the whole
    batch: a process that has some `rows` of it takes theirs.
    """
    starts = crops.draw_starts(total, batch, torch.Generator().manual_seed(step_seed)).numpy()
    return starts if rows is None else starts[rows.first : rows.last]


def batches(
    examples: Examples,
    parts: list[Numbers],
    spec: InputSpec,
    device: torch.device,
    change: Change | None = None,
    starts: list[Numbers] | None = None,
    samples: int | None = None,
) -> Iterator[Batch]:
    """The examples of each part, read ahead. A batch is good until the next one is asked for.

    Args:
        examples, parts, spec, device: what is read, in which parts, for which model and where.
        change: what becomes of the millivolts of a part, given its number, before they are prepared. Where the model
            takes ECGs as they are stored, it is given the crops only.
        starts: of each part the first samples, in the prepared input, of the crops that are wanted instead of all.
        samples: length of these crops.

    Raises:
        ArchiveError: the samples of an ECG are damaged.
    """
    total = examples.archive.samples
    as_stored = spec.model_rate == spec.rate and spec.model_samples == spec.samples == total
    length = samples if samples is not None and as_stored else total
    source = _read_ahead if examples.held is None else _pick_out
    # One tensor for all parts: memory that is new is slow to write to.
    millivolts = torch.empty((max(map(len, parts), default=0), len(spec.leads), length), device=device)
    for number, stored in enumerate(source(examples, parts, device, starts, length)):
        inputs = millivolts[: len(stored.units)]
        few = IN_CACHE if device.type == "cpu" else len(inputs) or 1
        for to, units, scale in zip(
            *(torch.split(one, few) for one in (inputs, stored.units, stored.scale)), strict=True
        ):
            to.copy_(units).mul_(scale[:, None, None])
        if change:
            inputs = change(number, inputs)
        if samples is None or not as_stored:
            inputs = spec.prepare(inputs)
        if samples is not None and not as_stored:
            assert stored.starts is not None
            inputs = cut_pieces(inputs, stored.starts, samples)
        yield Batch(inputs, stored.truth, stored.extra)


def seed_step(network: Network, seed: int, batch: int) -> None:
    """Seed torch for a step, as if the crops that were drawn ahead were drawn now: dropout's draws come after them."""
    torch.default_generator.manual_seed(seed)
    # torch.manual_seed, without noting for a GPU that is not used who called it.
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)
    if network.crops is not None:
        network.crops.draw_starts(network.spec.model_samples, batch)


def _read_ahead(
    examples: Examples, parts: list[Numbers], device: torch.device, starts: list[Numbers] | None, length: int
) -> Iterator[Stored]:
    """Each part from the archive, `BUFFERS` ahead; its units lie in a buffer that is filled again later."""
    archive, gpu = examples.archive, device.type == "cuda"
    leads, total = archive.manifest.shape
    shape = (max(map(len, parts), default=0), leads, length)
    buffers = [torch.empty(shape, dtype=torch.int16, pin_memory=gpu) for _ in range(BUFFERS)]
    copied = [torch.cuda.Event() for _ in buffers] if gpu else []  # type: ignore[no-untyped-call]
    stream = torch.cuda.Stream(device) if gpu else None  # type: ignore[no-untyped-call]

    def read(number: int) -> Stored:
        part, slot = parts[number], number % BUFFERS
        if gpu:
            copied[slot].synchronize()  # what the buffer held has left it
        rows, units = examples.rows[part], buffers[slot][: len(part)]
        archive.read_again(rows, units.numpy(), starts[number] if starts and length < total else None)
        with torch.cuda.stream(stream):
            stored = Stored(
                units.to(device, non_blocking=True),
                _moved(archive.millivolts_per_unit(rows), device),
                _moved(examples.truth[part], device),
                None if examples.extra is None else _moved(examples.extra[part], device),
                _moved(starts[number], device) if starts else None,
            )
            if gpu:
                copied[slot].record(stream)
        return stored

    with ThreadPoolExecutor(1) as reader:
        ahead = deque(reader.submit(read, number) for number in range(min(BUFFERS, len(parts))))
        for number in range(len(parts)):
            stored = ahead.popleft().result()
            if gpu:
                now = torch.cuda.current_stream(device)
                now.wait_event(copied[number % BUFFERS])
                for one in stored:
                    if one is not None:
                        one.record_stream(now)
            yield stored
            if number + BUFFERS < len(parts):  # on a CPU, too, the buffer is free: its units are millivolts by now
                ahead.append(reader.submit(read, number + BUFFERS))


def _pick_out(
    examples: Examples, parts: list[Numbers], device: torch.device, starts: list[Numbers] | None, length: int
) -> Iterator[Stored]:
    """Each part from the signals that are resident; what else it takes goes to the device once."""
    held = examples.held
    assert held is not None
    scale = _moved(examples.archive.millivolts_per_unit(examples.rows), device)
    room = torch.empty((max(map(len, parts), default=0), *held.shape[1:]), dtype=torch.int16, device=device)
    truth, extra = _moved(examples.truth, device), None if examples.extra is None else _moved(examples.extra, device)
    for number, part in enumerate(parts):
        rows, begins = _moved(part, device), _moved(starts[number], device) if starts else None
        if begins is None or length == held.shape[2]:
            units = torch.index_select(held, 0, rows, out=room[: len(part)])
        else:
            units = cut_pieces(held, begins, length, rows)
        yield Stored(units, scale[rows], truth[rows], None if extra is None else extra[rows], begins)


def _moved(values: NDArray[Any], device: torch.device) -> Tensor:
    """Values on a device; a GPU goes on with its work meanwhile."""
    tensor = torch.from_numpy(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def make_resident(examples: Examples, device: torch.device, wanted: Resident) -> Examples:
    """The examples with their signals on the device, if that is wanted; on a CPU in memory, decompressed.

    "auto" makes them resident where that makes reading faster, on a GPU or from a compressed archive, and they take
    less than half of the free memory.

    Raises:
        PrecordialError: they are to be resident, and do not fit.
        ArchiveError: the samples of an ECG are damaged.
    """
    archive, shape = examples.archive, (len(examples), *examples.archive.manifest.shape)
    needed, free = len(examples) * archive.manifest.ecg_bytes, free_bytes(device)
    if wanted == "auto":
        wanted = (device.type == "cuda" or archive.manifest.codec != "raw") and needed < RESIDENT_SHARE * free
    if not wanted:
        return examples
    if needed > free:
        raise PrecordialError(
            f"the signals of {len(examples)} ECGs take {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free",
            key="training.resident",
            remedy='set it to "auto" or false',
        )
    held = torch.empty(shape, dtype=torch.int16, device=device)
    for block in split_batches(np.argsort(examples.rows, kind="stable"), BLOCK):  # in the order of the disk
        units = torch.empty((len(block), *shape[1:]), dtype=torch.int16)
        archive.read_again(examples.rows[block], units.numpy())
        held[torch.from_numpy(block).to(device)] = units.to(device)
    return replace(examples, held=held)
