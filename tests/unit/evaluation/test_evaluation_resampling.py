"""The bootstrap against a plain loop on the same draws, its independence of order, and its coverage."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray

from precordial.evaluation import auc, bootstrap, bootstrap_auc, bootstrap_difference, measure, resample_metric
from precordial.evaluation.intervals import IntervalName, bootstrap_interval
from precordial.evaluation.metrics import weighted_auc
from precordial.evaluation.resampling import CHUNK, resampled

Arrays = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.str_]]
EFFECT = 1.2


def clustered(n_patients: int, seed: int, prevalence: float = 0.2) -> Arrays:
    """Patients with 1 to 6 ECGs; what a patient's ECGs share is most of their score."""
    rng = np.random.default_rng(seed)
    times = rng.integers(1, 7, n_patients)
    case = (rng.random(n_patients) < prevalence).astype(float)
    of = np.repeat(np.arange(n_patients), times)
    noise = math.sqrt(0.9) * rng.normal(size=n_patients)[of] + math.sqrt(0.1) * rng.normal(size=len(of))
    return case[of], EFFECT * case[of] + noise, np.char.add("patient-", of.astype(np.str_))


def basic_interval(value: float, values: NDArray[np.float64], level: float) -> tuple[float, float]:
    return bootstrap_interval("basic", value, values, level, np.zeros(0))


def plain_loop(
    metric: str, truth: NDArray[np.float64], score: NDArray[np.float64], patients: NDArray[np.str_], replicates: int
) -> list[float]:
    """Draw patients, put their rows together, measure: the bootstrap as a textbook has it."""
    rng = np.random.default_rng(5)
    names = sorted(set(patients.tolist()))
    rows_of = {name: np.flatnonzero(patients == name) for name in names}
    values = []
    for _ in range(replicates):
        drawn = rng.integers(len(names), size=len(names))
        rows = np.concatenate([rows_of[names[i]] for i in drawn])
        values.append(measure(metric, truth[rows], score[rows]))
    return values


@pytest.mark.parametrize("metric", ["auc", "mae", "r2"])
def test_bootstrap_by_patients_equals_a_plain_loop(metric: str) -> None:
    truth, score, patients = clustered(60, seed=1)
    values = np.array(plain_loop(metric, truth, score, patients, 200))
    theta = measure(metric, truth, score)
    found = bootstrap(metric, truth, score, patients, replicates=200, seed=5)
    assert found.value == pytest.approx(theta, abs=1e-13)
    assert found.low == pytest.approx(2 * theta - np.quantile(values, 0.975), abs=1e-12)
    assert found.high == pytest.approx(2 * theta - np.quantile(values, 0.025), abs=1e-12)
    assert (found.n, found.patients, found.level) == (len(truth), 60, 0.95)
    assert found.events == (int(truth.sum()) if metric == "auc" else None)


def test_without_patients_each_ecg_is_drawn_by_itself() -> None:
    truth, score, _ = clustered(40, seed=2)
    alone = bootstrap_auc(truth, score, replicates=100)
    by_ecg = bootstrap_auc(truth, score, np.arange(len(truth)), replicates=100)
    assert (alone.low, alone.high) == (by_ecg.low, by_ecg.high)
    assert (alone.patients, by_ecg.patients) == (None, len(truth))


def test_the_interval_does_not_depend_on_the_order_of_the_rows() -> None:
    truth, score, patients = clustered(80, seed=3)
    order = np.random.default_rng(0).permutation(len(truth))
    assert bootstrap_auc(truth[order], score[order], patients[order]) == bootstrap_auc(truth, score, patients)
    one = bootstrap("r2", truth, score, patients)
    other = bootstrap("r2", truth[order], score[order], patients[order])
    assert (other.low, other.high) == pytest.approx((one.low, one.high), abs=1e-12)


def test_the_seed_and_it_alone_moves_the_interval() -> None:
    case = clustered(80, seed=3)
    assert bootstrap_auc(*case, seed=1) == bootstrap_auc(*case, seed=1)
    assert bootstrap_auc(*case, seed=1) != bootstrap_auc(*case, seed=2)


def test_resamples_do_not_depend_on_how_many_there_are_or_how_they_are_cut() -> None:
    truth, score, _ = clustered(3000, seed=4)
    rows = np.arange(len(truth))
    assert CHUNK // len(truth) < 50  # so that the fifty below come in more than one piece
    whole = resampled(weighted_auc(truth, score), rows, 50, seed=9)
    assert resampled(weighted_auc(truth, score), rows, 7, seed=9).tolist() == whole[:7].tolist()
    rng = np.random.default_rng(9)
    drawn = rng.integers(len(truth), size=(50, len(truth)))
    assert whole[-1] == auc(truth[drawn[-1]], score[drawn[-1]])


