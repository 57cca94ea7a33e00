"""Progress on a terminal: bars with rate and time left; on a log, a line now and then."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from precordial.watcher import Watcher

if TYPE_CHECKING:
    from precordial.training import Step, TrainingRun

LOG_EVERY = 30.0  # seconds between lines where there is no terminal


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        unit = task.fields.get("unit", "")
        return Text("" if task.speed is None else f"{task.speed:,.1f} {unit}/s")


class ConsoleWatcher(Watcher):
    """Shows a study, an ingest or a synthetic hospital in the making as it runs; a context manager.

    Args:
        console: where to write; standard error by default, so that tables on standard output stay clean.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._close()

    def note(self, text: str) -> None:
        """Print one line."""
        self._close()
        self.console.print(escape(text), soft_wrap=True)

    def files(self, done: int, total: int) -> None:
        """Move the bar of files that are read."""
        self._advance("reading files", done, total, "files")

    def written(self, done: int, total: int) -> None:
        """Move the bar of ECGs that are written."""
        self._advance("writing ECGs", done, total, "ECGs")

    def ecgs(self, done: int, total: int) -> None:
        """Move the bar of ECGs that are checked."""
        self._advance("checking ECGs", done, total, "ECGs")

    def downloaded(self, done: int, total: int, unit: str) -> None:
        """Move the bar of what is fetched."""
        self._advance("downloading", done, total, unit)

    def run_begins(self, number: int, total: int, run: TrainingRun) -> None:
        """Say which training begins."""
        self.note(f"training {number} of {total}: {run.describe()}")

    def trainings(self, done: int, total: int, at_work: str) -> None:
        """Move the bar of trainings."""
        self._advance(f"training  {at_work}", done, total, "trainings")

    def step(self, step: Step) -> None:
        """Move the bar of the training."""
        total = step.epochs * step.steps
        done = (step.epoch - 1) * step.steps + step.step
        shown = {key: value for key, value in step.metrics.items() if key.startswith("validation_")}
        if "validation_auc" in shown:  # the mean stands for many outcomes
            shown = {key: shown[key] for key in ("validation_loss", "validation_auc")}
        text = "  ".join(f"{key.removeprefix('validation_')} {value:.3f}" for key, value in shown.items())
        self._advance(f"epoch {step.epoch}/{step.epochs}  {text}", done, total, "steps")

    def run_ends(self, run: TrainingRun) -> None:
        """Take the bar away."""
        self._close()

    def _advance(self, text: str, done: int, total: int, unit: str) -> None:
        if not self.console.is_terminal:
            if time.monotonic() - self._last_line > LOG_EVERY:
                self._last_line = time.monotonic()
                self.console.print(escape(f"  {text}: {done:,} of {total:,} {unit}"), soft_wrap=True)
            return
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                _Rate(),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self._bar.start()
            # A resumed training begins in the middle: what was done before must not count as speed.
            self._bar.add_task(escape(text), total=total, completed=max(done - 1, 0), unit=unit)
        self._bar.update(self._bar.task_ids[0], description=escape(text), completed=done, total=total)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
