"""Engines: how the workers of a study are started, and what the one who started them sees of them.

All workers do the same, whatever has started them: `precordial.study.work.work`. They share nothing but the study's
folder, so an engine need know nothing of trainings, and engines can be mixed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from precordial.claims import Claims
from precordial.errors import PrecordialError
from precordial.study.board import Board, Failure
from precordial.study.settings import Study
from precordial.training.layout import METRICS, NOTES
from precordial.watcher import Watcher

EngineName = Literal["local", "ray", "slurm"]
LOOK_EVERY = 0.5  # seconds
LEISURE = 4  # at least so many times as long as a look took, which may be long over a network
DEATHS = 3  # of each worker, without a training settled in between: then the fault is not in a training


@dataclass(frozen=True)
class Engine:
    """Where a study's trainings run, and how many at a time. It changes no result.

    Attributes:
        name: "local", processes of this machine; "ray", tasks of a Ray cluster; "slurm", an array of Slurm jobs.
        workers: that train at a time, each a run of its own. One on this machine is this process itself.
        gpus: that each worker asks for, of Ray and Slurm; a share, such as 0.5, lets several of Ray's have one. By
            default one, where there are GPUs and the study may use them. On this machine each worker has one, and
            shares it where there are more workers.
        cpus: cores of each worker; by default this machine's cores are shared out, and one is asked for elsewhere.
        memory: GB that each worker asks for, of Ray and Slurm.
        slurm: further options of sbatch by their long names, such as ``{"partition": "gpu"}``. ``cluster`` "local" runs
            the jobs on this machine, to try it.
    """

    name: EngineName = "local"
    workers: int = 1
    gpus: float | None = None
    cpus: int | None = None
    memory: float | None = None
    slurm: Mapping[str, str] = field(default_factory=dict)

    @property
    def here(self) -> bool:
        """Whether the process that runs the study does its trainings itself."""
        return self.name == "local" and self.workers == 1 and self.cpus is None

    def check(self) -> None:
        """Refuse what would have no effect.

        Raises:
            PrecordialError: an option that goes with another engine.
        """
        for option, value, engines in (
            ("gpus", self.gpus is not None, ("ray", "slurm")),
            ("memory", self.memory is not None, ("ray", "slurm")),
            ("slurm", bool(self.slurm), ("slurm",)),
        ):
            if value and self.name not in engines:
                raise PrecordialError(
                    f"this has no effect with the engine '{self.name}'",
                    key=f"--{option}",
                    remedy=f"leave it out; it goes with --engine {' or '.join(engines)}",
                )


class Crew(Protocol):
    """The workers of an engine."""

    def start(self, count: int) -> None:
        """Start so many more; they are at work, or wait for a place, when this returns."""

    def at_work(self) -> int:
        """How many there are."""

    def died(self) -> int:
        """How many have ended otherwise than by having nothing to do, since this was asked last."""


def lead(study: Study, board: Board, engine: Engine, watcher: Watcher, claims: Claims) -> None:
    """Start workers, start them again where they die and something is left, and tell the watcher what they do.

    Raises:
        PrecordialError: workers die again and again; or the engine's package is missing.
    """
    seen, lost, pause = board.count(), 0, 0.05
    told = {run.id for run in board.plan.runs if board.done(run)}
    with _crew(study, engine) as crew:
        while board.left():
            if crew.at_work() < engine.workers and board.idle(claims):
                crew.start(engine.workers - crew.at_work())
            time.sleep(pause)
            began = time.monotonic()
            done = board.count()
            lost = lost + crew.died() if done == seen else 0
            seen = done
            _tell(board, told, watcher, claims)
            pause = max(LOOK_EVERY, LEISURE * (time.monotonic() - began))
            if lost > DEATHS * engine.workers:
                raise PrecordialError(
                    "the worker processes end unexpectedly",
                    remedy="see that there is memory, and room on the disk; 'precordial study run' without --engine "
                    "and --workers may say more",
                )
        _tell(board, told, watcher, claims)


def _crew(study: Study, engine: Engine) -> AbstractContextManager[Crew]:
    settings = study.model_dump_json(exclude_unset=True)
    if Study.model_validate_json(settings) != study:  # made in Python, of what no file could say
        raise PrecordialError("these settings cannot be handed on to workers", remedy="write them into a study file")
    if engine.name == "local":
        from precordial.study.local import LocalCrew

        return LocalCrew(settings, engine, uses_gpu=study.training.device != "cpu")
    if engine.name == "ray":
        from precordial.study.on_ray import RayCrew

        return RayCrew(settings, engine, uses_gpu=study.training.device != "cpu")
    from precordial.study.on_slurm import SlurmCrew

    return SlurmCrew(settings, engine, study.folder / "slurm", uses_gpu=study.training.device != "cpu")


def _tell(board: Board, told: set[str], watcher: Watcher, claims: Claims) -> None:
    """What has changed since the last look."""
    total, busy = len(board.plan.runs), []
    for run in board.plan.runs:
        if run.id in told:
            continue
        reason = None if board.done(run) else board.reason(run)
        if board.done(run) or reason is not None:
            told.add(run.id)
            notes = board.folder(run) / NOTES
            for line in notes.read_text(encoding="utf-8").splitlines() if notes.exists() else ():
                watcher.note(line)
            if reason is None:
                watcher.note(f"training {len(told)} of {total} done: {run.describe()}")
            else:
                watcher.note(f"failed: {Failure(run, reason, 0).text}")
        elif (owner := claims.owner(board.folder(run))) is not None:
            metrics = board.folder(run) / METRICS
            epochs = len(metrics.read_bytes().splitlines()) if metrics.exists() else 0
            busy.append(f"{owner.who}: {run.model} {epochs}/{run.epochs}")
    shown = ", ".join(busy[:3]) + (f" and {len(busy) - 3} more" if len(busy) > 3 else "")
    watcher.trainings(board.count(), total, shown)