def test_equal_scores_do_not_differ_and_differences_are_paired() -> None:
    truth, score, patients = clustered(80, seed=6)
    none = bootstrap_difference("auc", truth, score, score, patients)
    assert (none.value, none.low, none.high) == (0, 0, 0)
    # The second score is the first with a little noise: paired, their difference is far surer than either.
    noisy = score + 0.2 * np.random.default_rng(1).normal(size=len(score))
    paired = bootstrap_difference("auc", truth, score, noisy, patients)
    alone = bootstrap_auc(truth, score, patients)
    assert paired.value == pytest.approx(auc(truth, score) - auc(truth, noisy), abs=1e-14)
    assert paired.high - paired.low < (alone.high - alone.low) / 3
    back = bootstrap_difference("auc", truth, noisy, score, patients)
    assert (back.low, back.high) == pytest.approx((-paired.high, -paired.low), abs=1e-14)


def test_a_difference_equals_the_loop_over_both() -> None:
    truth, score, patients = clustered(40, seed=7)
    other = np.random.default_rng(7).normal(size=len(score))
    a, b = (np.array(plain_loop("auc", truth, s, patients, 100)) for s in (score, other))
    theta = auc(truth, score) - auc(truth, other)
    found = bootstrap_difference("auc", truth, score, other, patients, replicates=100, seed=5)
    assert (found.low, found.high) == pytest.approx(basic_interval(theta, a - b, 0.95), abs=1e-13)


def test_the_basic_interval_is_as_in_the_paper() -> None:
    values = np.arange(1001) / 1000  # its quantiles are plain: q2.5 = 0.025, q97.5 = 0.975
    assert basic_interval(0.9, values, 0.95) == pytest.approx((1.8 - 0.975, 1.8 - 0.025))  # past 1, and kept
    assert basic_interval(0.9, values, 0.8) == pytest.approx((1.8 - 0.9, 1.8 - 0.1))


@pytest.mark.parametrize("metric", ["auc", "average_precision", "brier"])
def test_scikit_learn_on_the_same_resamples_agrees_to_1e_12(metric: str) -> None:
    from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

    oracle = {"auc": roc_auc_score, "average_precision": average_precision_score, "brier": brier_score_loss}[metric]
    rng = np.random.default_rng(0)
    n = 3000
    truth = (rng.random(n) < 0.058).astype(float)
    score = (1 / (1 + np.exp(2 - truth - rng.normal(size=n)))).round(3)  # with ties
    values = resample_metric(metric, truth, [score], replicates=120, seed=3).values
    rows = np.random.default_rng(3).integers(n, size=(120, n))
    assert [oracle(truth[at], score[at]) for at in rows] == pytest.approx(values, abs=1e-12)


def test_strata_are_drawn_by_themselves() -> None:
    truth, score, patients = clustered(80, seed=8)
    case = {name for name, value in zip(patients, truth, strict=True) if value}
    count = np.array([[float(name in case) for name in patients]])

    def drawn(stratify: bool) -> NDArray[np.float64]:
        """How many patients with an event are in each resample."""
        unique, of_row = np.unique(patients, return_inverse=True)
        strata = np.array([name in case for name in unique]) if stratify else None
        per_patient = count[0] / np.bincount(of_row)[of_row]
        return resampled(lambda weights: weights @ per_patient, of_row, 60, 3, strata)

    assert drawn(True) == pytest.approx(np.full(60, len(case)), abs=1e-9)
    assert drawn(False).std() > 1
    # A plain loop: those without an event from one generator, those with it from another.
    names = [[name for name in sorted(set(patients)) if (name in case) == event] for event in (False, True)]
    generators = [np.random.default_rng(5), np.random.default_rng([5, 1])]
    rows_of = {name: np.flatnonzero(patients == name) for name in set(patients)}
    values = []
    for _ in range(40):
        rows = np.concatenate(
            [
                rows_of[group[i]]
                for group, rng in zip(names, generators, strict=True)
                for i in rng.integers(len(group), size=len(group))
            ]
        )
        values.append(auc(truth[rows], score[rows]))
    found = resample_metric("auc", truth, [score], patients, replicates=40, seed=5, stratify=True)
    assert found.values == pytest.approx(values, abs=1e-13)


def test_strata_keep_an_interval_where_events_are_few() -> None:
    truth, score = np.arange(60) < 2, np.random.default_rng(0).normal(size=60)
    assert str(bootstrap_auc(truth, score)).endswith("(–)")
    assert not math.isnan(bootstrap_auc(truth, score, stratify=True).low)
    with pytest.raises(ValueError, match="mae has another"):
        bootstrap("mae", [60.0, 50.0], [61.0, 55.0], stratify=True)


def test_a_percentile_interval_mirrors_the_basic_one() -> None:
    case = clustered(80, seed=3)
    basic, percentile = bootstrap_auc(*case), bootstrap_auc(*case, interval="percentile")
    assert percentile.low == pytest.approx(2 * basic.value - basic.high, abs=1e-14)
    assert percentile.high == pytest.approx(2 * basic.value - basic.low, abs=1e-14)


