import numpy as np
import pytest

from precordial.errors import PrecordialError
from precordial.evaluation import (
    Predictions,
    auc,
    bootstrap,
    bootstrap_difference,
    compare,
    delong_auc,
    delong_test,
    evaluate,
    measure,
)

FEW = {"replicates": 50}


def ami(seed: int = 0, run: str = "r1", noise: float = 1.0) -> Predictions:
    """300 ECGs of some 200 patients in each of the two test sets; no patient in both."""
    rng = np.random.default_rng(0)
    parts = []
    for split in ("random_test", "temporal_test"):
        truth = (rng.random(300) < 0.2).astype(float)
        patient = np.char.add(split, rng.integers(0, 200, 300).astype(np.str_))
        ecg = np.char.add(split, np.arange(300).astype(np.str_))
        score = truth + noise * np.random.default_rng(seed).normal(size=300)
        parts.append(Predictions(run, ecg, patient, split, "ami", truth, 1 / (1 + np.exp(-score))))
    return Predictions.concatenate(parts)


def age_and_sex(n: int = 200) -> Predictions:
    rng = np.random.default_rng(1)
    ecg, patient, age = np.arange(n), rng.integers(0, 90, n), rng.normal(65, 17, n)
    sex = (rng.random(n) < 0.5).astype(float)
    return Predictions.concatenate(
        [
            Predictions("r2", ecg, patient, "validation", "age", age, age + rng.normal(0, 7, n)),
            Predictions("r2", ecg, patient, "validation", "sex", sex, (0.6 * sex + 0.4 * rng.random(n)).clip(0, 1)),
        ]
    )


def test_an_event_is_measured_on_both_test_sets_and_their_concatenation() -> None:
    table = ami()
    results = evaluate(table, **FEW)
    assert [(r.split, r.target, r.metric) for r in results] == [
        (split, "ami", metric)
        for split in ("random_test", "temporal_test", "combined_test")
        for metric in ("auc", "average_precision")
    ]
    temporal = table.select(split="temporal_test")
    assert results[2].estimate == bootstrap("auc", temporal.truth, temporal.score, temporal.patient_id, replicates=50)
    combined = results[4].estimate
    assert combined.value == auc(table.truth, table.score)
    assert (combined.n, combined.events) == (600, int(table.truth.sum()))
    assert combined.patients == len(set(table.patient_id.tolist())) < 600


def test_age_and_sex_have_their_own_metrics() -> None:
    table = age_and_sex()
    results = {(r.target, r.metric): r.estimate for r in evaluate(table, **FEW)}
    assert list(results) == [("age", "mae"), ("age", "r2"), ("sex", "auc"), ("sex", "accuracy")]
    age, sex = table.select(target="age"), table.select(target="sex")
    assert results["age", "mae"].value == pytest.approx(np.abs(age.truth - age.score).mean())
    assert results["sex", "accuracy"].value == measure("accuracy", sex.truth, sex.score)
    assert (results["age", "mae"].events, results["sex", "auc"].events) == (None, int(sex.truth.sum()))


def test_the_kind_of_a_target_can_be_told() -> None:
    table = ami().select(split="random_test")
    metrics = [r.metric for r in evaluate(table, kinds={"ami": "binary"}, **FEW)]
    assert metrics == ["auc", "accuracy"]
    assert [r.metric for r in evaluate(table, kinds={"ami": "regression"}, **FEW)] == ["mae", "r2"]


def test_ecgs_can_be_resampled_instead_of_patients() -> None:
    table = ami().select(split="random_test")
    found = evaluate(table, resample="ecgs", **FEW)[0].estimate
    alone = bootstrap("auc", table.truth, table.score, table.ecg_id, replicates=50)
    assert (found.low, found.high) == (alone.low, alone.high)
    assert (found.low, found.high) != (evaluate(table, **FEW)[0].estimate.low, evaluate(table, **FEW)[0].estimate.high)


def test_the_order_of_the_rows_does_not_matter() -> None:
    table = ami()
    order = np.random.default_rng(4).permutation(len(table))
    assert evaluate(table.rows(order), **FEW) == evaluate(table, **FEW)


