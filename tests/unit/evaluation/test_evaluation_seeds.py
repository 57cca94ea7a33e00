import math

import numpy as np
import pytest

from precordial.errors import PrecordialError
from precordial.evaluation import Predictions, across_seeds, auc, evaluate

N = 600


def trained(seed: int, spread: float = 0.5, effect: float = 1.0, run: str = "run") -> Predictions:
    """One training: the patients' own noise is common to all seeds, a little is the seed's."""
    common = np.random.default_rng(0)
    truth = (common.random(N) < 0.15).astype(float)
    score = effect * truth + common.normal(size=N) + spread * np.random.default_rng(seed).normal(size=N)
    split = np.where(np.arange(N) < 300, "random_test", "temporal_test")
    patient = np.arange(N) // 2
    return Predictions(f"{run}{seed}", np.arange(N), patient, split, "AMI", truth, 1 / (1 + np.exp(-score)))


def test_the_mean_is_that_of_the_seeds_and_the_spread_theirs() -> None:
    tables = [trained(seed) for seed in (1, 2, 3)]
    found = across_seeds(tables, replicates=200)
    assert [(one.split, one.metric) for one in found] == [
        (split, metric)
        for split in ("random_test", "temporal_test", "combined_test")
        for metric in ("auc", "average_precision")
    ]
    combined = found[4]
    aucs = [auc(table.truth, table.score) for table in tables]
    assert combined.values == pytest.approx(aucs, abs=1e-15)
    assert combined.estimate.value == pytest.approx(np.mean(aucs), abs=1e-14)
    assert combined.seed_sd == pytest.approx(np.std(aucs, ddof=1), abs=1e-14)
    assert combined.combined_se**2 == pytest.approx(combined.sampling_se**2 + np.var(aucs, ddof=1) / 3)
    assert (combined.estimate.n, combined.estimate.patients) == (N, N // 2)
    reach = combined.estimate.high - combined.estimate.value
    assert reach == pytest.approx(1.96 * combined.combined_se, rel=1e-3)  # the spread of the seeds is small here
    assert combined.estimate.value - combined.estimate.low == pytest.approx(reach)


def test_few_seeds_that_spread_widely_have_students_interval() -> None:
    tables = [trained(1, spread=0.0), trained(2, spread=4.0)]
    one = across_seeds(tables, replicates=200)[0]
    assert one.seed_sd > 2 * one.sampling_se
    # Nearly all of the error has one degree of freedom, of which the quantile is 12.7 instead of 1.96.
    assert one.estimate.high - one.estimate.value > 5 * one.combined_se


def test_the_sampling_error_is_common_and_does_not_shrink_with_seeds() -> None:
    same = [trained(1), trained(1, run="again"), trained(1, run="third")]
    three, one = across_seeds(same, replicates=300)[0], across_seeds(same[:1], replicates=300)[0]
    assert three.seed_sd == pytest.approx(0, abs=1e-15)
    assert three.sampling_se == pytest.approx(one.sampling_se, rel=1e-12)
    assert three.combined_se == pytest.approx(three.sampling_se, rel=1e-12)
    alone = evaluate(trained(1), replicates=300)[0].estimate
    assert three.sampling_se == pytest.approx((alone.high - alone.low) / (2 * 1.96), rel=0.15)


def test_one_seed_has_no_spread_and_says_so() -> None:
    (one, *_) = across_seeds([trained(1)], replicates=100)
    assert math.isnan(one.seed_sd)
    assert math.isnan(one.combined_se)
    assert str(one.estimate).endswith("(–)")
    assert one.sampling_se > 0


def test_differences_are_paired_by_seed() -> None:
    better, worse = [trained(s, effect=1.2) for s in (1, 2, 3)], [trained(s, effect=1.0, run="b") for s in (1, 2, 3)]
    (difference, *_) = across_seeds(better, worse, replicates=200)
    assert difference.metric == "auc_difference"
    pairs = [
        auc(a.truth[:300], a.score[:300]) - auc(b.truth[:300], b.score[:300])
        for a, b in zip(better, worse, strict=True)
    ]
    assert difference.values == pytest.approx(pairs, abs=1e-15)
    alone = across_seeds(better, replicates=200)[0]
    assert difference.sampling_se < alone.sampling_se / 2


def test_rows_of_the_results_table() -> None:
    (one, *_) = across_seeds([trained(1), trained(2)], replicates=100)
    mean, sd, se = one.results()
    assert [r.metric for r in (mean, sd, se)] == ["auc_seed_mean", "auc_seed_sd", "auc_sampling_se"]
    assert (mean.estimate, sd.estimate.value, se.estimate.value) == (one.estimate, one.seed_sd, one.sampling_se)
    assert str(sd.estimate).endswith("(–)")


def test_seeds_of_other_cohorts_are_refused() -> None:
    other = trained(2).rows(np.arange(N - 1))
    with pytest.raises(PrecordialError, match="not scored on the same ECGs"):
        across_seeds([trained(1), other])
    with pytest.raises(ValueError, match="2 seeds, and 1 to compare"):
        across_seeds([trained(1), trained(2)], [trained(3)])


@pytest.mark.slow
def test_the_combined_error_is_that_of_whole_repetitions() -> None:
    """New patients and new seeds each time: the mean over 3 seeds spreads as the combined error says.

    300 repetitions know a standard deviation to 1 / √600 = 4 %.
    """
    means, errors, sampling = [], [], []
    for repetition in range(300):
        rng = np.random.default_rng(repetition)
        n = 400
        truth = (rng.random(n) < 0.2).astype(float)
        common = truth + rng.normal(size=n)
        tables = []
        for seed in range(3):
            weight = 1 + 0.9 * abs(rng.normal())  # some seeds end at a worse model
            score = common + weight * rng.normal(size=n)
            tables.append(Predictions(f"s{seed}", np.arange(n), np.arange(n), "test", "AMI", truth, score))
        (one, *_) = across_seeds(tables, replicates=200, seed=repetition)
        means.append(one.estimate.value)
        errors.append(one.combined_se)
        sampling.append(one.sampling_se)
    spread = float(np.std(means, ddof=1))
    assert math.sqrt(np.mean(np.square(errors))) == pytest.approx(spread, rel=0.15)
    assert math.sqrt(np.mean(np.square(sampling))) < spread
