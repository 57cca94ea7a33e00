"""The results table of a study, made from its predictions."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

from precordial import __version__
from precordial.cohort import Cohort, age_sex_baseline
from precordial.evaluation import (
    Predictions,
    Result,
    Row,
    compare,
    evaluate,
    read_results,
    result_rows,
    write_results,
)
from precordial.study.plan import Plan
from precordial.study.settings import Study
from precordial.training import TrainingRun
from precordial.training.state import PREDICTIONS


def collect_results(study: Study, cohort: Cohort, plan: Plan) -> list[Row]:
    """Every metric of every finished training, the baselines, and the paired differences to training from scratch.

    Each part is kept in the study's ``results`` folder, so that a study that has grown measures only what is new.
    """
    options = bootstrap_options(study)

    def once(name: str, make: Callable[..., list[Result]], *of: Predictions | Path, **about: Any) -> list[Row]:
        key = blake2b(f"{__version__} {options}".encode(), digest_size=4).hexdigest()
        path = study.folder / "results" / f"{name}-{key}.csv"
        if not path.exists():
            tables = [Predictions.load(table) if isinstance(table, Path) else table for table in of]
            write_results(path, result_rows(make(*tables, **options), **about))
        return read_results(path)

    def scores(run: TrainingRun) -> Path:
        return study.folder / "runs" / run.id / PREDICTIONS

    rows: list[Row] = []
    scratch = {(run.model, run.fraction, run.seed): run for run in plan.runs if run.kind == "scratch"}
    for run in plan.runs:
        rows += once(run.id, evaluate, scores(run), **_about(run))
        other = scratch.get((run.model, run.fraction, run.seed))
        if run.kind == "finetune" and other is not None:
            about = _about(run) | {"kind": "difference"}
            rows += once(f"{run.id}-{other.id}", compare, scores(run), scores(other), **about)
    for fraction in sorted({run.fraction for run in plan.runs if run.role == "target"}, key=float):
        name = f"baseline-{cohort.digest[:12]}-{fraction}"
        about = {"run": "baseline", "kind": "baseline", "target_fraction": float(fraction)}
        rows += once(name, evaluate, age_sex_baseline(cohort, fraction), **about)
    return rows


def bootstrap_options(study: Study) -> dict[str, Any]:
    """What `evaluate` and `compare` are told about the study's intervals."""
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
