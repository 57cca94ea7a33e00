"""Work shared out to processes, with its results in order; and Ctrl-C where it must wait."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from multiprocessing import connection, get_context, parent_process
from typing import TypeVar

from precordial.errors import PrecordialError

Job = TypeVar("Job")
Result = TypeVar("Result")

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
KEPT = 128 << 20  # bytes
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
AHEAD = 4  # jobs for each process that are begun, or done, before their result is taken


def in_batches(items: Iterable[Job], size: int) -> Iterator[list[Job]]:
    """So many items at a time, taken as they are asked for; the last may be fewer.

    >>> list(in_batches("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def in_order(work: Callable[[Job], Result], jobs: Iterable[Job], workers: int) -> Generator[Result]:
    """`work` done on each job, by this process or by several, a bounded number of jobs ahead of the results.

    Closing the iterator waits for what has begun; nothing is at work afterwards.

    Args:
        work: pickled, as the jobs and results are, where there are several processes.
        jobs: taken one by one, not before they can be given to a process.
        workers: processes; 1: this one does the work.

    Raises:
        PrecordialError: a process was killed.
    """
    if workers == 1:
        yield from map(work, jobs)
        return
    # spawn: forking a process that has Polars' or torch's threads can lock up.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start_worker)
    flying: deque[Future[Result]] = deque()
    try:
        for job in jobs:
            with deaf_to_ctrl_c(), threads_each(1):
                flying.append(pool.submit(work, job))
            if len(flying) > AHEAD * workers:
                yield flying.popleft().result()
        while flying:
            yield flying.popleft().result()
    except BrokenProcessPool:
        raise PrecordialError(
            "a worker process ended unexpectedly",
            remedy="run the same command again, with fewer workers where memory is short; from a script, call this "
            "under if __name__ == '__main__', or give workers=1",
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def ctrl_c_later() -> Iterator[None]:
    """Let Ctrl-C wait until a block is done, for libraries that make an error of their own of it.

    It does nothing outside the main thread, where Ctrl-C never arrives. It swaps the handler and does not block the
    signal, since a signal that one thread blocks is given to another, and Python then still hears it here.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:  # None: not set by Python
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def deaf_to_ctrl_c() -> Iterator[None]:
    """Processes started here leave Ctrl-C to their parent from their first moment on: a blocked signal is inherited."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Set variables of the environment for processes that are started in the block, where they are not set already."""
    added = [name for name in values if name not in os.environ]
    os.environ.update({name: values[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def threads_each(count: int) -> AbstractContextManager[None]:
    """Processes started in the block do sums in so many threads each: more than there are cores for would only wait."""
    return environment(**dict.fromkeys(THREADS, str(count)))


def _start_worker() -> None:
    """A worker ends with its parent; and it keeps the memory that it frees."""
    _keep_memory()
    end_with_parent()


def end_with_parent() -> None:
    """Let this process end when the one that started it is gone, however that went."""
    parent = parent_process()
    if parent is not None:

        def watch() -> None:
            connection.wait([parent.sentinel])
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()


def _keep_memory() -> None:
    """Let freed arrays stay with this process: to get them anew from the system takes a third of ingest's time."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    for what in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD):
        mallopt(what, KEPT)
