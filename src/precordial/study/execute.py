"""Running a study: archive, cohort, guard, trainings, results; each step skipped where it is done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from precordial.archive import Archive
from precordial.cohort import Cohort
from precordial.errors import SettingsError
from precordial.evaluation import Row
from precordial.files import hold_folder
from precordial.study.cohorts import checked_cohort, ecg_source
from precordial.study.plan import Plan, make_plan
from precordial.study.results import write_tables
from precordial.study.settings import Study
from precordial.training import TrainingRun, train
from precordial.training.distributed import first_does, first_says, is_first, joined
from precordial.training.layout import BEST, DONE
from precordial.training.loop import find_device
from precordial.training.state import remove_state
from precordial.watcher import Watcher


@dataclass(frozen=True)
class StudyOutcome:
    """What a study came to.

    Attributes:
        cohort: the examples.
        plan: the trainings.
        rows: the results table.
        folder: where everything lies.
    """

    cohort: Cohort
    plan: Plan
    rows: list[Row]
    folder: Path


def run_study(study: Study, watcher: Watcher | None = None) -> StudyOutcome:
    """Do what a study still needs: ingest, cohort, guard, trainings, results.

    What is finished is not done again; an interrupted training goes on where it was saved. The leakage guard runs
    each time, before any training. Where torchrun has started several processes, the first does everything but the
    trainings, which all do together.

    Args:
        study: from `load_study`.
        watcher: is told what happens; of several processes, only the first one's.

    Returns:
        What came of it; in all processes but the first without results.

    Raises:
        PrecordialError: a fault in the settings or the data, or a leak; what was finished stays.
    """
    watcher = watcher or Watcher()
    if not study.grid:
        raise SettingsError("the study has nothing to train", key="grid", remedy="add a [[grid]] with models")
    with joined(find_device(study.training.device)):
        if not is_first():
            watcher = Watcher()
        lock = first_does(lambda: hold_folder(study.folder, "running this study"))
        try:
            made = first_does(lambda: _prepare(study, watcher))
            # The others read what the first has made.
            archive, cohort = made or (Archive(study.archive_path), Cohort.load(study.folder / "cohort"))
            plan = make_plan(study, cohort.digest, cohort.outcomes)
            for number, run in enumerate(plan.runs, start=1):
                train_run(study, run, cohort, archive, watcher, number, len(plan.runs))
            results = first_does(lambda: _results(study, cohort, plan, watcher))
            return StudyOutcome(cohort, plan, results or [], study.folder)
        finally:
            if lock:
                lock.close()


def _prepare(study: Study, watcher: Watcher) -> tuple[Archive, Cohort]:
    """The archive and the cohort that the study trains on."""
    archive = ecg_source(study, watcher)
    if not isinstance(archive, Archive):
        raise SettingsError(
            "the ECGs are a table, and trainings need their signals",
            key="cohort.ecgs",
            remedy="take the key away and name the archive or its sources under [archive]",
        )
    return archive, checked_cohort(study, archive, watcher)


def _results(study: Study, cohort: Cohort, plan: Plan, watcher: Watcher) -> list[Row]:
    watcher.note("results: bootstrap intervals")
    return write_tables(study, cohort, plan)


def run_folder(study: Study, run: TrainingRun) -> Path:
    """Where a training lives."""
    return study.folder / "runs" / run.id


def train_run(
    study: Study, run: TrainingRun, cohort: Cohort, archive: Archive, watcher: Watcher, number: int, total: int
) -> None:
    """Train one run of a study if it is not finished."""
    folder = run_folder(study, run)
    if first_says((folder / DONE).exists()):
        if is_first():
            remove_state(folder)
        return
    watcher.run_begins(number, total, run)
    parent = run_folder(study, run.parent) / BEST if run.parent else None
    settings = study.training
    train(
        run,
        cohort,
        archive,
        folder,
        parent=parent,
        device=settings.device,
        resident=settings.resident,
        save_every=settings.save_every,
        progress=watcher.step,
        note=watcher.note,
        track=settings.track,
    )
    watcher.run_ends(run)
