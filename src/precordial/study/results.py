"""The results table of a study, made from its predictions."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

from precordial import __version__
from precordial.cohort import Cohort, age_sex_baseline
from precordial.evaluation import (
    CROSS_VALIDATED,
    Predictions,
    Result,
    Row,
    compare,
    evaluate,
    pool_folds,
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

    Trainings that differ in nothing but the fold are one: their rows have the id of the first, and their predictions
    are put together in a file of its folder, see `precordial.evaluation.pool_folds`. Each part is kept in the study's
    ``results`` folder, so that a study that has grown measures only what is new.
    """
    options = bootstrap_options(study)

    def once(name: str, make: Callable[..., list[Result]], *of: Predictions | Path, **about: Any) -> list[Row]:
        key = blake2b(f"{__version__} {options}".encode(), digest_size=4).hexdigest()
        path = study.folder / "results" / f"{name}-{key}.csv"
        if not path.exists():
            tables = [Predictions.load(table) if isinstance(table, Path) else table for table in of]
            write_results(path, result_rows(make(*tables, **options), **about))
        return read_results(path)

    runs = study.folder / "runs"
    trained = {name for run in plan.runs for name in run.targets}
    rows: list[Row] = []
    groups: dict[str, list[TrainingRun]] = {}
    for run in plan.runs:
        groups.setdefault(run.group, []).append(run)
    scores = {group: _scores(runs, folds) for group, folds in groups.items()}
    scratch = {_twin(folds[0]): group for group, folds in groups.items() if folds[0].kind == "scratch"}
    for group, (run, *_) in groups.items():
        rows += once(group, evaluate, scores[group], **_about(run))
        other = scratch.get(_twin(run))
        if run.kind == "finetune" and other is not None:
            about = _about(run) | {"kind": "difference"}
            rows += once(f"{group}-{other}", compare, scores[group], scores[other], **about)
    for fraction in sorted({run.fraction for run in plan.runs if run.role == "target"}, key=float):
        name = f"baseline-{cohort.digest[:12]}-{fraction}"
        about = {"run": "baseline", "kind": "baseline", "target_fraction": float(fraction)}
        baseline = once(name, evaluate, age_sex_baseline(cohort, fraction), **about)
        rows += [row for row in baseline if row.target in trained]
    return rows


def _scores(runs: Path, folds: list[TrainingRun]) -> Path:
    """The predictions of a run, or of all folds of a cross-validation, which are put together here."""
    folder = runs / folds[0].id
    if folds[0].fold is None:
        return folder / PREDICTIONS
    path = folder / CROSS_VALIDATED
    if not path.exists():
        tables = [Predictions.load(runs / run.id / PREDICTIONS) for run in folds]
        pool_folds(tables, [str(run.fold) for run in folds]).save(path)
    return path


def _twin(run: TrainingRun) -> tuple[object, ...]:
    """What a fine-tuned run and the one from scratch that it is compared with have in common."""
    return run.model, run.fraction, run.seed, run.outcomes


def bootstrap_options(study: Study) -> dict[str, Any]:
    """What `evaluate` and `compare` are told about the study's intervals."""
    settings = study.evaluation
    return {
        "replicates": settings.replicates,
        "level": settings.level,
        "seed": settings.seed,
        "resample": settings.resample,
        "interval": settings.interval,
        "stratify": settings.stratify,
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
