"""Running a study: archive, cohort, guard, trainings, results; each step skipped where it is done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from precordial.archive import Archive
from precordial.claims import Claims
from precordial.cohort import Cohort
from precordial.errors import PrecordialError, SettingsError
from precordial.evaluation import Row
from precordial.files import write_atomic
from precordial.study.board import Board, Failure, hold_study
from precordial.study.cohorts import checked_cohort, ecg_source
from precordial.study.engines import Engine, lead
from precordial.study.plan import PRECISION, Plan, make_plan, study_precision
from precordial.study.results import write_tables
from precordial.study.settings import Study
from precordial.study.work import work
from precordial.training.distributed import first_does, is_first, joined, processes
from precordial.training.loop import find_device
from precordial.training.state import remove_state
from precordial.watcher import Watcher

PREPARING = ".preparing"  # the claim in a study's folder of who takes in files and builds the cohort


@dataclass(frozen=True)
class StudyOutcome:
    """What a study came to.

    Attributes:
        cohort: the examples.
        plan: the trainings.
        rows: the results table, of the trainings that are finished.
        folder: where everything lies.
        failures: trainings that could not be finished; those that start from them are missing, too.
    """

    cohort: Cohort
    plan: Plan
    rows: list[Row]
    folder: Path
    failures: tuple[Failure, ...] = ()


def run_study(study: Study, watcher: Watcher | None = None, engine: Engine | None = None) -> StudyOutcome:
    """Do what a study still needs: ingest, cohort, guard, trainings, results.

    What is finished is not done again; an interrupted training goes on where it was saved. The leakage guard runs
    each time, before any training. Any number of processes, on any machines that share the study's folder, may call
    this for the same study at once: each training is done by one of them, and all return when nothing is left. A
    training that cannot be finished is written down, the others go on, and the next call tries it again.

    Where torchrun has started several processes, the first does everything but the trainings, which all do together.

    Args:
        study: from `load_study`.
        watcher: is told what happens; of several processes, only the first one's.
        engine: where the trainings run, and how many at a time; by default one at a time, in this process.

    Returns:
        What came of it; in all processes but torchrun's first without results.

    Raises:
        PrecordialError: a fault in the settings or the data, or a leak; what was finished stays.
    """
    watcher, engine = watcher or Watcher(), engine or Engine()
    if not study.grid:
        raise SettingsError("the study has nothing to train", key="grid", remedy="add a [[grid]] with models")
    engine.check()
    with joined(find_device(study.training.device if engine.here else "cpu")):
        if processes() > 1 and not engine.here:
            raise PrecordialError(
                "torchrun trains one run on all its processes, an engine one run on each of its workers",
                remedy="leave out one of them",
            )
        if not is_first():
            watcher = Watcher()
        claims = Claims("study run")
        made = first_does(lambda: _prepare(study, watcher, claims))
        # The others read what the first has made.
        archive, cohort = made or (Archive(study.archive_path), Cohort.load(study.folder / "cohort"))
        plan = make_plan(study, cohort.digest, cohort.outcomes)
        board = Board(study, plan)
        first_does(lambda: _tidy(board))
        if engine.here:
            work(study, board, cohort, archive, watcher, claims, stay=True)
        else:
            lead(study, board, engine, watcher, claims)
        results = first_does(lambda: _results(study, cohort, plan, watcher, engine))
        return StudyOutcome(cohort, plan, results or [], study.folder, tuple(board.failures()))


def _prepare(study: Study, watcher: Watcher, claims: Claims) -> tuple[Archive, Cohort]:
    """The archive and the cohort that the study trains on, and what "auto" means for its precision."""

    def waiting() -> None:
        watcher.note("another process prepares this study; waiting for it")

    with claims.hold(study.folder, PREPARING, waiting):
        archive = ecg_source(study, watcher)
        if not isinstance(archive, Archive):
            raise SettingsError(
                "the ECGs are a table, and trainings need their signals",
                key="cohort.ecgs",
                remedy="take the key away and name the archive or its sources under [archive]",
            )
        cohort = checked_cohort(study, archive, watcher)
        if study.training.precision == "auto":
            write_atomic(study.folder / PRECISION, f'"{study_precision(study)}"\n')
        return archive, cohort


def _tidy(board: Board) -> None:
    """Let what has failed be tried again, and remove what a kill has left of finished trainings."""
    board.forgive()
    for run in board.plan.runs:
        if board.done(run):
            remove_state(board.folder(run))
            for path in board.folder(run).glob("claim-*.json"):
                path.unlink(missing_ok=True)


def _results(study: Study, cohort: Cohort, plan: Plan, watcher: Watcher, engine: Engine) -> list[Row]:
    with hold_study(study):
        watcher.note("results: bootstrap intervals")
        return write_tables(study, cohort, plan, engine.workers if engine.name == "local" else 1)
