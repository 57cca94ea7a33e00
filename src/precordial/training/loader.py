"""Batches from the archive: integers from the memory map, turned into millivolts on the device.

A thread reads ahead, into two buffers in turn, which are pinned where the device is a GPU; so the next batch is read
and copied while the network works. Where a model reads crops, only these are read. Signals that are resident, on the
device or in memory, are picked out there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice, repeat
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from precordial.archive import Archive
from precordial.ecg import InputSpec
from precordial.errors import PrecordialError
from precordial.models import Crops, Network
from precordial.models.network import cut_pieces
from precordial.training.memory import free_bytes

BUFFERS = 2
BLOCK = 256  # ECGs that are made resident at a time
RESIDENT_SHARE = 0.5  # of the free memory that "auto" may take
Resident = bool | Literal["auto"]
Rows = NDArray[np.int64]
Given = tuple[Tensor, Tensor, Tensor, Tensor | None]  # stored units, mV per unit, labels, starts; all on the device


@dataclass(frozen=True)
class Examples:
    """ECGs with their labels, as a training or an evaluation goes through them.

    Attributes:
        archive: where the signals are.
        rows: (n,) archive row of each example.
        truth: (n, targets) float32 labels.
        held: (n, 8, samples) int16, the signals, where they are resident.
    """

    archive: Archive
    rows: Rows
    truth: NDArray[np.float32]
    held: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)


def split_batches(order: Rows, batch: int) -> list[Rows]:
    """Cut an order into batches; a last one of a single ECG joins the one before it, for batch norm's sake."""
    cuts = list(range(batch, len(order), batch))
    if cuts and len(order) - cuts[-1] == 1:
        cuts.pop()
    return np.split(order, cuts)


def crop_starts(crops: Crops, total: int, step_seed: int, batch: int) -> Rows:
    """(batch,) where the crops of a whole step begin in recordings of `total` samples: they follow from its seed.

    They are the first draws after ``torch.manual_seed(step_seed)`` on a CPU, on every device.
    """
    return crops.draw_starts(total, batch, torch.Generator().manual_seed(step_seed)).numpy()