def test_bca_stays_inside_and_does_not_depend_on_the_scale() -> None:
    """It carries over to any rising function of the statistic, as basic intervals do not; here the logit."""
    truth, score, patients = clustered(60, seed=9)
    drawn = resample_metric("auc", truth, [score + 1.5 * truth], patients, replicates=999)
    low, high = bootstrap_interval("bca", drawn.value, drawn.values, 0.95, drawn.influence)
    basic = drawn.estimate("basic")
    assert low < basic.low < basic.high
    assert high < 1
    values = np.log(np.clip(drawn.values, None, 1 - 1e-9) / (1 - np.clip(drawn.values, None, 1 - 1e-9)))
    value = math.log(drawn.value / (1 - drawn.value))
    logits = bootstrap_interval("bca", value, values, 0.95, drawn.influence)
    back = [1 / (1 + math.exp(-end)) for end in logits]
    assert back == pytest.approx([low, high], abs=2e-3)  # quantiles are interpolated on either scale


@pytest.mark.parametrize("name", ["basic", "percentile", "bca"])
def test_a_p_value_is_where_the_interval_reaches_zero(name: IntervalName) -> None:
    truth, score, patients = clustered(150, seed=10)
    noisy = score + 0.5 * np.random.default_rng(2).normal(size=len(score))
    drawn = resample_metric("auc", truth, [score, noisy], patients, coefficients=(1, -1), replicates=3999)
    p = drawn.p_value(name)
    assert 0.001 < p < 0.3
    wide, narrow = (drawn.estimate(name, 1 - share * p) for share in (0.8, 1.25))
    assert wide.low < 0 < narrow.low
    back = resample_metric("auc", truth, [noisy, score], patients, coefficients=(1, -1), replicates=3999)
    assert back.p_value(name) == pytest.approx(p, rel=0.02)


def test_the_smallest_p_value_is_that_of_so_many_resamples() -> None:
    truth, score, patients = clustered(150, seed=10)
    drawn = resample_metric("auc", truth, [score, -score], patients, coefficients=(1, -1), replicates=199)
    assert [drawn.p_value(name) for name in ("basic", "percentile")] == [0.01, 0.01]
    same = resample_metric("auc", truth, [score, score], patients, coefficients=(1, -1), replicates=99)
    assert [same.p_value(name) for name in ("basic", "percentile", "bca")] == [1.0, 1.0, 1.0]
    assert str(same.estimate("bca")) == "0.000 (0.000–0.000)"
    assert math.isnan(resample_metric("auc", truth * 0, [score], replicates=50).p_value())


def test_undefined_resamples_are_left_out_unless_they_are_many() -> None:
    values = np.arange(1001) / 1000
    few = np.concatenate([values, np.full(50, np.nan)])
    assert basic_interval(0.5, few, 0.95) == basic_interval(0.5, values, 0.95)
    many = np.concatenate([values, np.full(60, np.nan)])
    assert all(math.isnan(end) for end in basic_interval(0.5, many, 0.95))
    # One case: 37 % of the resamples have none. Ten cases: hardly any.
    score = np.random.default_rng(0).normal(size=200)
    assert str(bootstrap_auc(np.arange(200) < 1, score)).endswith("(–)")
    assert not math.isnan(bootstrap_auc(np.arange(200) < 10, score).low)


def test_one_class_or_no_ecg_at_all_is_undefined() -> None:
    assert str(bootstrap_auc([1, 1, 1], [0.1, 0.2, 0.3])) == "–"
    assert str(bootstrap_auc([], [])) == "–"


def test_impossible_input_is_refused() -> None:
    with pytest.raises(ValueError, match="groups of shape"):
        bootstrap_auc([0, 1], [0, 1], ["a"])
    with pytest.raises(ValueError, match="replicates"):
        bootstrap_auc([0, 1], [0, 1], replicates=0)
    with pytest.raises(ValueError, match="level 95"):
        bootstrap_auc([0, 1], [0, 1], level=95)


@pytest.mark.slow
def test_ecgs_alone_cover_too_little_where_patients_have_several() -> None:
    """Of 95 % intervals by patients, 90 to 98 % hold the truth; by ECGs, ignoring whose they are, far fewer.

    Coverage at the paper's size is in `test_evaluation_coverage.py`.
    """
    truth_auc = NormalDist().cdf(EFFECT / math.sqrt(2))
    simulations = 600
    held = {"patients": 0, "ecgs": 0}
    for seed in range(simulations):
        truth, score, patients = clustered(200, seed)
        for resample, groups in (("patients", patients), ("ecgs", None)):
            found = bootstrap_auc(truth, score, groups, replicates=400, seed=seed)
            held[resample] += found.low <= truth_auc <= found.high
    assert 0.90 <= held["patients"] / simulations <= 0.98
    assert held["ecgs"] / simulations < 0.85
