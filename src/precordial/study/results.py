"""The results table of a study, made from its predictions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from precordial.cohort import Cohort
from precordial.evaluation import Predictions, Row, compare, evaluate, fit_logistic, result_rows
from precordial.study.plan import Plan
from precordial.study.settings import Study
from precordial.training import TrainingRun
from precordial.training.state import PREDICTIONS


def collect_results(study: Study, cohort: Cohort, plan: Plan) -> list[Row]:
    """Every metric of every finished training, the baselines, and the paired differences to training from scratch."""
    options = _options(study)
    predictions = {run.id: _load(study, run) for run in plan.runs}
    rows: list[Row] = []
    for run in plan.runs:
        rows += result_rows(evaluate(predictions[run.id], **options), **_about(run))
    scratch = {(r.model, r.fraction, r.seed): r for r in plan.runs if r.kind == "scratch"}
    for run in plan.runs:
        other = scratch.get((run.model, run.fraction, run.seed))
        if run.kind == "finetune" and other is not None:
            differences = compare(predictions[run.id], predictions[other.id], **options)
            rows += result_rows(differences, **(_about(run) | {"kind": "difference"}))
    for fraction in sorted({run.fraction for run in plan.runs if run.role == "target"}, key=float):
        baseline = age_sex_baseline(cohort, fraction)
        rows += result_rows(
            evaluate(baseline, **options), run="baseline", kind="baseline", target_fraction=float(fraction)
        )
    return [replace(row, target=study.label) if row.target == "label" else row for row in rows]


def age_sex_baseline(cohort: Cohort, fraction: str = "1") -> Predictions:
    """Predictions of a logistic regression on age and sex alone, fitted on the target's training ECGs."""

    def features(part: Cohort) -> np.ndarray[Any, Any]:
        return np.stack([part.age, part.sex], axis=1)

    training = cohort.select(role="target", split="train", fraction=fraction)
    model = fit_logistic(features(training), training.label)
    parts = []
    for split in ("validation", "random_test", "temporal_test"):
        part = cohort.select(role="target", split=split)
        if len(part):
            score = model.predict(features(part))
            parts.append(Predictions("baseline", part.ecg_id, part.patient_id, split, "label", part.label, score))
    return Predictions.concatenate(parts)


def _options(study: Study) -> dict[str, Any]:
    settings = study.evaluation
    return {
        "replicates": settings.replicates,
        "level": settings.level,
        "seed": settings.seed,
        "resample": settings.resample,
    }


def _about(run: TrainingRun) -> dict[str, Any]:
    return {
        "run": run.id,
        "kind": run.kind,
        "model": run.model,
        "pretraining": run.pretraining,
        "source_fraction": None if run.kind == "scratch" else float(run.source_fraction),
        "target_fraction": None if run.kind == "pretrain" else float(run.fraction),
        "seed": run.seed,
    }


def _load(study: Study, run: TrainingRun) -> Predictions:
    return Predictions.load(study.folder / "runs" / run.id / PREDICTIONS)
