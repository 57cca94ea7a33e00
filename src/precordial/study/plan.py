"""From a study to its trainings: the grids multiplied out, equal ones once, parents before children."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from precordial.study.settings import GridSettings, Study
from precordial.training import RECIPES, Stage, TrainingRun, scratch_stages, source_stages, target_stages
from precordial.training.precision import choose_precision
from precordial.training.recipes import Pretraining

Kind = Literal["pretrain", "scratch", "finetune"]


@dataclass(frozen=True)
class Plan:
    """The distinct trainings of a study, each after its parent.

    >>> Plan(()).count("pretrain")
    0
    """

    runs: tuple[TrainingRun, ...]

    def count(self, kind: Kind) -> int:
        """How many trainings are of this kind."""
        return sum(run.kind == kind for run in self.runs)


def make_plan(study: Study, cohort_digest: str = "") -> Plan:
    """List every training that a study needs.

    Args:
        study: the settings.
        cohort_digest: of the cohort that is trained on; run ids depend on it.
    """
    runs: dict[str, TrainingRun] = {}
    for seed in study.seeds:
        for grid in study.grid:
            for run in _expand(study, grid, seed, cohort_digest):
                runs.setdefault(run.id, run)
    return Plan(tuple(sorted(runs.values(), key=lambda run: run.kind != "pretrain")))


def _expand(study: Study, grid: GridSettings, seed: int, cohort: str) -> Iterable[TrainingRun]:
    for model in grid.models:
        for pretraining in grid.pretraining:
            if pretraining == "none":
                for fraction in grid.target_fractions:
                    yield target_run(study, model, fraction, seed, cohort, None)
                continue
            for source_fraction in grid.source_fractions:
                parent = source_run(study, model, pretraining, source_fraction, seed, cohort)
                yield parent
                for fraction in grid.target_fractions:
                    yield target_run(study, model, fraction, seed, cohort, parent)


def source_run(
    study: Study, model: str, task: Literal["age", "sex", "age-sex"], fraction: str, seed: int, cohort: str
) -> TrainingRun:
    """One pre-training."""
    stages = _own_stages(study, model, "source") or source_stages(model, study.rules)
    return _run(study, model, seed, cohort, role="source", task=task, fraction=fraction, stages=stages)


def target_run(
    study: Study, model: str, fraction: str, seed: int, cohort: str, parent: TrainingRun | None
) -> TrainingRun:
    """One training on the target: a fine-tuning of `parent`, or from scratch."""
    authors = study.rules == "authors-code"
    if parent is None:
        stages = _own_stages(study, model, "scratch") or scratch_stages(model)
        return _run(study, model, seed, cohort, role="target", task="label", fraction=fraction, stages=stages)
    pretraining: Pretraining = parent.pretraining
    stages = _own_stages(study, model, "target") or target_stages(model, pretraining, study.rules)
    return _run(
        study,
        model,
        seed,
        cohort,
        role="target",
        task="label",
        fraction=fraction,
        stages=stages,
        head="target-authors" if authors else "target",
        parent=parent,
    )


def _own_stages(study: Study, model: str, which: Literal["source", "scratch", "target"]) -> tuple[Stage, ...] | None:
    own = study.training.models.get(model)
    stages: tuple[Stage, ...] | None = getattr(own, which) if own else None
    return stages


def _run(study: Study, model: str, seed: int, cohort: str, **changes: object) -> TrainingRun:
    training, own = study.training, study.training.models.get(model)
    authors = study.rules == "authors-code" and model == "rn-900k"
    return TrainingRun.model_validate(
        {
            "model": model,
            "rate": study.archive.rate,
            "seed": seed,
            "batch": (own and own.batch) or training.batch,
            "adam_epsilon": RECIPES[model].adam_epsilon,
            "schedule_per": training.schedule_per or ("epoch" if authors else "step"),
            "crop_per": training.crop_per or ("batch" if authors else "ecg"),
            "age_bias": training.age_bias if changes["role"] == "source" else "zero",
            "precision": choose_precision(training.precision, training.device),
            "cohort": cohort,
            **changes,
        }
    )
