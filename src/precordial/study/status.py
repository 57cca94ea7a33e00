"""How far a study is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from precordial.cohort import Cohort
from precordial.study.plan import make_plan
from precordial.study.settings import Study
from precordial.training import TrainingRun
from precordial.training.layout import DONE, METRICS


@dataclass(frozen=True)
class RunStatus:
    """How far one training is.

    Attributes:
        run: the training.
        state: "done", "begun" or "waiting".
        epochs: finished ones.
    """

    run: TrainingRun
    state: Literal["done", "begun", "waiting"]
    epochs: int


def study_status(study: Study) -> list[RunStatus]:
    """State of every training of a study, in the order in which they are done.

    Before the cohort is built no training can have begun.
    """
    folder = study.folder / "cohort"
    cohort = Cohort.load(folder) if (folder / "built-from.json").exists() else None
    plan = make_plan(study) if cohort is None else make_plan(study, cohort.digest, cohort.outcomes)
    statuses = []
    for run in plan.runs:
        place = study.folder / "runs" / run.id
        metrics = place / METRICS
        epochs = len(metrics.read_text().splitlines()) if metrics.exists() else 0
        state: Literal["done", "begun", "waiting"] = "begun" if epochs else "waiting"
        statuses.append(RunStatus(run, "done" if (place / DONE).exists() else state, epochs))
    return statuses
