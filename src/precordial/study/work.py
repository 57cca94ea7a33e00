"""The work of a study's process, on whatever machine: claim what is ready, train it, until nothing is left."""

from __future__ import annotations

import time
import traceback
from errno import EDQUOT, EFBIG, ENOSPC, EROFS
from pathlib import Path
from typing import TYPE_CHECKING

from precordial.archive import Archive
from precordial.claims import POLL, Claim, ClaimLostError, Claims
from precordial.cohort import Cohort
from precordial.errors import PrecordialError
from precordial.study.board import Board, Failure
from precordial.study.plan import make_plan
from precordial.study.settings import Study
from precordial.training import TrainingRun
from precordial.training.layout import NOTES
from precordial.watcher import Watcher

if TYPE_CHECKING:
    from precordial.training import Step

TRIES = 3  # owners of a training that may die, one after the other, without having saved a state
KILLED = f"its process ended {TRIES} times without a saved state; see that there is memory enough"
EVERYWHERE = {ENOSPC, EDQUOT, EFBIG, EROFS}  # the fault is the disk's, and the next training would meet it, too


def work_in(settings: str, who: str, *, stay: bool) -> None:
    """Work on a study, in a process of its own: the entry of every engine's workers.

    Args:
        settings: a `Study` as JSON, so that what travels between machines is text.
        who: this worker, in words.
        stay: see `work`.
    """
    study = Study.model_validate_json(settings)
    archive, cohort = Archive(study.archive_path), Cohort.load(study.folder / "cohort")
    board = Board(study, make_plan(study, cohort.digest, cohort.outcomes))
    work(study, board, cohort, archive, Watcher(), Claims(who), stay=stay, keep_notes=True)


def work(
    study: Study,
    board: Board,
    cohort: Cohort,
    archive: Archive,
    watcher: Watcher,
    claims: Claims,
    *,
    stay: bool,
    keep_notes: bool = False,
) -> None:
    """Train whatever is ready and nobody else's, each training once, until nothing is left.

    Where torchrun has started several processes, all come here together: the first one claims, and all train.

    Args:
        study, board, cohort, archive: the study's.
        watcher: is told what happens.
        claims: of this process.
        stay: wait until all trainings of the study are settled, also those of others, and take over what they leave;
            else only as long as some training waits for one of them.
        keep_notes: write what a training wants known into its folder.
    """
    from precordial.training.distributed import first_finds

    held: list[Claim] = []
    places = {run.id: place for place, run in enumerate(board.plan.runs)}

    def choose() -> int:
        pause = POLL[0]
        while True:
            ready = board.ready()
            for run in ready:
                claim = claims.take(board.folder(run), mark=board.mark(run))
                if claim is None:
                    continue
                if claim.deaths >= TRIES:
                    board.fail(run, KILLED)
                if board.settled(run):  # now, or by who had claimed it before
                    claim.release()
                    continue
                held.append(claim)
                return places[run.id]
            if not (board.left() if stay else ready and board.expecting()):
                return -1
            time.sleep(pause)
            pause = min(2 * pause, POLL[1])

    while (number := first_finds(choose)) >= 0:
        run = board.plan.runs[number]
        claim = held.pop() if held else None
        if claim is None:  # not the first of several processes
            _train(study, board, run, cohort, archive, Watcher(), None, None)
            continue
        notes = board.folder(run) / NOTES if keep_notes else None
        with claim:
            watcher.run_begins(board.count() + 1, len(board.plan.runs), run)
            _recorded(study, board, run, cohort, archive, watcher, claim, notes)
            if board.done(run):  # says so by itself, and is not claimed any more
                claim.clear()


def _recorded(
    study: Study,
    board: Board,
    run: TrainingRun,
    cohort: Cohort,
    archive: Archive,
    watcher: Watcher,
    claim: Claim,
    notes: Path | None,
) -> None:
    """Train a run, or write down why that cannot be."""
    from precordial.training.distributed import processes

    try:
        _train(study, board, run, cohort, archive, watcher, claim, notes)
    except ClaimLostError:
        watcher.note(f"{run.describe()}: another process has taken over")
        return
    except Exception as error:
        if isinstance(error, OSError) and error.errno in EVERYWHERE:
            raise
        reason = reason_of(error)
        board.fail(run, reason)
        watcher.note(f"failed: {Failure(run, reason, 0).text}")
        if processes() > 1:  # the others are in the middle of it
            raise
        _free_memory()
    watcher.run_ends(run)


def _train(
    study: Study,
    board: Board,
    run: TrainingRun,
    cohort: Cohort,
    archive: Archive,
    watcher: Watcher,
    claim: Claim | None,
    notes: Path | None,
) -> None:
    from precordial.training.loop import train

    def note(text: str) -> None:
        watcher.note(text)
        if notes:
            with notes.open("a", encoding="utf-8") as file:
                file.write(f"{text}\n")

    def step(now: Step) -> None:
        if claim:
            claim.check()
        watcher.step(now)

    settings = study.training
    train(
        run,
        cohort,
        archive,
        board.folder(run),
        parent=board.parent(run),
        device=settings.device,
        resident=settings.resident,
        save_every=settings.save_every,
        progress=step,
        note=note,
        track=settings.track,
    )


def reason_of(error: Exception) -> str:
    """Why a training has failed, in a line.

    What a message of another library says may hold cells of a table: of those only the kind and the place are told.
    """
    if isinstance(error, PrecordialError):
        return str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "there was not enough memory; take a smaller batch, fewer workers, or training.resident = false"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror} (says the system)"
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if "precordial" in Path(frame.filename).parts]
    where = f" in {Path(own[-1].filename).name}, line {own[-1].lineno}" if own else ""
    return f"{type(error).__name__}{where}"


def _free_memory() -> None:
    """After a failure, give back what the training held on the GPU."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
