"""What a study will take, put together: its plan, what is done of it, hours and disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from precordial.errors import SettingsError
from precordial.study.board import Board
from precordial.study.estimate import Disk, Estimate, counts_given, counts_of, disk, estimate
from precordial.study.plan import Plan
from precordial.study.rates import RatesFile, measure_rates, read_rates
from precordial.study.settings import Study
from precordial.study.status import present_plan


@dataclass(frozen=True)
class Forecast:
    """A plan and what it needs.

    Attributes:
        study, plan: the study's.
        done: trainings that are finished.
        rates: that the hours follow from; None where they are not known.
        hours: of the trainings that are not finished; None without rates, or without a cohort.
        disk: of all; None without a cohort.
    """

    study: Study
    plan: Plan
    done: int
    rates: RatesFile | None
    hours: Estimate | None
    disk: Disk | None


def forecast(study: Study, rates: Path | None = None, *, calibrate: bool = True) -> Forecast:
    """Say what a study needs. Epochs that are done of an unfinished training count as not done.

    Args:
        study: from `load_study`.
        rates: a file of another machine's rates, which may tell how large the cohort is, too.
        calibrate: else measure this machine's, for some seconds each, unless that was done before. A study without a
            cohort is not measured.

    Raises:
        SettingsError: the file of rates is wrong, or lacks a model.
    """
    plan, cohort = present_plan(study)
    given = read_rates(rates) if rates else None
    if given:
        for run in plan.runs:
            if run.model not in given.rates:
                raise SettingsError(
                    "a model of the study has no rates", file=rates, key=f"rates.{run.model}", remedy="add it"
                )
    count = counts_given(given.ecgs) if given and given.ecgs else None
    if cohort is not None:
        count = counts_of(cohort)
    board = Board(study, plan)
    left = [run for run in plan.runs if not board.done(run)]
    if given is None and calibrate and count and left:
        given = measure_rates(study, plan)
    hours = estimate(left, given, count) if given and count else None
    return Forecast(study, plan, board.count(), given, hours, disk(plan.runs, count) if count else None)
