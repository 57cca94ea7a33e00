"""How far a study is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from precordial.claims import LEASE, Claims
from precordial.cohort import Cohort
from precordial.study.board import Board
from precordial.study.cohorts import BUILT_FROM
from precordial.study.estimate import Count, counts_of, run_seconds
from precordial.study.plan import Plan, make_plan
from precordial.study.rates import ModelRates
from precordial.study.settings import Study
from precordial.training import TrainingRun
from precordial.training.layout import METRICS


@dataclass(frozen=True)
class RunStatus:
    """How far one training is.

    Attributes:
        run: the training.
        state: "done", "running", "failed", "begun" (some of it is done, and nobody is at it), "waiting".
        epochs: finished ones.
        by: who is at it; empty for nobody.
        reason: why it has failed.
        rate: ECG/s of its last epoch, None before the first has ended.
        seconds: that it still needs at this rate, without those that it has been in its epoch for.
    """

    run: TrainingRun
    state: Literal["done", "running", "failed", "begun", "waiting"]
    epochs: int
    by: str = ""
    reason: str = ""
    rate: float | None = None
    seconds: float | None = None


def present_plan(study: Study) -> tuple[Plan, Cohort | None]:
    """A study's trainings, and its cohort where it is built: ids of trainings follow from it."""
    folder = study.folder / "cohort"
    if not (folder / BUILT_FROM).exists():
        return make_plan(study), None
    cohort = Cohort.load(folder)
    return make_plan(study, cohort.digest, cohort.outcomes), cohort


def study_status(study: Study) -> list[RunStatus]:
    """State of every training of a study, in the order in which they are done.

    Before the cohort is built no training can have begun. Whether somebody on another machine is still at work is told
    by the files' times, as this machine reads them.
    """
    plan, cohort = present_plan(study)
    board, claims = Board(study, plan), Claims("status")
    count = None if cohort is None else counts_of(cohort)
    return [_status(run, board, claims, count) for run in plan.runs]


def _status(run: TrainingRun, board: Board, claims: Claims, count: Count | None) -> RunStatus:
    rows = _metrics(board, run)
    epochs = int(rows[-1]["epoch"]) if rows else 0
    rate = rows[-1].get("ecgs_per_second") if rows else None
    if board.done(run):
        return RunStatus(run, "done", epochs, rate=rate)
    owner = claims.owner(board.folder(run))
    reason = board.reason(run)
    if owner is None and reason is not None:
        return RunStatus(run, "failed", epochs, reason=reason, rate=rate)
    if owner is None:
        return RunStatus(run, "begun" if epochs else "waiting", epochs, rate=rate)
    seconds = None
    if rate and count is not None:
        seconds = run_seconds(run, ModelRates(train=rate, score=rate), count, epochs)
    silent = claims.silent(board.folder(run))
    since = f", silent for {silent / 60:.0f} minutes" if silent > LEASE else ""
    return RunStatus(run, "running", epochs, by=owner.text() + since, rate=rate, seconds=seconds)


def _metrics(board: Board, run: TrainingRun) -> list[dict[str, float]]:
    try:
        text = (board.folder(run) / METRICS).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]
    except (OSError, ValueError):
        return []
