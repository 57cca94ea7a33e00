"""The methods' paragraphs on models, their training, and what computed it."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from precordial import __version__
from precordial.report.material import Material
from precordial.report.runs import RunRecord
from precordial.report.summary import listed, software
from precordial.report.table import grouped
from precordial.report.table_one import model_rows
from precordial.report.tables import MODELS, PRETRAINING, ordered

ARITHMETIC = {"fp32": "float32", "bf16": "bfloat16 with float32 weights"}
EXTRAS = {
    "ema": "a running mean of the weights",
    "clip_norm": "clipped gradients",
    "class_weights": "class weights",
    "label_smoothing": "label smoothing",
}


def models(material: Material) -> Iterable[str]:
    """What was trained, in which stages, on what losses, and how."""
    runs = material.runs
    names = ordered((run.row.model for run in runs), MODELS)
    known = model_rows(int(material.archive.get("rate", 500)))
    several = f"{len(names)} convolutional networks" if len(names) > 1 else "a convolutional network"
    yield f"Trained were {several}: {listed(_described(name, known.get(name)) for name in names)}."
    tuned = [run for run in runs if run.row.kind == "finetune"]
    if tuned:
        tasks = [PRETRAINING[task].lower() for task in ordered((run.row.pretraining for run in tuned), PRETRAINING)]
        heads = listed(sorted({_head(run.settings) for run in tuned}), "or")
        scratch = "from random weights, and " if any(run.row.kind == "scratch" for run in runs) else ""
        yield (
            f"Each was trained {scratch}after pre-training on the source to predict {listed(tasks, 'or')}. For "
            "fine-tuning, the weights of the pre-training's best epoch were loaded, and the head, which is all after "
            f"the last pooling or flattening, was replaced by {heads} and one output for each outcome. Fig. 2 shows "
            "what trains in each stage; epochs and rates stand in the table of stages."
        )
    yield (
        "Losses are cross-entropy for the outcome and for sex, and the mean absolute error in years for age; of age "
        f"and sex together, 1 · cross-entropy + 0.045 · mean absolute error. {' '.join(_optimisation(runs))}"
    )


def _described(name: str, row: Mapping[str, str | int] | None) -> str:
    size = f" ({grouped(int(row['trainable']))} parameters; {str(row['source']).split(', doi:')[0]})" if row else ""
    return f"{MODELS.get(name, name)}{size}"


def _head(settings: Mapping[str, Any]) -> str:
    """The layers before the output of a fine-tuned model; see `precordial.models.network`."""
    wide = "a dense layer of 100 with ReLU and dropout of 0.3"
    authors = settings["head"] == "target-authors" and settings["model"] == "cnn-20k"
    return f"a dense layer of 10 with dropout of 0.4, {wide}" if authors else wide


def _optimisation(runs: Sequence[RunRecord]) -> Iterable[str]:
    batches = {stage.get("batch") or run.settings["batch"] for run in runs for stage in run.settings["stages"]}
    epsilons = {f"{run.settings['adam_epsilon']:g}" for run in runs}
    yield f"Adam (ε {listed(sorted(epsilons))}) with batches of {listed(map(str, sorted(batches)))}."
    by_loss = any(run.settings.get("best_by") == "loss" for run in runs)
    yield "The epoch with the lowest validation loss was kept" + (
        "." if by_loss else " in pre-training, the one with the highest validation AUC on the target."
    )
    yield f"Arithmetic: {listed(sorted({ARITHMETIC[run.settings.get('precision', 'fp32')] for run in runs}))}."
    used = [words for key, words in EXTRAS.items() if any(run.settings.get(key) for run in runs)]
    used += ["augmentation"] if any(stage.get("augment") for run in runs for stage in run.settings["stages"]) else []
    none = "Neither class weights nor augmentation were used, but for the random crops of models that read crops."
    yield f"Used beside: {listed(used)}." if used else none
    seeds = sorted({run.row.seed for run in runs})
    times = "once" if len(seeds) == 1 else f"{len(seeds)} times"
    yield f"Each training was done {times}, with seed {listed(map(str, seeds))}."


def computation(material: Material) -> Iterable[str]:
    """Versions, machines, time and energy, as far as the trainings have recorded them."""
    runs = material.every_run
    sessions = [session for run in runs for session in run.sessions]
    versions = listed(sorted({f"precordial {run.done['version']}" for run in runs}))
    yield (
        f"Trainings: {', '.join([versions, *libraries(sessions)])}. This report: precordial {__version__}, Python "
        f"{platform.python_version()}, {', '.join(software())}."
    )
    machines = list(dict.fromkeys(machine(session) for session in sessions))
    if machines:
        several = f"{len(runs)} trainings" if len(runs) > 1 else "The training"
        yield f"{several} took {effort(sessions)}, on {listed(machines)}."


def libraries(sessions: Iterable[Mapping[str, Any]]) -> list[str]:
    """Python and torch with their versions, each once."""
    names = {"python": "Python", "torch": "torch", "numpy": "NumPy"}
    found = dict.fromkeys(
        f"{names[name]} {version}"
        for session in sessions
        for name, version in session["libraries"].items()
        if name in names
    )
    return list(found)


def machine(session: Mapping[str, Any]) -> str:
    """What computed in a session: the GPU, or the processor and its threads."""
    found = session["machine"]
    if "gpu" in found:
        return str(found["gpu"]["name"])
    return f"{found['processor'] or found['system']} ({found['threads']} threads)"


def effort(sessions: Iterable[Mapping[str, Any]]) -> str:
    """Time of all sessions, and energy where counters told it.

    >>> effort([{"wall_seconds": 90.0}, {"wall_seconds": 5400.0, "energy_joules": {"gpu": 7.2e6}}])
    '1.52 h and, as far as it was measured, 2 kWh'
    """
    sessions = list(sessions)
    seconds = sum(session["wall_seconds"] for session in sessions)
    joules = sum(sum(session.get("energy_joules", {}).values()) for session in sessions)
    time = f"{seconds / 3600:.3g} h" if seconds >= 3600 else f"{seconds / 60:.2g} min"
    return time + (f" and, as far as it was measured, {joules / 3.6e6:.2g} kWh" if joules else "")
