"""A cross-validation: planned once per fold, trained on what the fold leaves, measured as one run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from precordial.archive import Archive
from precordial.claims import Claims
from precordial.cohort import Cohort, age_sex_baseline, fold_names, named_fold
from precordial.evaluation import Predictions, auc, evaluate, pool_folds
from precordial.report.runs import read_runs
from precordial.report.summary import table_trainings
from precordial.study import Study, make_plan, write_tables
from precordial.study.board import Board
from precordial.study.work import work
from precordial.training import TrainingRun
from precordial.watcher import Watcher

Made = tuple[Cohort, Archive]
TABLE = {"file": Path("labels.csv"), "columns": {"ecg_id": "ecg", "patient_id": "patient"}}
K_FOLD = {"scheme": "k-fold", "folds": 3}
SITES = {"scheme": "sites", "sites": ["Lund", "Malmö"]}


def a_study(folder: Path, split: dict[str, object], **grid: object) -> Study:
    stages = [{"epochs": 1, "peak": 1e-3}]
    return Study.model_validate(
        {
            "name": "folds",
            "out": folder,
            "archive": {"rate": 100},
            "cohort": {"kind": "labels", "table": TABLE, "split": split},
            "grid": [{"models": ["cnn-20k"], "pretraining": ["none"], **grid}],
            "training": {
                "batch": 32,
                "models": {"cnn-20k": {"source": stages, "scratch": stages, "target": stages}},
            },
            "evaluation": {"replicates": 50},
        }
    )


def with_folds(cohort: Cohort, split: dict[str, object]) -> Cohort:
    """Every target patient is in a fold, but those of the temporal test."""
    number = len(fold_names(replace(cohort, settings={"split": split})))
    rotates = (cohort.role == "target") & (cohort.split != "temporal_test")
    return replace(
        cohort,
        split=np.where(rotates, "fold", cohort.split),
        fold=np.where(rotates, np.arange(len(cohort)) // 4 % number, -1),
        settings={"kind": "labels", "split": split, "seed": 0, "validation": "1/5"},
    )


def test_folds_have_the_names_of_the_settings(small_cohort: Callable[..., Made]) -> None:
    cohort, _ = small_cohort(target=20)
    for split in (K_FOLD, SITES):
        settings = a_study(Path(), split).cohort
        assert settings is not None
        built = replace(cohort, settings=json.loads(settings.model_dump_json()))
        assert fold_names(built) == settings.folds
    assert fold_names(cohort) == ()


def test_a_plan_has_each_target_run_once_per_fold_and_each_pretraining_once(tmp_path: Path) -> None:
    study = a_study(tmp_path, K_FOLD, pretraining=["none", "age"], target_fractions=["0.5", "1"])
    plan = make_plan(study)
    assert (plan.count("pretrain"), plan.count("scratch"), plan.count("finetune")) == (1, 6, 6)
    assert [run.fold for run in plan.runs if run.kind == "scratch"] == ["1", "2", "3"] * 2
    assert len({run.group for run in plan.runs}) == 5
    assert {run.fold for run in plan.runs if run.kind == "pretrain"} == {None}


@pytest.mark.parametrize("split", [K_FOLD, SITES])
def test_a_cross_validation_is_one_run_in_the_results(
    split: dict[str, object], small_cohort: Callable[..., Made], tmp_path: Path
) -> None:
    cohort, archive = small_cohort(target=120, source=30)
    cohort = with_folds(cohort, split)
    study = a_study(tmp_path / "study", split, pretraining=["none", "sex"])
    plan = make_plan(study, cohort.digest, cohort.outcomes)
    work(study, Board(study, plan), cohort, archive, Watcher(), Claims("test"), stay=True)
    rows = write_tables(study, cohort, plan)

    scratch = [run for run in plan.runs if run.kind == "scratch"]
    tables = [Predictions.load(study.folder / "runs" / run.id / "predictions.csv") for run in scratch]
    rotating = "site_test" if split is SITES else "random_test"
    tested = np.concatenate([table.select(split=rotating).ecg_id for table in tables])
    assert sorted(tested) == sorted(cohort.ecg_id[cohort.split == "fold"])  # each once
    for table, name in zip(tables, fold_names(cohort), strict=True):
        fold = named_fold(cohort, name)
        assert set(table.select(split=rotating).ecg_id) == set(fold.ecg_id[fold.split == rotating])

    of_run = {row.split: row for row in rows if row.run == scratch[0].id and row.metric == "auc"}
    assert not {row.run for row in rows} & {run.id for run in scratch[1:]}
    whole = Predictions.concatenate([table.select(split=rotating) for table in tables])
    assert of_run[rotating].value == pytest.approx(auc(whole.truth, whole.score))
    assert of_run[rotating].n == 108
    temporal = [table.select(split="temporal_test") for table in tables]
    mean = np.mean([table.score for table in temporal], axis=0)
    assert of_run["temporal_test"].value == pytest.approx(auc(temporal[0].truth, mean))
    sites = {f"site_test:{name}" for name in fold_names(cohort)} if split is SITES else {"combined_test"}
    assert set(of_run) == {rotating, "temporal_test", *sites}
    if split is SITES:
        one = tables[1].select(split="site_test")
        assert of_run["site_test:Malmö"].value == pytest.approx(auc(one.truth, one.score))

    kinds = {row.kind for row in rows if row.split == rotating}
    assert kinds == {"scratch", "finetune", "difference", "baseline"}
    assert {row.n for row in rows if row.kind == "baseline" and row.split == rotating} == {108}
    records = [record for record in read_runs(study.folder, rows) if record.row.kind == "scratch"]
    assert [record.row.run for record in records] == [scratch[0].id]
    assert set(records[0].predictions().split) == set(of_run) - {"combined_test"}
    assert (
        table_trainings(records, cohort).rows[0][3:5]
        == (str(sum(named_fold(cohort, fold_names(cohort)[0]).split[:120] == "train")),) * 2
    )


def test_the_baseline_scores_each_ecg_of_the_folds_once(small_cohort: Callable[..., Made]) -> None:
    cohort = with_folds(small_cohort(target=120)[0], K_FOLD)
    table = age_sex_baseline(cohort)
    assert set(table.split) == {"random_test", "temporal_test"}
    assert sorted(table.ecg_id) == sorted(cohort.ecg_id)
    assert set(table.run) == {"baseline"}


def predictions(run: str, target: str, split: str, ids: str, score: list[float]) -> Predictions:
    return Predictions(run, list(ids), list(ids), split, target, [0.0, 1.0][: len(ids)], score)


def test_pooling_by_hand() -> None:
    folds = [
        Predictions.concatenate(
            [
                predictions("a", "AMI", "validation", "xy", [0.1, 0.2]),
                predictions("a", "AMI", "random_test", "pq", [0.3, 0.4]),
                predictions("a", "AMI", "temporal_test", "tu", [0.2, 0.6]),
                predictions("a", "only here", "random_test", "pq", [0.3, 0.4]),
            ]
        ),
        Predictions.concatenate(
            [
                predictions("b", "AMI", "temporal_test", "ut", [0.8, 0.4]).rows(np.array([1, 0])),
                predictions("b", "AMI", "random_test", "rs", [0.5, 0.6]),
            ]
        ),
    ]
    # The truth of the second temporal test was turned round with its rows; it is the first's that is kept.
    pooled = pool_folds(folds, ("1", "2"))
    assert list(zip(pooled.split, pooled.ecg_id, pooled.score, strict=True)) == [
        *zip(["random_test"] * 4, "pqrs", [0.3, 0.4, 0.5, 0.6], strict=True),
        ("temporal_test", "t", pytest.approx(0.3)),
        ("temporal_test", "u", pytest.approx(0.7)),
    ]
    assert set(pooled.run) == {"a"}
    assert set(pooled.target) == {"AMI"}
    assert {result.split for result in evaluate(pooled, replicates=10)} == {
        "random_test",
        "temporal_test",
        "combined_test",
    }
    fewer = folds[1].rows(folds[1].ecg_id != "t")
    with pytest.raises(ValueError, match="different temporal tests"):
        pool_folds([folds[0], fewer], ("1", "2"))


def test_two_folds_are_two_runs() -> None:
    run = TrainingRun.model_validate(
        {"model": "cnn-20k", "role": "target", "task": "label", "stages": ({"epochs": 1, "peak": 1e-3},), "fold": "1"}
    )
    assert run.model_copy(update={"fold": "2"}).id != run.id
    assert TrainingRun.model_validate_json(run.model_dump_json()) == run
