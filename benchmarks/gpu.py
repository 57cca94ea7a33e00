"""How fast do the four models train and score? On a GPU if there is one, else on the processor.

    python benchmarks/gpu.py [--ecgs 20480] [--batch 256] [--models rn-900k,rn-7m] [--folder FOLDER]

Noise takes the place of ECGs: 500 Hz, ten seconds, in an archive as `ingest` writes it. Each model is trained by
`precordial.training.train` for two epochs in float32 and in bfloat16; the second epoch counts. "Waiting" is the share
of that epoch in which no batch was there: reading, copying to the device, preparing. Scoring is in float32, as
predictions are. Memory is the peak that PyTorch held on the GPU during training.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from precordial.archive import Archive
from precordial.archive.layout import Manifest
from precordial.archive.taken import take
from precordial.archive.writer import ArchiveWriter
from precordial.cohort import Cohort
from precordial.ecg import EIGHT, Ecg
from precordial.models import MODELS, load_model
from precordial.training import Stage, TrainingRun, scoring, steps, train
from precordial.training.examples import examples_of
from precordial.training.layout import BEST, METRICS
from precordial.training.loader import Batch, batches
from precordial.training.options import Precision

RATE, SAMPLES, HELD = 500, 5000, 256  # ECGs for validation and for the test


def make(folder: Path, n: int) -> tuple[Cohort, Archive]:
    """An archive of n noises, all different, and a cohort of them with labels by chance."""
    draw = np.random.default_rng(0)
    noises = draw.standard_normal((64, len(EIGHT), SAMPLES)).astype(np.float32)
    with ArchiveWriter(folder, Manifest(rate=RATE, samples=SAMPLES)) as writer:
        for k in range(n):
            signal = np.roll(noises[k % 64], k // 64, axis=1)
            ecg = Ecg(signal, rate=RATE, leads=EIGHT, patient_id=f"p{k}", source="noise")
            writer.add(k, [take(ecg, ecg_id=k, source=f"{k}")])
    number = np.arange(n)
    split = np.where(number < HELD, "validation", np.where(number < 2 * HELD, "random_test", "train"))
    text = number.astype(str)
    cohort = Cohort(
        ecg_id=np.array([f"{k:016x}" for k in range(n)]),
        patient_id=text,
        visit_id=text,
        prediction_time=np.full(n, np.datetime64("2017-01-01T00:00:00")),
        role=np.full(n, "target"),
        split=split,
        order=np.maximum(number - 2 * HELD, number % HELD),
        age=draw.uniform(20, 90, n),
        sex=draw.integers(0, 2, n).astype(float),
        labels={"label": draw.integers(0, 2, n).astype(float)},
        age_source=np.full(n, ""),
        sex_source=np.full(n, ""),
    )
    return cohort, Archive(folder)


class Waiting:
    """Stands in for the loader's `batches`, and adds up how long each pass waited for its batches."""

    def __init__(self) -> None:
        self.passes: list[float] = []

    def __call__(self, *given: Any) -> Iterator[Batch]:
        number = len(self.passes)
        self.passes.append(0.0)
        source = batches(*given)
        while True:
            start = time.perf_counter()
            batch = next(source, None)
            synchronise()
            self.passes[number] += time.perf_counter() - start
            if batch is None:
                return
            yield batch


def synchronise() -> None:
    """Wait until the GPU has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def main() -> None:
    """Make the archive, train, score, and print a line for each model and precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ecgs", type=int, default=20_480, help="for training")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--folder", type=Path, help="for archive and models; needs 80 kB an ECG")
    options = parser.parse_args()
    gpu = torch.cuda.is_available()
    place = torch.device("cuda" if gpu else "cpu")
    print(f"{torch.cuda.get_device_name() if gpu else platform.processor()}, torch {torch.__version__}, {options}")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        start = time.perf_counter()
        cohort, archive = make(folder / "archive", options.ecgs + 2 * HELD)
        print(f"archive written in {time.perf_counter() - start:.0f} s")
        print(
            "| model | precision | training, ECG/s | waiting | scoring, ECG/s | memory, GB |\n|---|---|---|---|---|---|"
        )
        for model in options.models.split(","):
            for precision in ("fp32", "bf16"):
                print(measure(model, precision, options.batch, cohort, archive, folder, place), flush=True)


def measure(
    model: str, precision: Precision, batch: int, cohort: Cohort, archive: Archive, folder: Path, place: torch.device
) -> str:
    """A line of the table."""
    stages = (Stage(epochs=2, peak=1e-4),)
    run = TrainingRun(
        model=model, rate=RATE, role="target", task="label", stages=stages, batch=batch, precision=precision
    )
    gpu = place.type == "cuda"
    if gpu:
        torch.cuda.reset_peak_memory_stats()
    waiting = Waiting()
    vars(steps)["batches"] = vars(scoring)["batches"] = waiting
    train(run, cohort, archive, folder / run.id, device=place.type)
    memory = f"{torch.cuda.max_memory_allocated() / 1e9:.1f}" if gpu else "–"
    vars(steps)["batches"] = vars(scoring)["batches"] = batches
    row = json.loads((folder / run.id / METRICS).read_text().splitlines()[1])
    training = examples_of(run, cohort.select(role="target", split="train"), archive)
    share = waiting.passes[2] * row["ecgs_per_second"] / len(training)  # after an epoch and its validation

    network, _ = load_model(folder / run.id / BEST)
    network.to(place)
    part = examples_of(run, cohort.select(role="target", split="validation"), archive)
    scoring.forward(network, part, place)
    start = time.perf_counter()
    scoring.forward(network, training, place)
    scored = len(training) / (time.perf_counter() - start)
    return f"| `{model}` | {precision} | {row['ecgs_per_second']:,.0f} | {share:.0%} | {scored:,.0f} | {memory} |"


if __name__ == "__main__":
    main()
