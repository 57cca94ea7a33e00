"""Who is told what happens; the package itself prints nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from precordial.training import Step, TrainingRun


class Watcher:
    """What is told about a study as it runs; this one keeps silent. The command line's draws progress bars."""

    def note(self, text: str) -> None:
        """A step begins or ends."""

    def files(self, done: int, total: int) -> None:
        """Files read of all."""

    def run_begins(self, number: int, total: int, run: TrainingRun) -> None:
        """Training `number` of `total` begins."""

    def trainings(self, done: int, total: int, at_work: str) -> None:
        """Trainings finished of all, where other processes do them; `at_work` says what these are at."""

    def step(self, step: Step) -> None:
        """A training step is done."""

    def run_ends(self, run: TrainingRun) -> None:
        """A training is finished."""
