"""A card for each model: what it is for, what it learned from, how good it is, what limits it, where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from precordial.evaluation import Row
from precordial.report.examples import best_run
from precordial.report.material import Material
from precordial.report.methods_models import effort, libraries, machine
from precordial.report.prose import Block, Part, todo
from precordial.report.runs import RunRecord, rate_text
from precordial.report.summary import listed, outcome_notes
from precordial.report.table import Table, grouped
from precordial.report.table_one import model_rows
from precordial.report.tables import MODELS, TESTS, ordered

METRICS = {
    "auc": "AUC",
    "average_precision": "Average precision",
    "brier": "Brier score",
    "calibration_slope": "Calibration slope",
    "calibration_intercept": "Calibration intercept",
}


@dataclass(frozen=True)
class ModelCard:
    """The card of one model.

    Attributes:
        name: of its file, such as "rn-900k".
        title: for readers.
        parts: what it says.
    """

    name: str
    title: str
    parts: tuple[Part, ...]


def model_cards(material: Material) -> list[ModelCard]:
    """A card for each model that was trained on the target: of its run with the highest validation AUC."""
    outcome = material.cohort.outcomes[0]
    cards = []
    for model in ordered((run.row.model for run in material.runs), MODELS):
        own = [run for run in material.runs if run.row.model == model]
        run = best_run(own, material.largest, outcome)
        if run is not None:
            cards.append(ModelCard(model, f"{run.model}, {run.what}", tuple(_parts(material, run))))
    return cards


def _parts(material: Material, run: RunRecord) -> Iterable[Part]:
    yield Part("The model", tuple(_model(material, run)))
    yield Part("Intended use", tuple(_use(material)))
    yield Part("Data", tuple(_data(material, run)))
    yield Part("Performance", tuple(_performance(material, run)))
    yield Part(
        "Limits", (_limits(material, run), todo("what else limits it; ethical considerations; risks of its use"))
    )
    yield Part("Training", (_training(run),))
    yield Part("Provenance", (_provenance(material, run),))


def _model(material: Material, run: RunRecord) -> Iterable[Block]:
    row = model_rows(int(material.archive.get("rate", 500))).get(run.row.model)
    outputs = run.settings["outcomes"]
    said = f"the probability of {outputs[0]}" if len(outputs) == 1 else f"the probabilities of {len(outputs)} outcomes"
    points = [f"Output: {said}, for one ECG; as trained, not calibrated."]
    if row:
        size = f"{row['conv_layers']} convolutional layers, {grouped(int(row['trainable']))} parameters at its own head"
        points = [
            f"Architecture: {row['paper_name']}, after {str(row['source']).split(', doi:')[0]}; {size}.",
            f"Input: leads V1 to V6, I and II of ten seconds in millivolts; {row['input']} inside the model.",
            *points,
        ]
    extra = run.settings.get("extra_inputs")
    points += [f"Beside the ECG its head reads {listed(extra)}."] if extra else []
    yield tuple(points)


def _use(material: Material) -> Iterable[Block]:
    registers = material.cohort.settings.get("kind") == "registers"
    whom = (
        "patients like those of the study (see its flow chart)" if registers else "recordings like those of the study"
    )
    yield (
        f"Meant for research: to estimate the outcome in {whom}, and to compare models.",
        "Not a medical device. Not for the diagnosis or treatment of a patient, and not for other patients, recorders "
        "or outcomes than those that it was evaluated on.",
    )
    yield todo("who might use it, where in the course of care, and what would have to be shown before")


def _data(material: Material, run: RunRecord) -> Iterable[Block]:
    yield tuple(f"{how[0].upper()}{how[1:]}." for what, how in outcome_notes(material.cohort) if what == "Outcome")
    if not material.counts:
        yield "Numbers of patients and ECGs stand in Table I of the report as far as they may be shown."
        return
    cohort, fraction, lines = material.cohort, run.settings["fraction"], []
    for split in ("train", "validation", "random_test", "site_test", "temporal_test"):
        part = cohort.select(role="target", split=split, fraction=fraction)
        if len(part):
            events = grouped(int((part.labels[run.settings["outcomes"][0]] == 1).sum()))
            name = {"train": "Training", "validation": "Validation"}.get(split) or f"{TESTS[split]} test"
            lines.append((name, grouped(len(np.unique(part.patient_id))), grouped(len(part)), events))
    if lines:
        header = ("Set", "Patients", "ECGs", f"With {run.settings['outcomes'][0]}")
        yield Table("Target", header, tuple(lines))
    parent = run.settings.get("parent")
    if parent:
        part = cohort.select(role="source", split="train", fraction=parent["fraction"])
        patients = grouped(len(np.unique(part.patient_id)))
        yield f"Pre-trained on {grouped(len(part))} ECGs of {patients} other patients, without the outcome."


def _performance(material: Material, run: RunRecord) -> Iterable[Block]:
    outcomes = run.settings["outcomes"]
    several = len(outcomes) > 1
    rows = [row for row in material.largest if row.run == run.row.run and row.kind == run.row.kind]
    metrics = [name for name in METRICS if any(row.metric == name for row in rows)]
    lines = []
    for outcome in outcomes[:8]:
        for split in ("validation", *TESTS):
            cells = {row.metric: row.estimate.format() for row in rows if (row.split, row.target) == (split, outcome)}
            if cells:
                name = "Validation" if split == "validation" else f"{TESTS[split]} test"
                lines.append((*((outcome,) * several), name, *(cells.get(name, "") for name in metrics)))
    header = (*(("Outcome",) * several), "Set", *(METRICS[name] for name in metrics))
    yield Table(f"Performance, with {100 * material.study.evaluation.level:g} % intervals", header, tuple(lines))
    yield tuple(_beside(material.largest, run, outcomes[0]))


def _beside(rows: Sequence[Row], run: RunRecord, outcome: str) -> Iterable[str]:
    """What the AUC is to be compared with."""
    of = [row for row in rows if row.target == outcome and row.split in ("combined_test", "random_test", "site_test")]
    split = "combined_test" if any(row.split == "combined_test" for row in of) else next((row.split for row in of), "")
    for row in of:
        if row.split != split:
            continue
        if row.kind == "baseline" and row.metric == "auc":
            yield f"Age and sex alone: AUC {row.estimate.format()} on the {TESTS[split].lower()} test set."
        if row.kind == "difference" and row.metric == "auc_difference" and row.run == run.row.run:
            yield f"Gain over training from scratch: {row.estimate.format()} on the {TESTS[split].lower()} test set."


def _limits(material: Material, run: RunRecord) -> tuple[str, ...]:
    splits = {row.split for row in material.rows}
    points = [
        "Developed and tested on data of one source; elsewhere it may do worse.",
        "An ECG tells age and sex, which go with the outcome: part of what the model finds may be no more than that.",
        "The outcome is what was coded, with the errors of coding; who was not followed may be counted as healthy.",
        "Scores are not calibrated for another share of patients with the outcome.",
        "Recordings that are damaged, too short or lack a lead get no score.",
    ]
    if "temporal_test" not in splits:
        points.append("It was not tested on later patients.")
    if not {"site_test"} & splits:
        points.append("It was not tested on sites that it had not seen.")
    if len({row.seed for row in material.rows if row.model == run.row.model}) < 2:
        points.append("It was trained with one seed: how much another seed would change is not known.")
    return tuple(points)


def _training(run: RunRecord) -> tuple[str, ...]:
    points = []
    settings: Mapping[str, Any]
    for settings in (*filter(None, [run.settings.get("parent")]), run.settings):
        learned = {"source": "Pre-training", "target": "Training on the target"}[str(settings["role"])]
        for stage in settings["stages"]:
            what = "the head, the body frozen" if stage["trains"] == "head" else "all layers"
            rates = f"rates up to {rate_text(stage['peak'])}"
            batch = stage.get("batch") or settings["batch"]
            points.append(f"{learned}: {what}, {stage['epochs']} epochs, {rates}, batches of {batch}.")
    points.append(f"Kept: epoch {run.done['best_epoch']} of {len(run.epochs)}; seed {run.row.seed}.")
    return tuple(points)


def _provenance(material: Material, run: RunRecord) -> tuple[str, ...]:
    sessions = run.sessions
    commits = list(dict.fromkeys(session["code"]["commit"] for session in sessions if "commit" in session["code"]))
    code = f"precordial {run.done['version']}" + (f", commit {listed(commits)}" if commits else "")
    points = [
        f"Run {run.row.run}"
        + (f", from pre-training {_lineage(material, run)}" if run.settings.get("parent") else "")
        + ".",
        f"Weights: runs/{run.row.run}/best.safetensors in the study's folder.",
        f"Cohort {material.cohort.digest}"
        + (f", archive {material.archive['digest']}" if material.archive else "")
        + ".",
        f"{code}{''.join(f', {one}' for one in libraries(sessions))}.",
    ]
    if sessions:
        points.append(f"Computed in {effort(sessions)}, on {listed(dict.fromkeys(map(machine, sessions)))}.")
    return tuple(points)


def _lineage(material: Material, run: RunRecord) -> str:
    """The id of the pre-training that a run stands on."""
    parent = run.settings["parent"]
    same = ("model", "role", "task", "fraction", "seed")
    for one in material.every_run:
        if one.row.kind == "pretrain" and all(one.settings[key] == parent[key] for key in same):
            return one.row.run
    return "that is not in the results"
