"""One training over several processes, started by torchrun: who is first, whose rows, and sums over all.

Every process holds the whole network and takes its rows of each batch; gradients are summed, so all weights stay
equal. The first process alone writes files, which the others must be able to read. Everything here also works, and
does nothing, where there is one process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

from precordial.errors import PrecordialError
from precordial.models.rows import Rows

T = TypeVar("T")
WAIT = timedelta(days=30)  # others wait as long as the first needs to take files into the archive


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Work together with the other processes that torchrun has started, if it has, until the block ends."""
    if not _one_of_many() or distributed.is_initialized():
        yield
        return
    if device.index is not None:
        torch.cuda.set_device(device)
    # NCCL wants a GPU for each process; where several share one, as in a test, gloo does its work, slowly.
    alone = device.type == "cuda" and int(os.environ.get("LOCAL_WORLD_SIZE", "1")) <= torch.cuda.device_count()
    backend = "cpu:gloo,cuda:nccl" if alone else "gloo"
    distributed.init_process_group(backend, timeout=WAIT)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def processes() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def local_rank() -> int:
    """Number of this process among those on this machine."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def is_first() -> bool:
    """Whether this process is the one that writes; also known before they join and after they part."""
    if distributed.is_initialized() or not _one_of_many():
        return rank() == 0
    return int(os.environ["RANK"]) == 0


def wait_for_all() -> None:
    """Return once every process has come here."""
    if processes() > 1:
        distributed.all_reduce(torch.zeros(1))  # on the CPU; a barrier would go through the GPUs


def first_says(answer: bool) -> bool:
    """The first process's answer, for all."""
    if processes() == 1:
        return answer
    said = torch.tensor([int(answer)])
    distributed.broadcast(said, src=0)
    return bool(said)


def first_does(work: Callable[[], T]) -> T | None:
    """What the first process makes of `work`, and None for the others, which wait for it.

    Raises:
        PrecordialError: of `work`; in the others, that the first has failed.
    """
    if not is_first():
        if first_says(True):
            return None
        raise PrecordialError("the first process has failed", remedy="its own message says why")
    try:
        result = work()
    except PrecordialError:
        first_says(False)
        raise
    first_says(True)
    return result


def first_finds(work: Callable[[], int]) -> int:
    """The number that the first process makes of `work`, for all; the others wait for it.

    Raises:
        PrecordialError: of `work`; in the others, that the first has failed.
    """
    number = first_does(work)
    if processes() == 1:
        assert number is not None
        return number
    told = torch.tensor([0 if number is None else number])
    distributed.broadcast(told, src=0)
    return int(told)


def own_rows(total: int) -> Rows | None:
    """Which of a batch's rows are this process's: as equal parts as can be, in order. None: all, by one process."""
    if processes() == 1:
        return None
    here, count = rank(), processes()
    return Rows(here * total // count, (here + 1) * total // count, total)


def sum_gradients(parameters: Iterable[nn.Parameter], *also: Tensor) -> None:
    """Sum the gradients of all processes, and some more numbers with them, in one exchange."""
    if processes() == 1:
        return
    tensors = [parameter.grad for parameter in parameters if parameter.grad is not None] + list(also)
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    distributed.all_reduce(flat)
    for tensor, part in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def put_together(parts: list[Tensor], sizes: list[int], columns: int) -> Tensor:
    """All parts in order, where process r of n made the parts r, r + n, r + 2n …; on the CPU.

    Args:
        parts: (size, columns) float32 each, of this process.
        sizes: of the parts of all processes, in order.
        columns: of each.
    """
    if processes() == 1:
        return torch.cat(parts)
    count = processes()
    whole = []
    for other in range(count):
        theirs = sizes[other::count]
        held = torch.cat(parts) if other == rank() and parts else torch.empty(sum(theirs), columns)
        distributed.broadcast(held, src=other)
        whole.append(torch.split(held, theirs))
    return torch.cat([whole[number % count][number // count] for number in range(len(sizes))])


def _one_of_many() -> bool:
    """Whether torchrun has started this process and others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1
