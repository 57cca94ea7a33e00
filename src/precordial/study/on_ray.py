"""The engine "ray": each worker is a task of a Ray cluster, with the GPUs, cores and memory that it needs."""

from __future__ import annotations

from itertools import count
from types import TracebackType
from typing import Any, Self

from precordial.archive.cluster import connect
from precordial.errors import PrecordialError
from precordial.study.engines import Engine
from precordial.study.work import work_in

GB = 10**9


class RayCrew:
    """Workers as tasks. One whose process or machine dies is started anew by Ray itself, elsewhere if need be.

    The cluster is the one that ``RAY_ADDRESS`` names, or else this machine. Its machines must have this version of
    precordial, and see the study's folder and archive under the same paths.

    Args:
        settings: the study as JSON.
        engine: how many there are, and what each needs.
        uses_gpu: whether the study may use GPUs.

    Raises:
        PrecordialError: Ray is not installed, or the cluster does not have what a worker needs.
    """

    def __init__(self, settings: str, engine: Engine, *, uses_gpu: bool) -> None:
        self._ray, self._settings, self._numbers = connect(), settings, count(1)
        there = self._ray.cluster_resources()
        gpus = engine.gpus if engine.gpus is not None else float(uses_gpu and there.get("GPU", 0) >= 1)
        needs = {"num_cpus": engine.cpus or 1, "num_gpus": gpus, "memory": int((engine.memory or 0) * GB)}
        for name, wanted in (("CPU", needs["num_cpus"]), ("GPU", gpus), ("memory", needs["memory"])):
            if wanted > there.get(name, 0):
                raise PrecordialError(
                    f"a worker is to have {wanted:g} of '{name}', and the whole Ray cluster has {there.get(name, 0):g}",
                    remedy="ask for less with --gpus, --cpus and --memory",
                )
        self._task = self._ray.remote(max_retries=-1, **needs)(_work)
        self._at_work: list[Any] = []
        self._died = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for task in self._at_work:
            self._ray.cancel(task, force=True)

    def start(self, count: int) -> None:
        self._at_work += [self._task.remote(self._settings, f"Ray task {next(self._numbers)}") for _ in range(count)]

    def at_work(self) -> int:
        if self._at_work:
            ended, self._at_work = self._ray.wait(self._at_work, num_returns=len(self._at_work), timeout=0)
            for task in ended:
                try:
                    self._ray.get(task)
                except self._ray.exceptions.RayError:
                    self._died += 1
        return len(self._at_work)

    def died(self) -> int:
        self.at_work()
        died, self._died = self._died, 0
        return died


def _work(settings: str, who: str) -> None:
    work_in(settings, who, stay=False)
