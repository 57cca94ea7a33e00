"""How fast is the bootstrap? 1000 resamples of the paper's combined test set, beside plain loops in the same run.

    python benchmarks/bootstrap.py [RESAMPLES]

The plain loop puts the rows of each resample together and ranks them anew; where scikit-learn is installed, a
loop over its `roc_auc_score` is timed too. All work on the same resamples, and the results are compared.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from precordial.evaluation import METRICS, Estimate, bootstrap_auc
from precordial.evaluation.resampling import resampled

Floats = NDArray[np.float64]
ECGS, PATIENTS, PREVALENCE = 12_743, 11_235, 0.058  # both test sets of the paper together


def main(replicates: int = 1000) -> None:
    """Time them and print the ratios."""
    rng = np.random.default_rng(0)
    patients = np.sort(np.concatenate([np.arange(PATIENTS), rng.integers(0, PATIENTS, ECGS - PATIENTS)]))
    truth = (rng.random(ECGS) < PREVALENCE).astype(float)
    score = rng.normal(size=ECGS) + 1.4 * truth

    seconds, found = best(lambda: bootstrap_auc(truth, score, patients, replicates=replicates))
    print(f"{replicates} resamples of {ECGS:,} ECGs of {PATIENTS:,} patients: AUC {found}")
    print(f"precordial           {seconds:7.3f} s")

    values = resampled(METRICS["auc"](truth, score), patients, replicates, seed=0)
    rows_of = np.split(np.arange(ECGS), np.searchsorted(patients, np.arange(1, PATIENTS)))
    few = min(replicates, 50)  # the loops are slow: time some and scale up

    def loop(auc: Callable[[Floats, Floats], float]) -> Floats:
        draw = np.random.default_rng(0)
        out = []
        for _ in range(few):
            rows = np.concatenate([rows_of[i] for i in draw.integers(PATIENTS, size=PATIENTS)])
            out.append(auc(truth[rows], score[rows]))
        return np.array(out)

    for name, auc in oracles().items():
        start = time.perf_counter()
        theirs = loop(auc)
        took = (time.perf_counter() - start) * replicates / few
        apart = np.abs(theirs - values[:few]).max()
        print(f"{name:20} {took:7.3f} s   {took / seconds:5.1f} times as long, equal to {apart:.0e}")


def best(call: Callable[[], Estimate], times: int = 3) -> tuple[float, Estimate]:
    """The shortest of some calls in seconds, and what it returned."""
    took = []
    for _ in range(times):
        start = time.perf_counter()
        result = call()
        took.append(time.perf_counter() - start)
    return min(took), result


def oracles() -> dict[str, Callable[[Floats, Floats], float]]:
    """The AUCs to loop over."""
    found: dict[str, Callable[[Floats, Floats], float]] = {"loop, ranks anew": auc_by_ranks}
    if find_spec("sklearn"):
        from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped,unused-ignore]

        found["loop, scikit-learn"] = roc_auc_score
    return found


def auc_by_ranks(truth: Floats, score: Floats) -> float:
    """Mann–Whitney: the mean rank of the cases, ties sharing theirs."""
    _, place, times = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(times) - (times - 1) / 2)[place]
    cases = truth.sum()
    return float((rank[truth == 1].sum() - cases * (cases + 1) / 2) / (cases * (len(truth) - cases)))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
