"""How often intervals hold the truth: test sets like the paper's are drawn again and again from a known population.

    python tests/coverage_simulation.py [SIMULATIONS] [EVENTS]

A test set has the paper's prevalence and, by default, the size of its temporal test. What a patient's ECGs share is
80 % of the variance of a score, and with probability 0.7 an ECG has its patient's own outcome. The AUC is the paper's
0.846; a second score of the same ECGs is a little worse. Printed is the share of the intervals of 95 % that hold the
truth, with its standard error.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from precordial.evaluation import auc, delong_auc, delong_test
from precordial.evaluation.derivatives import influences
from precordial.evaluation.intervals import IntervalName, bootstrap_interval
from precordial.evaluation.metrics import weighted_auc, weighted_average_precision
from precordial.evaluation.resampling import resampled

Floats = NDArray[np.float64]
PATIENTS, ECGS, PREVALENCE = 5_618, 6_012, 0.0581
EFFECTS = tuple(math.sqrt(2) * NormalDist().inv_cdf(area) for area in (0.846, 0.83))
NAMES: tuple[IntervalName, ...] = ("basic", "percentile", "bca")
STATISTICS = ("AUC", "average precision", "difference of AUCs")


@dataclass
class Coverage:
    """How many intervals of each kind held the truth, of how many."""

    simulations: int = 0
    held: dict[str, int] = field(default_factory=dict)

    def count(self, name: str, interval: tuple[float, float], truth: float) -> None:
        low, high = interval
        self.held[name] = self.held.get(name, 0) + (low <= truth <= high)

    def share(self, name: str) -> tuple[float, float]:
        """The share that held, and its standard error."""
        p = self.held[name] / self.simulations
        return p, math.sqrt(p * (1 - p) / self.simulations)


def draw(rng: np.random.Generator, scale: float) -> tuple[Floats, Floats, Floats, NDArray[np.intp]]:
    """Truth, two scores and patients of one test set."""
    patients, n = round(scale * PATIENTS), round(scale * ECGS)
    patient = np.sort(np.concatenate([np.arange(patients), rng.integers(0, patients, n - patients)]))
    own, fresh = rng.random(patients) < PREVALENCE, rng.random(n) < PREVALENCE
    truth = np.where(rng.random(n) < 0.7, own[patient], fresh).astype(float)
    noise = math.sqrt(0.8) * rng.normal(size=patients)[patient] + math.sqrt(0.2) * rng.normal(size=n)
    other = math.sqrt(0.8) * noise + math.sqrt(0.2) * rng.normal(size=n)
    return truth, EFFECTS[0] * truth + noise, EFFECTS[1] * truth + other, patient


def true_values() -> dict[str, float]:
    """Of the population: the AUCs in closed form, the average precision by integration over the scores of cases."""
    areas = [NormalDist().cdf(effect / math.sqrt(2)) for effect in EFFECTS]
    s = np.linspace(-9, 9, 200_001) + EFFECTS[0]
    density = np.exp(-((s - EFFECTS[0]) ** 2) / 2)
    cases, controls = (_tail(s - effect) for effect in (EFFECTS[0], 0.0))
    precision = PREVALENCE * cases / (PREVALENCE * cases + (1 - PREVALENCE) * controls)
    values = areas[0], float(np.average(precision, weights=density)), areas[0] - areas[1]
    return dict(zip(STATISTICS, values, strict=True))


def _tail(z: Floats) -> Floats:
    from scipy.special import erfc

    return np.asarray(erfc(z / math.sqrt(2)) / 2)


def simulate(simulations: int, *, events: float = ECGS * PREVALENCE, replicates: int = 1000) -> Coverage:
    """Draw so many test sets of about so many events and try every interval on each."""
    found, truths = Coverage(), true_values()
    for seed in range(simulations):
        truth, a, b, patient = draw(np.random.default_rng([seed, 7]), events / (ECGS * PREVALENCE))
        found.simulations += 1
        statistics = weighted_auc(truth, a), weighted_auc(truth, b), weighted_average_precision(truth, a)
        moved = [influences(metric, truth, s) for metric, s in (("auc", a), ("auc", b), ("average_precision", a))]
        moved = [moved[0], moved[2], moved[0] - moved[1]]
        case = np.bincount(patient, truth) > 0
        for strata, where in ((None, ""), (case, ", stratified")):

            def all_three(weights: Floats, statistics: tuple = statistics) -> Floats:  # type: ignore[type-arg]
                first, second, precision = (statistic(weights) for statistic in statistics)
                return np.stack([first, precision, first - second], axis=1)

            values = resampled(all_three, patient, replicates, seed, strata)
            whole = all_three(np.ones((1, len(truth))))[0]
            for at, (name, of_row) in enumerate(zip(STATISTICS, moved, strict=True)):
                of_patient = np.bincount(patient, of_row)
                for kind in NAMES:
                    ends = bootstrap_interval(kind, float(whole[at]), values[:, at], 0.95, of_patient)
                    found.count(f"{name}, {kind}{where}", ends, truths[name])
        for scale in ("auc", "logit"):
            one = delong_auc(truth, a, patient, scale=scale)
            found.count(f"AUC, DeLong{', logit' * (scale == 'logit')}", (one.low, one.high), truths["AUC"])
        test = delong_test(truth, a, b, patient).difference
        found.count("difference of AUCs, DeLong", (test.low, test.high), truths["difference of AUCs"])
        assert math.isclose(auc(truth, a), whole[0], abs_tol=1e-12)
    return found


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    some = float(sys.argv[2]) if len(sys.argv) > 2 else ECGS * PREVALENCE
    result = simulate(count, events=some)
    print(f"{count} test sets of about {some:.0f} events; true values {true_values()}")
    for name in sorted(result.held):
        share, error = result.share(name)
        print(f"{name:45} {100 * share:5.1f} % ± {100 * error:.1f}")
