"""The engine "local": processes of this machine, that share out its cores and GPUs."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from types import FrameType, TracebackType
from typing import Self

from precordial.processes import deaf_to_ctrl_c, end_with_parent, threads_each
from precordial.study.engines import Engine
from precordial.study.work import work_in

VISIBLE = "CUDA_VISIBLE_DEVICES"
PATIENCE = 10.0  # seconds that a worker has to end when it is asked to


class LocalCrew:
    """Workers as spawned processes.

    Args:
        settings: the study as JSON.
        engine: how many there are.
        uses_gpu: whether the study may use GPUs.
    """

    def __init__(self, settings: str, engine: Engine, *, uses_gpu: bool) -> None:
        self._settings, self._count = settings, engine.workers
        self._threads = engine.cpus or max(1, (os.cpu_count() or 1) // engine.workers)
        self._gpus = _gpus() if uses_gpu else []
        self._at_work: dict[int, SpawnProcess] = {}  # by number of the worker, from 1
        self._died = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for process in self._at_work.values():
            process.terminate()
        for process in self._at_work.values():
            process.join(PATIENCE)
            process.kill()
            process.join()

    def start(self, count: int) -> None:
        free = [number for number in range(1, self._count + 1) if number not in self._at_work]
        # spawn: forking a process that has torch's threads can lock up.
        for number in free[:count]:
            gpu = self._gpus[(number - 1) % len(self._gpus)] if self._gpus else None
            process = get_context("spawn").Process(target=_worker, args=(self._settings, f"worker {number}", gpu))
            with deaf_to_ctrl_c(), threads_each(self._threads):
                process.start()
            self._at_work[number] = process

    def at_work(self) -> int:
        for number, process in list(self._at_work.items()):
            if process.exitcode is not None:
                self._died += process.exitcode != 0
                del self._at_work[number]
        return len(self._at_work)

    def died(self) -> int:
        self.at_work()
        died, self._died = self._died, 0
        return died


def _gpus() -> list[str]:
    """Names of the GPUs that this process may use, as the variable takes them."""
    import torch

    count = torch.cuda.device_count()
    given = [name for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
    return given[:count] if given else [str(number) for number in range(count)]


def _worker(settings: str, who: str, gpu: str | None) -> None:
    end_with_parent()
    signal.signal(signal.SIGTERM, _stop)
    if gpu is not None:
        os.environ[VISIBLE] = gpu  # before torch is loaded
    with suppress(KeyboardInterrupt):
        work_in(settings, who, stay=True)


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
