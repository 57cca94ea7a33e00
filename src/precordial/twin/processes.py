"""Work shared out to processes, with its results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from precordial.archive.intake import _deaf_to_ctrl_c, _start_worker
from precordial.errors import PrecordialError

Job = TypeVar("Job")
Result = TypeVar("Result")


def in_order(work: Callable[[Job], Result], jobs: Iterable[Job], workers: int) -> Generator[Result]:
    """`work` done on each job, by this process or by several, a bounded number of jobs ahead of the results.

    Closing the iterator waits for what has begun; nothing is at work afterwards.

    Raises:
        PrecordialError: a process was killed.
    """
    if workers == 1:
        yield from map(work, jobs)
        return
    # spawn: forking a process that has Polars' threads can lock up.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start_worker)
    flying: deque[Future[Result]] = deque()
    try:
        for job in jobs:
            with _deaf_to_ctrl_c():
                flying.append(pool.submit(work, job))
            if len(flying) > 2 * workers:
                yield flying.popleft().result()
        while flying:
            yield flying.popleft().result()
    except BrokenProcessPool:
        raise PrecordialError(
            "a worker process ended unexpectedly",
            remedy="from a script, call this under if __name__ == '__main__', or give workers=1; "
            "or less memory is left than it takes",
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
