"""How much faster is an epoch of a frozen stage on stored features than behind the body?

    python benchmarks/frozen.py [--models cnn-20k,rn-900k] [--size 1] [--threads 1]

Noise takes the place of ECGs: 500 Hz, ten seconds. Weights are random. For each model the head of a fine-tuning is
trained for an epoch and validated, behind the body and on features of it, in turns; the best of the epochs counts, by
the clock and by processor time, which other work on the machine disturbs less. Saving states and models is not in it.
"Once" is what computing the features takes, in epochs behind the body.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from loader import write
from precordial.archive import Archive
from precordial.models import create_model
from precordial.training import Stage, TrainingRun
from precordial.training.features import Features, make_features
from precordial.training.loader import Examples
from precordial.training.scoring import validate
from precordial.training.state import Learner
from precordial.training.steps import train_epoch

ROUNDS = 3
ECGS = {"cnn-20k": 1024, "rn-900k": 192, "rn-7m": 96, "rn-33m": 48}  # for training; a quarter more for validation


def main() -> None:
    """Make the archive, train heads, and print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=1, help="times as many ECGs")
    parser.add_argument("--models", default=",".join(ECGS))
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print("| model | ECGs | epoch behind the body, s | on features, s | ratio | by processor time | once | kB an ECG |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = options.models.split(",")
        write(folder / "archive", round(1.25 * options.size * max(ECGS[model] for model in models)))
        for model in models:
            n = round(options.size * ECGS[model])
            rows = np.arange(n + n // 4)
            truth = (rows[:, None] % 3 == 0).astype(np.float32)
            both = Examples(Archive(folder / "archive"), rows, truth)
            training, validation = (replace(both, rows=rows[k], truth=truth[k]) for k in (slice(n), slice(n, None)))
            print(measure(model, training, validation, folder), flush=True)


def measure(model: str, training: Examples, validation: Examples, folder: Path) -> str:
    """A line of the table."""
    place = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    stages = (Stage(epochs=2 * ROUNDS, peak=1e-4, trains="head"),)
    run = TrainingRun(model=model, role="target", task="label", stages=stages, cache_features=True)
    torch.manual_seed(0)
    network = create_model(model)
    network.replace_head("target")
    learner = Learner(network.to(place), torch.optim.Adam(network.parameters(), fused=True), None)

    start = time.perf_counter()
    stored = make_features(network, training, place, "fp32", folder, round(run.crop_grid * network.spec.model_rate))
    known = make_features(network, validation, place, "fp32", folder, None)
    once = time.perf_counter() - start

    def epoch(features: tuple[Features, Features] | None) -> tuple[float, float]:
        start, busy = time.perf_counter(), time.process_time()
        train_epoch(run, learner, training, place, folder, 1e9, None, features and features[0])
        validate(run, network, validation, place, features and features[1])
        learner.progress.epoch += 1
        return time.perf_counter() - start, time.process_time() - busy

    pairs = [(epoch(None), epoch((stored, known))) for _ in range(ROUNDS)]
    (body, body_busy), (head, head_busy) = (map(min, zip(*times, strict=True)) for times in zip(*pairs, strict=True))
    size = stored.values.nbytes / len(training) / 1000
    times = f"{body:.2f} | {head:.3f} | {body / head:.0f} | {body_busy / head_busy:.0f}"
    return f"| `{model}` | {len(training)} + {len(validation)} | {times} | {once / body:.1f} | {size:.1f} |"


if __name__ == "__main__":
    main()
