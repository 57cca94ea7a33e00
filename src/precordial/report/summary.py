"""The words and small tables of the report: key results, what was trained, how."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from precordial import __version__
from precordial.cohort import Cohort, named_fold
from precordial.cohort.definitions import Outcome
from precordial.evaluation import Row
from precordial.report.runs import RunRecord, rate_text
from precordial.report.table import Table, grouped
from precordial.report.tables import MANY, MODELS, PRETRAINING, TESTS, TRAINED, macro_average, main_split, ordered

# Pre-training can use the examples with all labels of its task, training on the target those with any outcome known.
TASKS = {"age": ("age",), "sex": ("sex",), "age-sex": ("age", "sex")}
COUNTED = 4  # outcomes with a column of their own
PACKAGES = ("torch", "numpy", "scipy", "polars", "matplotlib")


def key_results(rows: Sequence[Row], outcomes: Sequence[str], *, counts: bool = True) -> list[str]:
    """A sentence on the test set, and one for each model: from scratch, pre-trained, and the paired difference.

    Of several outcomes each has its sentences; of many, the mean over all is told.

    Args:
        rows: at the study's largest fractions.
        outcomes: the cohort's.
        counts: whether to say how many ECGs and events there are.
    """
    if len(outcomes) > MANY:
        return _macro_results(rows, outcomes)
    sentences = []
    for outcome in outcomes:
        found = _outcome_results([row for row in rows if row.target == outcome], outcome, counts)
        before = f"{outcome}, " if len(outcomes) > 1 else ""
        sentences += [*found[:1], *(f"{before}{sentence}" for sentence in found[1:])]
    return sentences or ["No model was trained on the target."]


def _outcome_results(rows: Sequence[Row], outcome: str, counts: bool) -> list[str]:
    split = main_split(rows)
    here = [row for row in rows if row.split == split]
    aucs, gains = ([row for row in here if row.metric == name] for name in ("auc", "auc_difference"))
    if not any(row.kind in TRAINED for row in aucs):
        return []
    one = aucs[0]
    several = len({row.seed for row in aucs if row.model}) > 1
    shown = (
        "AUCs from the lowest to the highest seed" if several else f"AUCs with their {100 * one.level:g} % intervals"
    )
    patients = f" of {grouped(one.patients)} patients" if one.patients is not None else ""
    size = f"{grouped(one.n)} ECGs{patients}, {grouped(one.events or 0)} with {outcome}" if counts else outcome
    sentences = [f"{_name(split)}: {size}; {shown}."]
    for model in ordered((row.model for row in aucs if row.model), MODELS):
        scratch = _pick(aucs, "scratch", model)
        parts = [f"AUC {_range(scratch)} from scratch"] if scratch else []
        for pretraining in ordered((r.pretraining for r in aucs if r.kind == "finetune"), PRETRAINING):
            tuned = _pick(aucs, "finetune", model, pretraining)
            if not tuned:
                continue
            name = PRETRAINING.get(pretraining, pretraining).lower()
            part = f"{'' if parts else 'AUC '}{_range(tuned)} after pre-training on {name}"
            gain = _pick(gains, "difference", model, pretraining)
            parts.append(part + (f" (paired difference {_range(gain)})" if gain else ""))
        sentences.append(f"{MODELS.get(model, model)}: {', '.join(parts)}.")
    baseline = [row for row in aucs if row.kind == "baseline"]
    if baseline:
        sentences.append(f"Logistic regression on age and sex alone: AUC {_range(baseline)}.")
    limit = [row for row in aucs if row.kind == "limit"]
    if limit:
        sentences.append(f"Best possible reader of these synthetic ECGs (Bayes limit): AUC {_range(limit)}.")
    return sentences


def _macro_results(rows: Sequence[Row], outcomes: Sequence[str]) -> list[str]:
    """Of many outcomes, the mean of their AUCs."""
    split = main_split(rows)
    aucs = [row for row in rows if (row.split, row.metric) == (split, "auc") and row.target in outcomes]
    sentences = []
    for model in ordered((row.model for row in aucs if row.kind in TRAINED), MODELS):
        parts = []
        for pretraining in ordered((row.pretraining for row in aucs if row.model == model), PRETRAINING):
            mean = macro_average(row for row in aucs if (row.model, row.pretraining) == (model, pretraining))
            name = PRETRAINING.get(pretraining, pretraining).lower()
            parts.append(f"{mean:.3f} {'from scratch' if pretraining == 'none' else f'after pre-training on {name}'}")
        sentences.append(f"{MODELS.get(model, model)}: mean AUC {', '.join(parts)}.")
    if not sentences:
        return ["No model was trained on the target."]
    alone = macro_average(row for row in aucs if row.kind == "baseline")
    sentences += [f"Logistic regression on age and sex alone: mean AUC {alone:.3f}."] if alone == alone else []
    return [f"{_name(split)}: the means are over the outcomes, {len(outcomes)} in all, that have an AUC.", *sentences]


def _pick(rows: Iterable[Row], kind: str, model: str, pretraining: str | None = None) -> list[Row]:
    return [row for row in rows if (row.kind, row.model) == (kind, model) and pretraining in (None, row.pretraining)]


def _range(rows: Sequence[Row]) -> str:
    """A value with its interval, or the range of several seeds."""
    if len(rows) == 1:
        return rows[0].estimate.format()
    values = sorted(row.value for row in rows)
    low, high = (f"{value:.3f}".replace("-", "−") for value in (values[0], values[-1]))
    return f"{low} to {high} over {len(rows)} seeds"


def _name(split: str) -> str:
    return {"validation": "Validation set"}.get(split, f"{TESTS.get(split, split)} test set")


def table_trainings(runs: Sequence[RunRecord], cohort: Cohort, *, counts: bool = True) -> Table:
    """What each training saw: patients, ECGs, those with an outcome; epochs, and the best of them.

    Args:
        runs: the trainings.
        cohort: they were trained on.
        counts: whether to say how many patients and ECGs there were.
    """
    counted = cohort.outcomes if len(cohort.outcomes) <= COUNTED else ()
    lines = []
    for run in runs:
        settings = run.settings
        fold = settings.get("fold")
        whole = cohort if fold is None else named_fold(cohort, fold)
        seen: tuple[str, ...] = ()
        if counts:
            seen = _seen(
                whole.select(role=settings["role"], split="train", fraction=settings["fraction"]), run, counted
            )
        batches = dict.fromkeys(str(stage.get("batch") or settings["batch"]) for stage in settings["stages"])
        epochs = str(len(run.epochs)), str(run.done["best_epoch"])
        lines.append((run.model, run.what, str(run.row.seed), *seen, *epochs, ", ".join(batches)))
    what = ("Patients", "ECGs", *(f"With {outcome}" for outcome in counted)) if counts else ()
    header = ("Model", "Training", "Seed", *what, "Epochs", "Best", "Batch")
    return Table("Trainings: what each saw, and its epochs", header, tuple(lines))


def _seen(part: Cohort, run: RunRecord, outcomes: Sequence[str]) -> tuple[str, ...]:
    if run.settings["role"] == "target":
        known = ~np.isnan([part.labels[name] for name in run.settings["outcomes"]]).all(axis=0)
        events = tuple(grouped(int((part.labels[outcome] == 1).sum())) for outcome in outcomes)
    else:
        known = ~np.isnan([getattr(part, name) for name in TASKS[run.settings["task"]]]).any(axis=0)
        events = ("",) * len(outcomes)
    return grouped(len(np.unique(part.patient_id[known]))), grouped(int(known.sum())), *events


def table_stages(runs: Sequence[RunRecord]) -> Table:
    """The stages as really run: a line each, equal ones of a model once."""
    lines: dict[tuple[str, ...], None] = {}
    for run in runs:
        stages = run.settings["stages"]
        for number, stage in enumerate(stages, start=1):
            name = run.what if len(stages) == 1 else f"{run.what}, stage {number}"
            trains = "head" if stage["trains"] == "head" else "all layers"
            if stage["awake"]:
                trains += f" ({' and '.join(stage['awake'])} of the body awake)"
            lines[(run.model, name, str(stage["epochs"]), str(stage["warmup"]), *_rates(stage), trains)] = None
    header = ("Model", "Training", "Epochs", "Warm-up", "First rate", "Peak", "Last rate", "Trains")
    return Table("Stages as run: epochs and learning rates", header, tuple(lines))


def _rates(stage: Mapping[str, Any]) -> tuple[str, str, str]:
    peak = stage["peak"]
    start, end = stage["start"] if stage["warmup"] else peak, stage["end"]
    rates = start, peak, peak if end is None else end
    first, highest, last = map(rate_text, rates)
    return first, highest, last


def method_notes(
    runs: Sequence[RunRecord], rows: Sequence[Row], cohort: Cohort, study: Any, archive: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """What else must be known to understand the numbers, and to make them again: (what, how)."""
    evaluation = study.evaluation
    size = "" if study.privacy.smallest_cell else f"{grouped(len(cohort))} ECGs, "
    levels = ", ".join(f"{100 * level:g} %" for level in sorted({row.level for row in rows}))
    notes = [
        ("Rules", "the paper's" if study.rules == "paper" else "those of the authors' published code"),
        *outcome_notes(cohort),
        ("Best epoch", "lowest validation loss in pre-training, highest validation AUC on the target"),
        ("Optimiser", f"Adam, epsilon {_each(run.settings['adam_epsilon'] for run in runs)}"),
        ("Learning rate moves", f"with each {_each(run.settings['schedule_per'] for run in runs)}"),
        ("Arithmetic", _each(run.settings.get("precision", "fp32") for run in runs)),  # older runs do not say
        ("Seeds", ", ".join(str(seed) for seed in sorted({run.row.seed for run in runs}))),
        (
            "Intervals",
            f"{levels}, {interval_words(evaluation)}, of {evaluation.resample}, {grouped(evaluation.replicates)} "
            f"replicates, seed {evaluation.seed}",
        ),
        ("Cohort", f"{size}digest {cohort.digest}"),
    ]
    if archive:
        ecgs = "" if study.privacy.smallest_cell else f"{grouped(int(archive['ecgs']))} "
        notes.append(("Archive", f"{ecgs}ECGs at {archive['rate']} Hz, digest {archive['digest']}"))
    trained = _each(f"precordial {run.done['version']} on {run.done['device']}" for run in runs)
    notes.append(("Trained with", trained))
    installed = [f"precordial {__version__}", f"Python {platform.python_version()}"]
    notes.append(("Report drawn with", ", ".join([*installed, *software()])))
    return [(what, how) for what, how in notes if how]


def interval_words(evaluation: Any) -> str:
    """The kind of the intervals; see `precordial.study.settings.EvaluationSettings`."""
    kinds = {"bca": "bootstrap, bias-corrected and accelerated", "delong": "DeLong's for AUCs, else basic bootstrap"}
    return kinds.get(evaluation.interval, f"{evaluation.interval} bootstrap")


def outcome_notes(cohort: Cohort) -> list[tuple[str, str]]:
    """What each outcome is, and when the index ECG may have been recorded."""
    settings = cohort.settings
    if settings.get("kind") != "registers":
        where = f"the labels of {settings['dataset']}" if settings.get("dataset") else "the label table"
        return [("Outcome", f"{listed(cohort.outcomes)}, from {where}")]
    window = f"from {settings['before_hours']:g} h before to {settings['after_hours']:g} h after arrival"
    described = {outcome["name"]: _described(outcome) for outcome in settings["outcomes"]}
    notes = [("Outcome", f"{name}: {described[name]}") for name in cohort.outcomes]
    notes.append(("Index ECG", window))
    if settings.get("adjudicated"):
        notes.append(("Adjudicated", "labels that somebody has decided stand above the registers'"))
    follow_up = settings["follow_up"]
    if follow_up["complete_until"] or follow_up["incomplete"] != "keep":
        until = follow_up["complete_until"] or "the last day of the diagnoses"
        fate = {"keep": "counts as without it", "unknown": "has an unknown outcome"}[follow_up["incomplete"]]
        words = f"the registers cover the days until {until}; a visit without the outcome that has days beyond {fate}"
        notes.append(("Follow-up", words))
    return notes


def _described(outcome: Mapping[str, Any]) -> str:
    """An outcome in words, from its settings; see `precordial.cohort.definitions.Outcome`."""
    whole = Outcome.model_validate(outcome)
    events = []
    if whole.all_codes:
        place = "main diagnosis" if whole.position == "main" else "diagnosis"
        codes = f"a {place} that begins with {listed(whole.all_codes, 'or')}"
        codes += f" and not with {listed(whole.all_exclusions, 'or')}" if whole.all_exclusions else ""
        events.append(codes + (f", of the registers {listed(whole.registers)}" if whole.registers else ""))
    if whole.all_procedures:
        events.append(f"a procedure that begins with {listed(whole.all_procedures, 'or')}")
    if whole.death == "event":
        causes = f" of a cause that begins with {listed(whole.death_causes, 'or')}" if whole.death_causes else ""
        events.append(f"death{causes}")
    first = f"day {whole.from_days}" if whole.from_days else "the day of arrival"
    text = (
        f"{listed(events, 'or')}, from {first} to {whole.days} days after {'it' if not whole.from_days else 'arrival'}"
    )
    text += f" (code list {whole.code_list})" if whole.code_list else ""
    return text + ("; unknown after a death before it" if whole.death == "competing" else "")


def listed(words: Iterable[str], last: str = "and") -> str:
    """Words in a row.

    >>> listed(["AMI", "death", "MACE"]), listed(["I21"])
    ('AMI, death and MACE', 'I21')
    """
    *rest, end = words
    return f"{', '.join(rest)} {last} {end}" if rest else end


def _each(values: Iterable[object]) -> str:
    return " and ".join(sorted({str(value) for value in values}))


def software() -> list[str]:
    """Versions of the installed packages, without importing them."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found
