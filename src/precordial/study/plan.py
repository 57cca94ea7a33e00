"""From a study to its trainings: the grids multiplied out, equal ones once, parents before children."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from precordial.cohort import CohortSettings, RegistersSettings
from precordial.errors import SettingsError
from precordial.study.settings import GridSettings, Study, TrainingSettings
from precordial.training import RECIPES, TASKS, Stage, TrainingRun, scratch_stages, source_stages, target_stages
from precordial.training.options import Precision
from precordial.training.recipes import Pretraining

Kind = Literal["pretrain", "scratch", "finetune"]
PRECISION = "precision.json"  # what "auto" means in this study, as the machine has found that began it


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


def make_plan(study: Study, cohort_digest: str = "", outcomes: tuple[str, ...] | None = None) -> Plan:
    """List every training that a study needs.

    Args:
        study: the settings.
        cohort_digest: of the cohort that is trained on; run ids depend on it.
        outcomes: of that cohort. Before it is built, None: those of the settings, patterns such as ``statement:*`` as
            they stand there.

    Raises:
        SettingsError: a grid asks for an outcome that the cohort does not have, or class weights name one.
    """
    known = _outcomes(study.cohort) if outcomes is None else outcomes
    weights = study.training.class_weights
    if outcomes is not None and isinstance(weights, dict):
        for name in weights:
            if name != "sex" and name not in outcomes:
                raise _no_outcome(name, known, "training.class_weights")
    _check_inputs(study, known)
    fixed = study.training.model_copy(update={"precision": study_precision(study)})
    study = study.model_copy(update={"training": fixed})
    chosen = [
        _chosen(grid, known, f"grid.{number}.outcomes", built=outcomes is not None)
        for number, grid in enumerate(study.grid)
    ]
    runs: dict[str, TrainingRun] = {}
    for seed in study.seeds:
        for grid, names in zip(study.grid, chosen, strict=True):
            for run in _expand(study, grid, seed, cohort_digest, names):
                runs.setdefault(run.id, run)
    return Plan(tuple(sorted(runs.values(), key=lambda run: run.kind != "pretrain")))


def _outcomes(cohort: CohortSettings | None) -> tuple[str, ...]:
    """Names of the outcomes, or patterns of names, as far as the settings tell."""
    if cohort is None:
        return ("label",)
    if isinstance(cohort, RegistersSettings):
        return tuple(outcome.name for outcome in cohort.outcomes)
    return cohort.table.columns.labels if cohort.table else cohort.labels or ()


def _check_inputs(study: Study, outcomes: tuple[str, ...]) -> None:
    """That the inputs beside the ECG are there, and none of them is what is to be predicted."""
    cohort = study.cohort
    registers = isinstance(cohort, RegistersSettings)
    table = cohort.visits if isinstance(cohort, RegistersSettings) else cohort and cohort.table
    own = table.columns.inputs if table else ()
    for name in own:
        if name in ("age", "sex", *outcomes) or own.count(name) > 1:
            raise SettingsError(
                f"'{name}' is {'an outcome' if name in outcomes else 'there already'}, and no further input",
                key=f"cohort.{'visits' if registers else 'table'}.columns.inputs",
                remedy="take it out",
            )
    known = ("age", "sex", *own)
    for name in study.training.extra_inputs:
        if name not in known or study.training.extra_inputs.count(name) > 1:
            problem = f"'{name}' stands there twice" if name in known else f"the cohort has no input '{name}'"
            remedy = f"choose of {', '.join(known)}; inputs of the visits or of the label table add to them"
            raise SettingsError(problem, key="training.extra_inputs", remedy=remedy)


def _chosen(grid: GridSettings, known: tuple[str, ...], key: str, *, built: bool) -> tuple[str, ...]:
    """The known outcomes that a grid asks for, in their own order, so that equal trainings stay equal."""
    if taken := TASKS.keys() & set(known):
        raise SettingsError(
            f"an outcome is called '{min(taken)}', which is a task of pre-training", key="cohort", remedy="rename it"
        )
    chosen: set[str] = set()
    for wanted in grid.outcomes:
        found = {wanted} & set(known) or {name for name in known if fnmatchcase(name, wanted)}
        if not found and not built:  # a pattern of the settings that the cohort will resolve may hold it
            found = {wanted for pattern in known if fnmatchcase(wanted, pattern)}
        if not found:
            raise _no_outcome(wanted, known, key)
        chosen |= found
    return (*(name for name in known if name in chosen), *sorted(chosen - set(known)))


def _no_outcome(wanted: str, known: tuple[str, ...], key: str) -> SettingsError:
    near = difflib.get_close_matches(wanted, known, 1, 0.0)
    return SettingsError(f"there is no outcome '{wanted}' in the cohort", key=key, remedy=f"the nearest is '{near[0]}'")


def _expand(
    study: Study, grid: GridSettings, seed: int, cohort: str, outcomes: tuple[str, ...]
) -> Iterable[TrainingRun]:
    def targets(model: str, parent: TrainingRun | None) -> Iterable[TrainingRun]:
        for fraction in grid.target_fractions:
            for fold in (study.cohort and study.cohort.folds) or (None,):
                yield target_run(study, model, fraction, seed, cohort, parent, outcomes=outcomes, fold=fold)

    for model in grid.models:
        for pretraining in grid.pretraining:
            if pretraining == "none":
                yield from targets(model, None)
                continue
            for source_fraction in grid.source_fractions:
                parent = source_run(study, model, pretraining, source_fraction, seed, cohort)
                yield parent
                yield from targets(model, parent)


def source_run(
    study: Study, model: str, task: Literal["age", "sex", "age-sex"], fraction: str, seed: int, cohort: str
) -> TrainingRun:
    """One pre-training."""
    stages = _own_stages(study, model, "source") or source_stages(model, study.rules)
    return _run(study, model, seed, cohort, role="source", task=task, fraction=fraction, stages=stages)


def target_run(
    study: Study, model: str, fraction: str, seed: int, cohort: str, parent: TrainingRun | None, **what: Any
) -> TrainingRun:
    """One training on the target: a fine-tuning of `parent`, or from scratch; `what` are its outcomes and fold."""
    about = {"role": "target", "task": "label", "fraction": fraction, **what}
    if parent is None:
        stages = _own_stages(study, model, "scratch") or scratch_stages(model)
        return _run(study, model, seed, cohort, stages=stages, **about)
    pretraining: Pretraining = parent.pretraining
    stages = _own_stages(study, model, "target") or target_stages(model, pretraining, study.rules)
    if study.training.cache_features is True and any(s.trains == "head" and not s.body_is_fixed for s in stages):
        raise SettingsError(
            f"the frozen body of {model} has awake layers or reads augmented ECGs, so its features cannot be stored",
            key="training.cache_features",
            remedy='set it to "auto" or false',
        )
    head = "target-authors" if study.rules == "authors-code" else "target"
    stored = {"cache_features": study.training.cache_features, "crop_grid": study.training.crop_grid}
    return _run(study, model, seed, cohort, stages=stages, head=head, parent=parent, **stored, **about)


def _own_stages(study: Study, model: str, which: Literal["source", "scratch", "target"]) -> tuple[Stage, ...] | None:
    own = study.training.models.get(model)
    stages: tuple[Stage, ...] | None = getattr(own, which) if own else None
    return stages


def _run(study: Study, model: str, seed: int, cohort: str, **changes: object) -> TrainingRun:
    training, own = study.training, study.training.models.get(model)
    authors = study.rules == "authors-code" and model.startswith("rn-900k")
    run = TrainingRun.model_validate(
        {
            "model": model,
            "rate": study.archive.rate,
            "seed": seed,
            "batch": (own and own.batch) or training.batch,
            "adam_epsilon": RECIPES[model].adam_epsilon,
            "schedule_per": training.schedule_per or ("epoch" if authors else "step"),
            "crop_per": training.crop_per or ("batch" if authors else "ecg"),
            "age_bias": training.age_bias if changes["role"] == "source" else "zero",
            "precision": training.precision,
            "cropping": own and own.crops,
            "extra_inputs": training.extra_inputs if changes["role"] == "target" else (),
            "best_by": training.best_by,
            "ema": training.ema,
            "clip_norm": training.clip_norm,
            "label_smoothing": training.label_smoothing,
            "cohort": cohort,
            **changes,
        }
    )
    weights = training.class_weights
    if isinstance(weights, dict):  # those of other outcomes are not this run's
        weights = {name: weight for name, weight in weights.items() if name in run.targets} or None
    return run.model_copy(
        update={"class_weights": weights, "stages": tuple(_filled(stage, training) for stage in run.stages)}
    )


def study_precision(study: Study) -> Precision:
    """The precision of a study's trainings.

    What "auto" means is found where the study is first run, and kept in its folder: were it found on each machine, two
    of them would not share their trainings.
    """
    wanted = study.training.precision
    if wanted != "auto":
        return wanted
    path = study.folder / PRECISION
    if path.exists():
        try:
            kept: Precision = TypeAdapter(Precision).validate_json(path.read_bytes())
        except ValidationError:
            raise SettingsError("this file is damaged", file=path, remedy="delete it") from None
        return kept
    from precordial.training.precision import choose_precision  # loads torch

    return choose_precision(wanted, study.training.device)


def _filled(stage: Stage, training: TrainingSettings) -> Stage:
    """A stage with what [training] says for those that say nothing of their own."""
    how = training.augment if stage.augment is None else stage.augment
    return stage.model_copy(update={"patience": stage.patience or training.patience, "augment": how or None})