def batches(
    examples: Examples,
    parts: list[Rows],
    spec: InputSpec,
    device: torch.device,
    *,
    starts: Iterable[Rows] | None = None,
    samples: int | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Prepared input of each part, and its labels, read ahead. A batch is good until the next one is asked for.

    Args:
        examples: what is read.
        parts: of each batch the numbers of its examples.
        spec: how it is prepared.
        device: where to.
        starts: of each batch the first samples, in the prepared input, of the crops that are wanted instead of all.
        samples: length of these crops.

    Yields:
        (batch, 8, model_samples or `samples`) float32 mV, and (batch, targets) labels.

    Raises:
        ArchiveError: the samples of an ECG are damaged.
    """
    total = examples.archive.samples
    as_stored = spec.model_rate == spec.rate and spec.model_samples == spec.samples == total
    length = samples if samples is not None and as_stored else total
    given = _read_ahead if examples.held is None else _pick_out
    millivolts = torch.empty(0, device=device)
    for units, scale, truth, firsts in given(examples, parts, device, starts, length):
        if len(units) > len(millivolts):
            millivolts = torch.empty(units.shape, device=device)  # once for all batches: new pages are slow
        batch = millivolts[: len(units)].copy_(units).mul_(scale[:, None, None])
        if samples is None:
            yield spec.prepare(batch), truth
        elif as_stored:
            yield batch, truth
        else:
            assert firsts is not None
            yield cut_pieces(spec.prepare(batch), firsts, samples), truth


def training_batches(
    network: Network, examples: Examples, parts: list[Rows], device: torch.device, seeds: list[int]
) -> Iterator[tuple[Tensor, Tensor]]:
    """`batches` for the steps of a training; a network with crops gets the crops that follow from each step's seed."""
    if network.crops is None:
        return batches(examples, parts, network.spec, device)
    total = network.spec.model_samples
    starts = (crop_starts(network.crops, total, seed, len(part)) for seed, part in zip(seeds, parts, strict=True))
    return batches(examples, parts, network.spec, device, starts=starts, samples=network.crops.samples)


def seed_step(network: Network, seed: int, batch: int) -> None:
    """Seed torch for a step, as if the crops that were drawn ahead were drawn now: dropout's draws come after them."""
    torch.manual_seed(seed)
    if network.crops is not None:
        network.crops.draw_starts(network.spec.model_samples, batch)


def _read_ahead(
    examples: Examples, parts: list[Rows], device: torch.device, starts: Iterable[Rows] | None, length: int
) -> Iterator[Given]:
    """Each part from the archive, `BUFFERS` ahead; its units lie in a buffer that is filled again later."""
    gpu = device.type == "cuda"
    leads, total = examples.archive.manifest.shape
    shape = (max(map(len, parts), default=0), leads, length)
    buffers = [torch.empty(shape, dtype=torch.int16, pin_memory=gpu) for _ in range(BUFFERS)]
    copied = [torch.cuda.Event() for _ in buffers] if gpu else []
    stream = torch.cuda.Stream(device) if gpu else None

    def read(number: int, part: Rows, firsts: Rows | None) -> Given:
        slot = number % BUFFERS
        if gpu:
            copied[slot].synchronize()  # what the buffer held has left it
        rows, units = examples.rows[part], buffers[slot][: len(part)]
        examples.archive.read_again(rows, units.numpy(), firsts if length < total else None)
        scale = torch.from_numpy(examples.archive.millivolts_per_unit(rows))
        truth, begins = torch.from_numpy(examples.truth[part]), None if firsts is None else torch.from_numpy(firsts)
        if not gpu:
            return units, scale, truth, begins
        with torch.cuda.stream(stream):
            given = units.to(device, non_blocking=True), scale.to(device), truth.to(device)
            begins = None if begins is None else begins.to(device)
            copied[slot].record(stream)
        return *given, begins

    jobs = enumerate(zip(parts, repeat(None) if starts is None else starts, strict=False))
    ahead: deque[Future[Given]] = deque()
    with ThreadPoolExecutor(1) as reader:

        def read_one_more() -> None:
            for number, (part, firsts) in islice(jobs, 1):
                ahead.append(reader.submit(read, number, part, firsts))

        for _ in range(BUFFERS):
            read_one_more()
        for number in range(len(parts)):
            given = ahead.popleft().result()
            if gpu:
                now = torch.cuda.current_stream(device)
                now.wait_event(copied[number % BUFFERS])
                for tensor in given:
                    if tensor is not None:
                        tensor.record_stream(now)
            yield given
            read_one_more()  # on a CPU, too, the units have been turned into millivolts, and their buffer is free


def _pick_out(
    examples: Examples, parts: list[Rows], device: torch.device, starts: Iterable[Rows] | None, length: int
) -> Iterator[Given]:
    """Each part from the signals that are resident; what it takes of the rest goes to the device once."""
    assert examples.held is not None
    if not parts:
        return
    sizes = [len(part) for part in parts]
    order = torch.from_numpy(np.concatenate(parts)).to(device)
    scale = torch.from_numpy(examples.archive.millivolts_per_unit(examples.rows)).to(device)[order].split(sizes)
    truth = torch.from_numpy(examples.truth).to(device)[order].split(sizes)
    none = [None] * len(parts)
    begins = none if starts is None else torch.from_numpy(np.concatenate(list(starts))).to(device).split(sizes)
    total = examples.held.shape[2]
    for rows, *others, firsts in zip(order.split(sizes), scale, truth, begins, strict=True):
        pieces = firsts is not None and length < total
        units = examples.held.unfold(2, length, 1)[rows, :, firsts] if pieces else examples.held.index_select(0, rows)
        yield units, *others, firsts


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
    if 0 < free < needed:
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
