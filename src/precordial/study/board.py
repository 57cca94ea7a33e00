"""What is left of a study, as its folder says: which trainings are done, failed, at work, ready. Without torch."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from precordial.claims import Claims
from precordial.files import write_atomic
from precordial.study.plan import Plan
from precordial.study.settings import Study
from precordial.training import TrainingRun
from precordial.training.layout import BEST, DONE, FAILED, LAST, PREVIOUS

FINISHING = ".finishing"  # the claim in a study's folder of who writes results or report
UNKNOWN = "its reason cannot be read"


@dataclass(frozen=True)
class Failure:
    """A training that cannot be finished.

    Attributes:
        run: the training.
        reason: in a line, without anything of a patient.
        waiting: how many trainings start from it.
    """

    run: TrainingRun
    reason: str
    waiting: int

    @property
    def text(self) -> str:
        """Training and reason, which often names it itself."""
        return self.reason if self.run.describe() in self.reason else f"{self.run.describe()}: {self.reason}"


def hold_study(study: Study) -> AbstractContextManager[None]:
    """Write results or report of a study in a block, while nobody else does."""
    return Claims("a command").hold(study.folder, FINISHING)


class Board:
    """A study's trainings and how they stand. What is done stays done, and is not looked up again.

    Args:
        study, plan: the study's.
    """

    def __init__(self, study: Study, plan: Plan) -> None:
        self._runs = study.folder / "runs"
        self.plan = plan
        self._open = {run.id: run for run in plan.runs}

    def folder(self, run: TrainingRun) -> Path:
        """Where a training lives."""
        return self._runs / run.id

    def parent(self, run: TrainingRun) -> Path | None:
        """The model that a training starts from."""
        return self.folder(run.parent) / BEST if run.parent else None

    def done(self, run: TrainingRun) -> bool:
        """Whether a training is finished."""
        if run.id in self._open and (self.folder(run) / DONE).exists():
            del self._open[run.id]
        return run.id not in self._open

    def count(self) -> int:
        """How many are finished."""
        return sum([self.done(run) for run in self.plan.runs])

    def reason(self, run: TrainingRun) -> str | None:
        """Why a training has failed; None where it has not."""
        try:
            return str(json.loads((self.folder(run) / FAILED).read_bytes())["reason"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            return UNKNOWN

    def settled(self, run: TrainingRun) -> bool:
        """Whether a training is finished or has failed."""
        return self.done(run) or (self.folder(run) / FAILED).exists()

    def ready(self) -> list[TrainingRun]:
        """What can be trained: neither finished nor failed, and what it starts from is finished."""
        return [run for run in list(self._open.values()) if not self.settled(run) and self._stands(run)]

    def expecting(self) -> bool:
        """Whether a training waits for another that can still be finished."""
        return any(not self._stands(run) and not self._blocked(run) for run in self._open.values())

    def left(self) -> bool:
        """Whether there is something that can still be finished."""
        return any(not self.settled(run) and not self._blocked(run) for run in list(self._open.values()))

    def failures(self) -> list[Failure]:
        """What has failed, in the order of the plan."""
        found = []
        for run in list(self._open.values()):
            reason = None if self.done(run) else self.reason(run)
            if reason is not None:
                waiting = sum(run.id in other.lineage[:-1] for other in self._open.values())
                found.append(Failure(run, reason, waiting))
        return found

    def fail(self, run: TrainingRun, reason: str) -> None:
        """Write down why a training has failed."""
        write_atomic(self.folder(run) / FAILED, json.dumps({"reason": " ".join(reason.split())}) + "\n")

    def forgive(self) -> None:
        """Let all that has failed be tried again."""
        for run in self._open.values():
            (self.folder(run) / FAILED).unlink(missing_ok=True)

    def mark(self, run: TrainingRun) -> str:
        """How far a training is: the time of its last saved state."""
        for name in (LAST, PREVIOUS):
            try:
                return str((self.folder(run) / name).stat().st_mtime_ns)
            except FileNotFoundError:
                continue
        return ""

    def idle(self, claims: Claims) -> bool:
        """Whether something is ready that nobody works on."""
        return any(claims.owner(self.folder(run)) is None for run in self.ready())

    def _stands(self, run: TrainingRun) -> bool:
        return run.parent is None or self.done(run.parent)

    def _blocked(self, run: TrainingRun) -> bool:
        """Whether a training starts from one that has failed."""
        parent = run.parent
        return parent is not None and not self.done(parent) and ((self.folder(parent) / FAILED).exists())
