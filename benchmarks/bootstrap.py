"""How fast are the intervals? 1000 resamples of the paper's combined test set, beside plain loops in the same run.

    python benchmarks/bootstrap.py [RESAMPLES]

The plain loops put the rows of each resample together, and rank them anew or call scikit-learn. All work on the same
resamples, and the results are compared. Each of ours is the shortest of five; the loops do 50 resamples each time
between them and are scaled up, so that both meet the same load of the machine.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from precordial.evaluation import bootstrap_difference, delong_auc, delong_test, resample_metric

Floats = NDArray[np.float64]
Loop = Callable[[Floats, Floats], float]
ECGS, PATIENTS, PREVALENCE = 12_743, 11_235, 0.058  # both test sets of the paper together
TIMES, FEW = 5, 50


def main(replicates: int = 1000) -> None:
    """Time them and print the ratios."""
    rng = np.random.default_rng(0)
    patients = np.sort(np.concatenate([np.arange(PATIENTS), rng.integers(0, PATIENTS, ECGS - PATIENTS)]))
    truth = (rng.random(ECGS) < PREVALENCE).astype(float)
    score = rng.normal(size=ECGS) + 1.4 * truth
    other = score + 0.5 * rng.normal(size=ECGS)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{replicates} resamples of {ECGS:,} ECGs of {PATIENTS:,} patients, one thread of {cores} cores")

    for metric in ("auc", "average_precision"):
        for drawn, groups in (("ECGs", None), ("patients", patients)):
            rows_of = np.split(np.arange(ECGS), np.searchsorted(patients, np.arange(1, PATIENTS)))
            units = [np.array([i]) for i in range(ECGS)] if groups is None else rows_of
            loops, ours, apart = oracles(metric), [], 0.0
            theirs: dict[str, list[float]] = {name: [] for name in loops}
            for _ in range(TIMES):
                start = time.perf_counter()
                found = resample_metric(metric, truth, [score], groups, replicates=replicates)
                ours.append(time.perf_counter() - start)
                for name, call in loops.items():
                    start = time.perf_counter()
                    values = loop(call, truth, score, units)
                    theirs[name].append((time.perf_counter() - start) * replicates / FEW)
                    apart = max(apart, float(np.abs(values - found.values[:FEW]).max()))
            print(f"{metric} of {drawn}: precordial {min(ours):.3f} s")
            for name, took in theirs.items():
                ratio = min(took) / min(ours)
                print(f"    {name:20} {min(took):7.3f} s, {ratio:5.1f} times as long; at most {apart:.0e} apart")

    more: dict[str, Callable[[], object]] = {
        "stratified": lambda: resample_metric("auc", truth, [score], patients, replicates=replicates, stratify=True),
        "difference": lambda: bootstrap_difference("auc", truth, score, other, patients, replicates=replicates),
        "DeLong": lambda: delong_auc(truth, score, patients),
        "DeLong, paired test": lambda: delong_test(truth, score, other, patients),
    }
    for name, make in more.items():
        print(f"auc of patients, {name}: {best(make):.4f} s")


def loop(auc: Loop, truth: Floats, score: Floats, units: list[NDArray[np.intp]]) -> Floats:
    """The textbook's bootstrap: draw units, put their rows together, measure."""
    draw = np.random.default_rng(0)
    out = []
    for _ in range(FEW):
        drawn = draw.integers(len(units), size=len(units))
        rows = drawn if len(units) == len(truth) else np.concatenate([units[i] for i in drawn])
        out.append(auc(truth[rows], score[rows]))
    return np.array(out)


def best(call: Callable[[], object]) -> float:
    """The shortest of some calls in seconds."""
    took = []
    for _ in range(TIMES):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    return min(took)


def oracles(metric: str) -> dict[str, Loop]:
    """The functions to loop over."""
    found: dict[str, Loop] = {"loop, ranks anew": auc_by_ranks} if metric == "auc" else {}
    if find_spec("sklearn"):
        from sklearn import metrics  # type: ignore[import-untyped,unused-ignore]

        found["loop, scikit-learn"] = {
            "auc": metrics.roc_auc_score,
            "average_precision": metrics.average_precision_score,
        }[metric]
    return found


def auc_by_ranks(truth: Floats, score: Floats) -> float:
    """Mann–Whitney: the mean rank of the cases, ties sharing theirs."""
    _, place, times = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(times) - (times - 1) / 2)[place]
    cases = truth.sum()
    return float((rank[truth == 1].sum() - cases * (cases + 1) / 2) / (cases * (len(truth) - cases)))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
