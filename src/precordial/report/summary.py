"""The words and small tables of the report: key results, what was trained, how."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from precordial import __version__
from precordial.cohort import Cohort, named_fold
from precordial.evaluation import Row
from precordial.report.runs import RunRecord
from precordial.report.table import Table, grouped
from precordial.report.tables import MODELS, PRETRAINING, TESTS, ordered

# The examples that a pre-training can use are those with all labels of its task.
TASKS = {"age": ("age",), "sex": ("sex",), "age-sex": ("age", "sex")}
PACKAGES = ("torch", "numpy", "scipy", "polars", "matplotlib")


def main_split(rows: Iterable[Row]) -> str:
    """The test set that the key results are of: the combined one, or else what there is."""
    splits = {row.split for row in rows if row.metric == "auc" and row.kind in ("scratch", "finetune")}
    known = ("combined_test", *TESTS, "validation")
    return next((split for split in known if split in splits), "combined_test")


def key_results(rows: Sequence[Row], label: str) -> list[str]:
    """A sentence on the test set, and one for each model: from scratch, pre-trained, and the paired difference.

    Args:
        rows: at the study's largest fractions.
        label: name of the outcome.
    """
    split = main_split(rows)
    here = [row for row in rows if row.split == split]
    aucs = [row for row in here if row.metric == "auc"]
    if not aucs:
        return ["No model was trained on the target."]
    one = aucs[0]
    several = len({row.seed for row in aucs if row.model}) > 1
    shown = (
        "AUCs from the lowest to the highest seed" if several else f"AUCs with their {100 * one.level:g} % intervals"
    )
    patients = f" of {grouped(one.patients)} patients" if one.patients is not None else ""
    sentences = [f"{_name(split)}: {grouped(one.n)} ECGs{patients}, {grouped(one.events or 0)} with {label}; {shown}."]
    for model in ordered((row.model for row in aucs if row.model), MODELS):
        scratch = _pick(aucs, "scratch", model)
        parts = [f"AUC {_range(scratch)} from scratch"] if scratch else []
        for pretraining in ordered((r.pretraining for r in aucs if r.kind == "finetune"), PRETRAINING):
            tuned = _pick(aucs, "finetune", model, pretraining)
            if not tuned:
                continue
            name = PRETRAINING.get(pretraining, pretraining).lower()
            part = f"{'' if parts else 'AUC '}{_range(tuned)} after pre-training on {name}"
            gain = _pick(here, "difference", model, pretraining)
            parts.append(part + (f" (paired difference {_range(gain)})" if gain else ""))
        sentences.append(f"{MODELS.get(model, model)}: {', '.join(parts)}.")
    baseline = [row for row in aucs if row.kind == "baseline"]
    if baseline:
        sentences.append(f"Logistic regression on age and sex alone: AUC {_range(baseline)}.")
    limit = [row for row in aucs if row.kind == "limit"]
    if limit:
        sentences.append(f"Best possible reader of these synthetic ECGs (Bayes limit): AUC {_range(limit)}.")
    return sentences


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


def table_trainings(runs: Sequence[RunRecord], cohort: Cohort, label: str) -> Table:
    """What each training saw: patients, ECGs, those with the label; epochs, and the best of them."""
    lines = []
    for run in runs:
        settings = run.settings
        fold = settings.get("fold")
        whole = cohort if fold is None else named_fold(cohort, fold)
        part = whole.select(role=settings["role"], split="train", fraction=settings["fraction"])
        if settings["role"] == "target":
            labels = np.stack([part.labels[name] for name in settings["outcomes"]])
            known, events = ~np.isnan(labels).all(axis=0), grouped(int((labels[0] == 1).sum()))
        else:
            known, events = ~np.isnan([getattr(part, name) for name in TASKS[settings["task"]]]).any(axis=0), ""
        lines.append(
            (
                run.model,
                run.what,
                str(run.row.seed),
                grouped(len(np.unique(part.patient_id[known]))),
                grouped(int(known.sum())),
                events,
                str(len(run.epochs)),
                str(run.done["best_epoch"]),
                ", ".join(dict.fromkeys(str(stage.get("batch") or settings["batch"]) for stage in settings["stages"])),
            )
        )
    header = ("Model", "Training", "Seed", "Patients", "ECGs", f"With {label}", "Epochs", "Best", "Batch")
    return Table("Trainings: what each saw, and its epochs", header, tuple(lines))


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
    first, highest, last = (f"{rate:g}".replace("e-0", "e-") for rate in rates)
    return first, highest, last


def method_notes(
    runs: Sequence[RunRecord], rows: Sequence[Row], cohort: Cohort, study: Any, archive: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """What else must be known to understand the numbers, and to make them again: (what, how)."""
    evaluation = study.evaluation
    levels = ", ".join(f"{100 * level:g} %" for level in sorted({row.level for row in rows}))
    notes = [
        ("Rules", "the paper's" if study.rules == "paper" else "those of the authors' published code"),
        ("Outcome", _outcome(cohort.settings, study.label)),
        ("Best epoch", "lowest validation loss in pre-training, highest validation AUC on the target"),
        ("Optimiser", f"Adam, epsilon {_each(run.settings['adam_epsilon'] for run in runs)}"),
        ("Learning rate moves", f"with each {_each(run.settings['schedule_per'] for run in runs)}"),
        ("Arithmetic", _each(run.settings.get("precision", "fp32") for run in runs)),  # older runs do not say
        ("Seeds", ", ".join(str(seed) for seed in sorted({run.row.seed for run in runs}))),
        (
            "Intervals",
            f"{levels}, basic bootstrap of {evaluation.resample}, {grouped(evaluation.replicates)} replicates, "
            f"seed {evaluation.seed}",
        ),
        ("Cohort", f"{grouped(len(cohort))} ECGs, digest {cohort.digest}"),
    ]
    if archive:
        ecgs, rate = grouped(int(archive["ecgs"])), archive["rate"]
        notes.append(("Archive", f"{ecgs} ECGs at {rate} Hz, digest {archive['digest']}"))
    trained = _each(f"precordial {run.done['version']} on {run.done['device']}" for run in runs)
    notes.append(("Trained with", trained))
    installed = [f"precordial {__version__}", f"Python {platform.python_version()}"]
    notes.append(("Report drawn with", ", ".join([*installed, *_versions()])))
    return [(what, how) for what, how in notes if how]


def _outcome(settings: Mapping[str, Any], label: str) -> str:
    if settings.get("kind") != "registers":
        return f"{label}, from the label table"
    codes = ", ".join(settings["outcome_codes"])
    return (
        f"{label}: a diagnosis that begins with {codes}, from the day of arrival to {settings['outcome_days']} days "
        f"after it; index ECG from {settings['before_hours']:g} h before to {settings['after_hours']:g} h after arrival"
    )


def _each(values: Iterable[object]) -> str:
    return " and ".join(sorted({str(value) for value in values}))


def _versions() -> list[str]:
    """Versions of the installed packages, without importing them."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found
