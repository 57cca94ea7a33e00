"""Results of a study with several seeds: their spread, and p-values corrected over all differences."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from precordial.archive import Archive
from precordial.cohort import Cohort
from precordial.evaluation import Predictions, auc, delong_test, holm
from precordial.study import Study, collect_results, make_plan
from precordial.study.plan import Plan


def a_study(folder: Path, **evaluation: object) -> Study:
    stages = [{"epochs": 1, "peak": 1e-3}]
    return Study.model_validate(
        {
            "name": "seeds",
            "out": folder,
            "seeds": [0, 1, 2],
            "grid": [{"models": ["cnn-20k"], "pretraining": ["none", "age", "sex"]}],
            "training": {"models": {"cnn-20k": {"source": stages, "scratch": stages, "target": stages}}},
            "evaluation": {"replicates": 50, **evaluation},
        }
    )


def pretend(study: Study, cohort: Cohort, plan: Plan) -> None:
    """Every training of the plan as if it were done: scores as its seed draws them, better after pre-training."""
    test = np.flatnonzero(cohort.split == "random_test")
    shared = np.random.default_rng(99).normal(size=len(test))
    for run in plan.runs:
        rng = np.random.default_rng(run.seed)
        truth = cohort.label[test] if run.role == "target" else cohort.sex[test]
        effect = 1.0 if run.pretraining == "none" else 1.4
        score = 1 / (1 + np.exp(-(effect * truth + shared + 0.4 * rng.normal(size=len(test)))))
        target = next(iter(run.targets)) if run.role == "target" else "sex"
        folder = study.folder / "runs" / run.id
        ecg, patient = cohort.ecg_id[test], cohort.patient_id[test]
        Predictions(run.id, ecg, patient, "random_test", target, truth, score).save(folder / "predictions.csv")
        (folder / "done.json").write_text("{}")


@pytest.mark.parametrize("interval", ["basic", "delong"])
def test_seeds_are_put_together_and_all_differences_corrected(
    small_cohort: Callable[..., tuple[Cohort, Archive]], tmp_path: Path, interval: str
) -> None:
    cohort, _ = small_cohort(target=240, source=20)
    study = a_study(tmp_path, interval=interval)
    plan = make_plan(study, cohort.digest, cohort.outcomes)
    pretend(study, cohort, plan)
    rows = collect_results(study, cohort, plan)

    alone = [row for row in rows if row.kind == "difference" and row.metric == "auc_difference"]
    assert len(alone) == 6  # two pre-trainings, three seeds
    assert [row.p_adjusted for row in alone] == pytest.approx(holm([row.p or 0 for row in alone]))
    tables = {run.id: Predictions.load(study.folder / "runs" / run.id / "predictions.csv") for run in plan.runs}
    runs = {(run.kind, run.pretraining, run.seed): run.id for run in plan.runs}
    a, b = tables[runs["finetune", "age", 1]], tables[runs["scratch", "none", 1]]
    (one,) = (row for row in alone if (row.pretraining, row.seed) == ("age", 1))
    test = delong_test(a.truth, a.score, b.score, a.patient_id)
    assert one.p == test.p
    assert (one.estimate == test.difference) == (interval == "delong")

    together = {(row.pretraining, row.metric): row for row in rows if row.kind == "seeds" and row.target != "sex"}
    assert {metric for _, metric in together} == {
        f"{metric}{difference}_{what}"
        for metric in ("auc", "average_precision")
        for difference in ("", "_difference")
        for what in ("seed_mean", "seed_sd", "sampling_se")
    }
    values = []
    for seed in study.seeds:
        table = tables[runs["finetune", "age", seed]]
        values.append(auc(table.truth, table.score))
    assert together["age", "auc_seed_mean"].value == pytest.approx(np.mean(values))
    assert together["age", "auc_seed_sd"].value == pytest.approx(np.std(values, ddof=1))
    assert together["age", "auc_difference_seed_mean"].value == pytest.approx(
        np.mean([row.value for row in alone if row.pretraining == "age"])
    )
    assert ("none", "auc_difference_seed_mean") not in together
    assert math.isnan(together["age", "auc_seed_sd"].low)
    assert collect_results(study, cohort, plan) == rows or any(math.isnan(row.low) for row in rows)


def test_one_seed_has_no_rows_of_several(small_cohort: Callable[..., tuple[Cohort, Archive]], tmp_path: Path) -> None:
    cohort, _ = small_cohort(target=240, source=20)
    study = a_study(tmp_path).model_copy(update={"seeds": (0,)})
    plan = make_plan(study, cohort.digest, cohort.outcomes)
    pretend(study, cohort, plan)
    assert "seeds" not in {row.kind for row in collect_results(study, cohort, plan)}
