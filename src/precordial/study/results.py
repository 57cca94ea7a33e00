"""The two tables of a study, made from its runs' predictions; without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
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
    across_seeds,
    compare,
    evaluate,
    pool_folds,
    read_results,
    result_rows,
    with_holm,
    write_results,
)
from precordial.processes import in_order
from precordial.study.plan import Plan
from precordial.study.settings import Study
from precordial.study.tables import write_predictions_table, write_results_table
from precordial.training import TrainingRun
from precordial.training.layout import DONE, PREDICTIONS


@dataclass(frozen=True)
class Part:
    """Some rows of the results, measured once.

    Attributes:
        path: where they are kept.
        make: `evaluate`, or `compare`; or one for several seeds.
        of: the tables of predictions.
        options: for `make`.
        about: what the rows say of the run.
    """

    path: Path
    make: Callable[..., Iterable[Result]]
    of: tuple[Path | Predictions, ...]
    options: dict[str, Any]
    about: dict[str, Any]


def write_tables(study: Study, cohort: Cohort, plan: Plan, workers: int = 1) -> list[Row]:
    """Measure what is not measured yet, and write the study's results and predictions, both of its finished trainings.

    Args:
        study, cohort, plan: the study's.
        workers: processes that measure.

    Returns:
        The results.

    Raises:
        PrecordialError: predictions of a training are missing or damaged.
    """
    rows = collect_results(study, cohort, plan, workers)
    groups = _finished(study, plan)
    runs = study.folder / "runs"
    write_predictions_table(study.folder, {folds[0].id: _scores(runs, folds) for folds in groups.values()})
    write_results_table(study.folder, rows)
    return rows


def collect_results(study: Study, cohort: Cohort, plan: Plan, workers: int = 1) -> list[Row]:
    """Every metric of every finished training, the baselines, and the paired differences to training from scratch.

    The p-values of the differences are corrected together. Where there are several seeds, their means and spread are
    there, too, under the id and seed of the first.

    Trainings that differ in nothing but the fold are one, once all of them are finished: their rows have the id of the
    first, and their predictions are put together in a file of its folder, see `precordial.evaluation.pool_folds`. Each
    part is kept in the study's ``results`` folder, so that a study that has grown measures only what is new.
    """
    groups, options = _finished(study, plan), bootstrap_options(study)
    key = blake2b(f"{__version__} {options}".encode(), digest_size=4).hexdigest()
    runs, kept = study.folder / "runs", study.folder / "results"
    scores = {group: _scores(runs, folds) for group, folds in groups.items()}
    scratch = {_twin(folds[0]): group for group, folds in groups.items() if folds[0].kind == "scratch"}
    parts: list[Part] = []
    seeds: dict[tuple[object, ...], list[tuple[TrainingRun, Path, Path | None]]] = {}
    for group, (run, *_) in groups.items():
        parts.append(Part(kept / f"{group}-{key}.csv", evaluate, (scores[group],), options, _about(run)))
        other = scratch.get(_twin(run))
        twin = scores[other] if run.kind == "finetune" and other is not None else None
        alike = _about(run) | {"run": run.outcomes, "seed": None}
        seeds.setdefault(tuple(alike.values()), []).append((run, scores[group], twin))
        if twin is not None:
            pair, about = (scores[group], twin), _about(run) | {"kind": "difference"}
            parts.append(Part(kept / f"{group}-{other}-{key}.csv", compare, pair, options, about))
    for members in seeds.values():
        parts += _of_seeds(kept, key, members, options) if len(members) > 1 else []
    last = len(parts)
    done = [run for folds in groups.values() for run in folds]
    for fraction in sorted({run.fraction for run in done if run.role == "target"}, key=float):
        path = kept / f"baseline-{cohort.digest[:12]}-{fraction}-{key}.csv"
        about = {"run": "baseline", "kind": "baseline", "target_fraction": float(fraction)}
        of = () if path.exists() else (age_sex_baseline(cohort, fraction),)
        parts.append(Part(path, evaluate, of, options, about))
    missing = [part for part in parts if not part.path.exists()]
    for _ in in_order(_measure, missing, max(1, min(workers, len(missing)))):
        pass
    trained = {name for run in done for name in run.targets}
    rows = [row for part in parts[:last] for row in read_results(part.path)]
    rows += [row for part in parts[last:] for row in read_results(part.path) if row.target in trained]
    return with_holm(rows)


def _of_seeds(
    kept: Path, key: str, of: list[tuple[TrainingRun, Path, Path | None]], options: dict[str, Any]
) -> Iterator[Part]:
    """Trainings that differ in nothing but the seed; and their differences to training from scratch, if all have it."""
    scores, scratch = [one for _, one, _ in of], [other for _, _, other in of if other is not None]
    name = blake2b("".join(run.id for run, _, _ in of).encode(), digest_size=8).hexdigest()
    options = {name: value for name, value in options.items() if name != "interval"}  # theirs is that of a sum
    about = _about(of[0][0]) | {"kind": "seeds"}
    yield Part(kept / f"seeds-{name}-{key}.csv", _seeds, (*scores,), options, about)
    if len(scratch) == len(of):
        yield Part(kept / f"seeds-{name}-scratch-{key}.csv", _seed_differences, (*scores, *scratch), options, about)


def _seeds(*tables: Predictions, **options: Any) -> Iterator[Result]:
    return (row for one in across_seeds(tables, **options) for row in one.results())


def _seed_differences(*tables: Predictions, **options: Any) -> Iterator[Result]:
    half = len(tables) // 2
    return (row for one in across_seeds(tables[:half], tables[half:], **options) for row in one.results())


def _measure(part: Part) -> None:
    tables = [Predictions.load(table) if isinstance(table, Path) else table for table in part.of]
    write_results(part.path, result_rows(part.make(*tables, **part.options), **part.about))


def _finished(study: Study, plan: Plan) -> dict[str, list[TrainingRun]]:
    """Group → its runs, in the order of the plan, of the groups of which all runs are done."""
    groups: dict[str, list[TrainingRun]] = {}
    for run in plan.runs:
        groups.setdefault(run.group, []).append(run)
    runs = study.folder / "runs"
    return {group: folds for group, folds in groups.items() if all((runs / run.id / DONE).exists() for run in folds)}


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
