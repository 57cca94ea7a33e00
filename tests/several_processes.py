"""What one of several processes does for the tests: trainings together, whole and with an interruption.

RANK=… WORLD_SIZE=… MASTER_ADDR=… MASTER_PORT=… python tests/several_processes.py FOLDER
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from precordial.archive import Archive
from precordial.cohort import Cohort
from precordial.models import create_model
from precordial.training import Stage, Step, TrainingRun, steps, train
from precordial.training.loader import batches

RUNS = [
    TrainingRun(
        model=model,
        rate=100,
        role="source",
        task="age-sex",
        stages=(Stage(epochs=2, peak=1e-4),),  # where the paper begins
        batch=4,
        age_bias="median",
        adam_epsilon=epsilon,
    )
    for model, epsilon in (("cnn-20k", 1e-7), ("rn-900k", 1e-8))
]
EVERYTHING: dict[str, Any] = {
    "precision": "bf16",
    "ema": 0.9,
    "clip_norm": 1.0,
    "label_smoothing": 0.1,
    "class_weights": "balanced",
}
ECGS = {"target": 0, "source": 14}  # 11 of them to learn from: batches of 4, 4 and 3


class Stopped(Exception):
    pass


class StopAt:
    """Stops a training after a step of an epoch."""

    def __init__(self, epoch: int, step: int) -> None:
        self.at = (epoch, step)

    def __call__(self, now: Step) -> None:
        if (now.epoch, now.step) == self.at:
            raise Stopped


def three_steps(run: TrainingRun, cohort: Cohort, archive: Archive, folder: Path, *, double: bool) -> None:
    """Leave the state after three steps in a folder; `double` computes the network in float64."""

    def double_batches(*given: Any) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return ((inputs.double(), *rest) for inputs, *rest in batches(*given))

    def double_model(*given: Any, **options: Any) -> torch.nn.Module:
        return create_model(*given, **options).double()

    if double:
        with (
            patch.object(steps, "batches", double_batches),
            patch("precordial.training.loop.create_model", double_model),
        ):
            three_steps(run, cohort, archive, folder, double=False)
        return
    with suppress(Stopped):
        train(run, cohort, archive, folder, device="cpu", save_every=0, progress=StopAt(1, 3))


def launch(folder: Path, processes: int) -> None:
    """Run this file in so many processes, as torchrun would, to their end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    about = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    running = [
        subprocess.Popen(
            [sys.executable, __file__, str(folder)],
            env={**os.environ, **about, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        for rank in range(processes)
    ]
    said = [process.communicate(timeout=600)[1] for process in running]
    assert [process.returncode for process in running] == [0] * processes, "\n".join(said)


def main(folder: Path) -> None:
    from conftest import make_small_cohort
    from precordial.training.distributed import joined, rank

    with joined(torch.device("cpu")):
        made = make_small_cohort(folder / f"archive-{rank()}", **ECGS)
        for run in RUNS:
            for double in (False, True):
                three_steps(run, *made, folder / run.model / str(double), double=double)
        run = RUNS[1].model_copy(update=EVERYTHING)
        train(run, *made, folder / "whole", device="cpu")
        with suppress(Stopped):
            train(run, *made, folder / "cut", device="cpu", save_every=0, progress=StopAt(2, 2))
        train(run, *made, folder / "cut", device="cpu")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
