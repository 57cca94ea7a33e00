"""The engine "slurm": the workers are the jobs of an array, handed to Slurm by submitit."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from precordial.errors import PrecordialError
from precordial.study.engines import Engine
from precordial.study.work import work_in

MINUTES = 24 * 60  # of a job, where --slurm time=MINUTES does not say otherwise


class SlurmCrew:
    """Workers as jobs. They look for what is ready themselves, so Slurm need know nothing of what waits for what.

    Args:
        settings: the study as JSON.
        engine: how many there are, and what each needs.
        folder: for the scripts and logs of the jobs, seen by all machines.
        uses_gpu: whether the study may use GPUs.

    Raises:
        PrecordialError: submitit is not installed, there is no Slurm here, or an option is wrong.
    """

    def __init__(self, settings: str, engine: Engine, folder: Path, *, uses_gpu: bool) -> None:
        try:
            import submitit
        except ImportError:
            raise PrecordialError(
                "the engine 'slurm' needs submitit", remedy="pip install 'precordial[slurm]'"
            ) from None
        options = dict(engine.slurm)
        cluster, minutes = options.pop("cluster", "slurm"), options.pop("time", str(MINUTES))
        if not minutes.isdigit():
            raise PrecordialError(
                "the time of a job is not a number of minutes", key="--slurm time", remedy="such as time=720"
            )
        try:
            self._executor = submitit.AutoExecutor(folder, cluster=cluster)
        except (RuntimeError, ValueError):
            raise PrecordialError(
                f"submitit finds no cluster '{cluster}' here",
                key="--slurm cluster",
                remedy="call this where sbatch is there, or try it with --slurm cluster=local",
            ) from None
        gpus = engine.gpus if engine.gpus is not None else float(uses_gpu and cluster != "local")
        if not gpus.is_integer():
            raise PrecordialError("Slurm gives whole GPUs only", key="--gpus", remedy="give a whole number")
        self._executor.update_parameters(
            name="precordial",
            timeout_min=int(minutes),
            cpus_per_task=engine.cpus or 1,
            **({"gpus_per_node": int(gpus)} if gpus else {}),
            **({"mem_gb": engine.memory} if engine.memory else {}),
            **({"slurm_additional_parameters": options} if options else {}),
        )
        self._settings, self._numbers = settings, count(1)
        self._at_work: list[Any] = []
        self._died = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for job in self._at_work:
            job.cancel()

    def start(self, count: int) -> None:
        names = [f"Slurm job {next(self._numbers)}" for _ in range(count)]
        self._at_work += self._executor.map_array(Worker(), [self._settings] * count, names)

    def at_work(self) -> int:
        for job in [job for job in self._at_work if job.done()]:
            self._at_work.remove(job)
            self._died += job.state not in ("COMPLETED", "FINISHED") or job.exception() is not None
        return len(self._at_work)

    def died(self) -> int:
        self.at_work()
        died, self._died = self._died, 0
        return died


class Worker:
    """What a job does; an object, so that submitit finds what to do when the job's time is over: queue it again."""

    def __call__(self, settings: str, who: str) -> None:
        work_in(settings, who, stay=False)

    def checkpoint(self, settings: str, who: str) -> Any:
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, settings, who)
