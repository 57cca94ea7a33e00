"""How long do a study's plan and its table of predictions take?

    python benchmarks/study.py [--runs 282] [--folder FOLDER]

The plan is that of 1720 trainings on the target and their 168 pre-trainings. The predictions are made up, in the sizes
of the paper's validation and test sets, and as many for each run.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from precordial.evaluation import Predictions
from precordial.study import Study, make_plan
from precordial.study.tables import PREDICTIONS, read_predictions, write_predictions_table

SPLITS = {"validation": 6711, "random_test": 6731, "temporal_test": 6012}  # ECGs, from Table I
SOURCES = [0.02, 0.04, 0.06, 0.08, *(k / 10 for k in range(1, 11))]
GRID = {
    "models": ["cnn-20k", "rn-900k", "rn-7m", "rn-33m"],
    "pretraining": ["none", "age", "sex", "age-sex"],
    "source_fractions": SOURCES,
    "target_fractions": [k / 10 for k in range(1, 11)],
}


def main() -> None:
    """Plan, write, read, and print the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=282)
    parser.add_argument("--folder", type=Path, help="for the predictions; needs 3 MB a run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        study = Study.model_validate({"name": "s", "out": folder, "grid": [GRID]})
        start = time.perf_counter()
        plan = make_plan(study)
        print(f"{len(plan.runs)} trainings planned in {time.perf_counter() - start:.2f} s")

        runs = make_predictions(folder, options.runs)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.perf_counter()
        write_predictions_table(folder, runs)
        took, size = time.perf_counter() - start, (folder / PREDICTIONS).stat().st_size
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        rows = options.runs * sum(SPLITS.values())
        print(f"{rows:,} predictions written in {took:.1f} s, {size / 1e6:.0f} MB, {held / 1e3:.0f} MB more memory")
        start = time.perf_counter()
        found = read_predictions(folder, run=list(runs)[len(runs) // 2])
        print(f"{len(found):,} of one run read in {time.perf_counter() - start:.3f} s")


def make_predictions(folder: Path, count: int) -> dict[str, Path]:
    """Files of predictions, equal but for the run."""
    draw, n = np.random.default_rng(0), sum(SPLITS.values())
    split = np.repeat(list(SPLITS), list(SPLITS.values()))
    patients = [f"{number:010}" for number in draw.integers(0, 10**10, n)]
    ecgs = [f"{number:016x}" for number in draw.integers(0, 2**62, n)]
    table = Predictions("r", ecgs, patients, split, "AMI", draw.random(n) < 0.058, draw.random(n))
    table.save(folder / "one.csv")
    text, runs = (folder / "one.csv").read_text(), {}
    for number in range(count):
        path = folder / "runs" / f"{number:012}" / "predictions.csv"
        path.parent.mkdir(parents=True)
        path.write_text(text.replace("\nr,", f"\n{number:012},"))
        runs[path.parent.name] = path
    return runs


if __name__ == "__main__":
    main()
