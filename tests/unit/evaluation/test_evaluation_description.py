"""Scores of any model, from a CSV file: what is read, what is refused, and every statistic against its own function."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from precordial.errors import PrecordialError
from precordial.evaluation import bootstrap, bootstrap_difference, delong_auc, delong_test, holm
from precordial.evaluation.by_split import Options
from precordial.evaluation.calibration import calibration
from precordial.evaluation.description import describe, differences
from precordial.evaluation.operating import operate, usual_thresholds
from precordial.evaluation.scores import ScoreColumns, Scores, read_scores
from precordial.evaluation.subgroups import subgroups
from precordial.evaluation.zones import find_zones, measure_zones

FEW = Options(replicates=60)


def a_file(path: Path, *, seed: int = 0, noise: float = 0.5, logits: bool = False) -> Path:
    """900 ECGs of some 600 patients, in three splits, with a subgroup; the last ten have no truth."""
    rng = np.random.default_rng(0)
    n = 900
    patient, truth = rng.integers(0, 600, n), (rng.random(n) < 0.15).astype(int)
    z = -2 + 1.4 * truth + rng.normal(size=n) + noise * np.random.default_rng(seed).normal(size=n)
    lines = ["score,ecg_id,patient_id,split,truth,sex"]
    for i in range(n):
        score = z[i] if logits else 1 / (1 + math.exp(-z[i]))
        split = ("validation", "random_test", "temporal_test")[i % 3]
        lines.append(f"{float(score)!r},e{i},p{patient[i]},{split},{truth[i] if i < 890 else ''},{'FM'[i % 2]}")
    path.write_text("\n".join(lines) + "\n")
    return path


def values(scores: Scores, **options: object) -> dict[tuple[str, str, str], object]:
    found = describe(scores, FEW, **options)  # type: ignore[arg-type]
    return {(one.split, f"{one.part} {one.of}".strip(), one.measure): one.estimate for one in found}


def test_every_statistic_is_that_of_its_own_function(tmp_path: Path) -> None:
    scores = read_scores(a_file(tmp_path / "s.csv"), ScoreColumns(groups=("sex",)))
    assert (len(scores.table), scores.without_truth, scores.has_patients, scores.ranks) == (890, 10, True, False)
    found = values(scores, thresholds=[0.2])
    test, fixed = scores.table.select(split="random_test"), scores.table.select(split="validation")
    at = (test.truth, test.score, test.patient_id)
    where = "random_test"
    for metric in ("auc", "average_precision"):
        assert found[where, "discrimination", metric] == bootstrap(metric, *at, replicates=60)
    assert found[where, "discrimination", "auc_delong"] == delong_auc(*at)
    assert found[where, "discrimination", "auc_delong_logit"] == delong_auc(*at, scale="logit")
    fitted = calibration(*at)
    for name in ("brier", "slope", "in_the_large"):
        assert found[where, "calibration", name] == getattr(fitted, name)
    given = operate(test.truth, test.score, 0.2, test.patient_id, replicates=60)
    assert found[where, "threshold given: from 0.2 on", "ppv"] == given.by_patient["ppv"]
    for rule in usual_thresholds(fixed.truth, fixed.score):
        of = f"threshold {rule.name}: from {rule.value:.4g} on"
        point = operate(test.truth, test.score, rule.value, test.patient_id, replicates=60)
        assert found[where, of, "sensitivity"] == point.by_patient["sensitivity"]
    bounds = find_zones(fixed.truth, fixed.score)
    zones = measure_zones(test.truth, test.score, bounds)
    assert [v for (split, of, name), v in found.items() if (split, name) == (where, "rule_out")] == [zones.rule_out]
    sex = scores.groups["sex"][scores.table.split == where]
    (factor,) = subgroups(test.truth, test.score, {"sex": sex}, test.patient_id)
    assert found[where, "groups sex: F", "auc"] == factor.groups[0].auc
    interaction = [one for one in describe(scores, FEW) if (one.split, one.measure) == (where, "interaction")]
    assert [one.p for one in interaction] == [factor.p]
    assert {split for split, _, _ in found} == {"validation", "random_test", "temporal_test", "combined_test"}
    assert not [of for split, of, _ in found if split == "validation" and of.startswith(("zones", "threshold Y"))]


def test_logits_become_probabilities_and_ranks_are_only_ranked(tmp_path: Path) -> None:
    plain = read_scores(a_file(tmp_path / "p.csv"))
    logits = read_scores(a_file(tmp_path / "l.csv", logits=True), scale="logits")
    assert logits.table.score == pytest.approx(plain.table.score, rel=1e-12)
    ranks = read_scores(tmp_path / "l.csv", scale="ranks")
    of_ranks, of_plain = values(ranks), values(plain)
    assert of_ranks["random_test", "discrimination", "auc"] == of_plain["random_test", "discrimination", "auc"]
    assert not [of for _, of, _ in of_ranks if of.startswith("calibration")]
    with pytest.raises(
        PrecordialError, match=r"column 'score': is no probability between 0 and 1; say --scores logits"
    ):
        read_scores(tmp_path / "l.csv")
    small = tmp_path / "small.csv"
    small.write_text("truth,score\n0,-800\n1,-700\n1,-600\n")
    assert len(set(read_scores(small, scale="logits").table.score)) == 3  # large logits do not tie


def test_two_columns_are_enough(tmp_path: Path) -> None:
    path = tmp_path / "bare.csv"
    path.write_text("label,p\n" + "".join(f"{i % 4 == 0},{(i * 37 % 100) / 100}\n" for i in range(200)))
    scores = read_scores(path, ScoreColumns(truth="label", score="p"))
    assert (scores.has_ecgs, scores.has_patients) == (False, False)
    found = describe(scores, FEW)
    assert {(one.target, one.split) for one in found} == {("outcome", "all")}
    assert found[0].estimate.events == 50
    assert {one.estimate.patients for one in found} == {None}


def test_regressions_and_several_targets(tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    rows = [f"{i},age,{40 + i % 50},{41.5 + i % 50}" for i in range(60)] + [
        f"{i},sex,{i % 2},{0.3 + 0.4 * (i % 2)}" for i in range(60)
    ]
    path.write_text("ecg_id,target,truth,score\n" + "\n".join(rows) + "\n")
    found = {(one.target, one.measure): one.estimate.value for one in describe(read_scores(path), FEW)}
    assert found["age", "mae"] == pytest.approx(1.5)
    assert found["sex", "accuracy"] == 1
    assert ("age", "auc") not in found
    ages = tmp_path / "ages.csv"
    ages.write_text("truth,score\n60,61\n50,53\n")
    assert {one.measure for one in describe(read_scores(ages, kind="regression"), FEW)} == {"mae", "r2"}


def test_what_is_of_few_can_be_left_out(tmp_path: Path) -> None:
    scores = read_scores(a_file(tmp_path / "s.csv"), ScoreColumns(groups=("sex",)))
    whole = describe(scores, FEW)
    kept = describe(scores, FEW, smallest=30)
    assert 0 < len(kept) < len(whole)
    for one in kept:
        e = one.estimate
        for count in (e.n, e.patients, e.events, None if e.events is None else e.n - e.events):
            assert count is None or count == 0 or count >= 30
    assert next(one for one in whole if one.part == "discrimination") in kept


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "row 1, column 'truth': this column is missing; needed: truth, score"),
        ("truth,score\n", "has no rows below its header"),
        ("truth;score\n1;0.5\n", "the columns are not separated by commas"),
        ("truth,truth,score\n1,1,0.5\n", "row 1, column 'truth': two columns have this name"),
        ("truth,score\n1,0.5\n2,0.5\n", "row 3, column 'truth': is neither 0 nor 1; write 1 for the outcome"),
        ("truth,score\n1,0.5\nsick,0.5\n", "row 3, column 'truth': is not a number"),
        ("truth,score\n1,0.5\n0,\n", "row 3, column 'score': has no score"),
        ("truth,score\n1,0.5\n0,inf\n", "row 3, column 'score': is not a finite number"),
        ("truth,score\n1,0.5\n0,nan\n", "row 3, column 'score': is not a finite number"),
        ('truth,score\n1,0.5\n0,"0,5"\n', "row 3, column 'score': is not a number"),
        ("truth,score\n1,0.5\n0,1.5\n", "row 3, column 'score': is no probability between 0 and 1"),
        ("truth,score,split\n1,0.5,\n0,0.1,test\n", "row 2, column 'split': this cell is empty"),
        ("truth,score\n,0.5\n,0.1\n", "column 'truth': no row has a truth"),
    ],
)
def test_a_bad_file_is_one_line_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(PrecordialError) as caught:
        read_scores(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "sick" not in str(caught.value)


def test_a_column_that_is_named_must_be_there(tmp_path: Path) -> None:
    path = a_file(tmp_path / "s.csv")
    for columns in (ScoreColumns(patient="pid"), ScoreColumns(groups=("device",)), ScoreColumns(truth="y")):
        with pytest.raises(PrecordialError, match="this column is missing"):
            read_scores(path, columns)


def test_an_ecg_twice_in_a_split_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.csv"
    path.write_text("ecg_id,truth,score\na,1,0.5\na,0,0.4\nb,0,0.3\n")
    with pytest.raises(PrecordialError, match="1 ECGs stand twice"):
        describe(read_scores(path), FEW)


def test_a_run_against_others(tmp_path: Path) -> None:
    runs = [read_scores(a_file(tmp_path / f"{name}.csv", seed=i, noise=i)) for i, name in enumerate("abc", start=0)]
    found = differences(runs, FEW)
    here = {(one.b, one.metric): one for one in found if one.split == "temporal_test"}
    assert set(here) == {(b, m) for b in "bc" for m in ("auc", "average_precision", "brier")}
    a, b, c = (run.table.select(split="temporal_test") for run in runs)
    test = delong_test(a.truth, a.score, b.score, a.patient_id)
    one = here["b", "auc"]
    assert (one.a, one.p) == ("a", test.p)
    assert one.of_a == bootstrap("auc", a.truth, a.score, a.patient_id, replicates=60)
    assert one.difference == bootstrap_difference("auc", a.truth, a.score, b.score, a.patient_id, replicates=60)
    both = [test.p, delong_test(a.truth, a.score, c.score, a.patient_id).p]
    assert [here["b", "auc"].p_adjusted, here["c", "auc"].p_adjusted] == holm(both).tolist()
    assert differences(runs, FEW, smallest=1000) == []


def test_runs_that_cannot_be_paired_are_refused(tmp_path: Path) -> None:
    whole = read_scores(a_file(tmp_path / "a.csv"))
    bare = tmp_path / "bare.csv"
    bare.write_text("truth,score\n1,0.5\n0,0.4\n")
    with pytest.raises(PrecordialError, match="bare has no ids of ECGs"):
        differences([whole, read_scores(bare)], FEW)
    other = tmp_path / "other.csv"
    other.write_text("ecg_id,patient_id,split,truth,score\ne1,p,random_test,1,0.5\ne4,q,random_test,0,0.4\n")
    with pytest.raises(PrecordialError, match="not scored on the same ECGs"):
        differences([whole, read_scores(other)], FEW)