def test_ecgs_without_a_truth_are_left_out() -> None:
    table = age_and_sex().select(target="age")
    truth = table.truth.copy()
    truth[:20] = np.nan
    holes = Predictions("r2", table.ecg_id, table.patient_id, "validation", "age", truth, table.score)
    assert evaluate(holes, **FEW) == evaluate(table.rows(np.arange(20, len(table))), **FEW)
    assert evaluate(holes, **FEW)[0].estimate.n == len(table) - 20


def test_a_table_without_rows_has_no_results() -> None:
    assert evaluate(ami().select(split="none")) == []


def test_what_cannot_be_evaluated_is_refused() -> None:
    table = ami()
    with pytest.raises(PrecordialError, match="2 runs"):
        evaluate(Predictions.concatenate([table, ami(run="other")]))
    with pytest.raises(PrecordialError, match="600 ECGs stand twice"):
        evaluate(Predictions.concatenate([table, table]))
    both = Predictions("r1", ["e", "e"], ["p", "p"], ["random_test", "temporal_test"], "ami", [0, 1], [0.1, 0.2])
    with pytest.raises(PrecordialError, match="1 ECGs stand twice in one split, or in both test sets"):
        evaluate(both)
    with pytest.raises(PrecordialError, match="target 'ami' on test: auc takes a truth of 0 and 1 only"):
        evaluate(Predictions("r1", ["e", "f"], ["p", "q"], "test", "ami", [1, 2], [0.1, 0.2]))


def test_compare_pairs_the_ecgs_of_two_runs() -> None:
    a, b = ami(0), ami(3, run="scratch", noise=2.0)
    order = np.random.default_rng(4).permutation(len(b))
    results = compare(a, b.rows(order), **FEW)
    assert [(r.split, r.metric) for r in results] == [
        (split, metric)
        for split in ("random_test", "temporal_test", "combined_test")
        for metric in ("auc_difference", "average_precision_difference")
    ]
    assert results[4].estimate == bootstrap_difference("auc", a.truth, a.score, b.score, a.patient_id, replicates=50)
    assert results[4].estimate.value == pytest.approx(auc(a.truth, a.score) - auc(b.truth, b.score), abs=1e-14)
    assert all(r.estimate.value == r.estimate.low == r.estimate.high == 0 for r in compare(a, a, **FEW))


def test_runs_of_other_ecgs_cannot_be_compared() -> None:
    a, b = ami(), ami(3, run="scratch")
    for other in (b.rows(np.arange(599)), age_and_sex()):
        with pytest.raises(PrecordialError, match="not scored on the same ECGs"):
            compare(a, other)
    flipped = Predictions("x", b.ecg_id, b.patient_id, b.split, b.target, 1 - b.truth, b.score)
    with pytest.raises(PrecordialError, match="with the same truth"):
        compare(a, flipped)


def test_intervals_and_strata_can_be_chosen() -> None:
    table = ami().select(split="random_test")
    for interval in ("percentile", "bca"):
        found = evaluate(table, interval=interval, stratify=True, **FEW)
        for result in found:
            groups = (table.truth, table.score, table.patient_id)
            alone = bootstrap(result.metric, *groups, interval=interval, stratify=True, replicates=50)
            assert result.estimate == alone
    area, precision = evaluate(table, interval="delong", **FEW)
    assert area.estimate == delong_auc(table.truth, table.score, table.patient_id)
    assert precision == evaluate(table, **FEW)[1]  # has no interval of DeLong's
    alone = evaluate(table, interval="delong", resample="ecgs", **FEW)[0].estimate
    by_ecg = delong_auc(table.truth, table.score)
    assert (alone.low, alone.high) == (by_ecg.low, by_ecg.high)
    ages = age_and_sex().select(target="age")
    assert evaluate(ages, stratify=True, **FEW) == evaluate(ages, **FEW)


def test_differences_have_p_values() -> None:
    a, b = ami(0).select(split="random_test"), ami(3, run="scratch", noise=2.0).select(split="random_test")
    test = delong_test(a.truth, a.score, b.score, a.patient_id)
    area, precision = compare(a, b, **FEW)
    assert area.p == test.p
    assert precision.p is not None
    assert 2 / 51 <= precision.p <= 1
    assert compare(a, b, interval="delong", **FEW)[0].estimate == test.difference
    assert [result.p for result in compare(a, a, **FEW)] == [1.0, 1.0]
    assert all(result.p is None for result in evaluate(a, **FEW))
