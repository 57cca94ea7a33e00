"""Training one run: stages, epochs, best epoch, predictions. Goes on from any step at which it was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from precordial import __version__
from precordial.archive import Archive
from precordial.cohort import Cohort, named_fold
from precordial.errors import ModelError, PrecordialError
from precordial.evaluation import Predictions
from precordial.files import write_atomic
from precordial.models import Network, create_model, load_model
from precordial.training.distributed import (
    first_says,
    is_first,
    joined,
    local_rank,
    processes,
    wait_for_all,
)
from precordial.training.examples import check_examples, examples_of
from precordial.training.features import FrozenBody
from precordial.training.layout import BEST, DONE, PREDICTIONS, RUN
from precordial.training.loader import Examples, Resident, make_resident
from precordial.training.options import TrackerName
from precordial.training.provenance import Provenance
from precordial.training.run import TrainingRun
from precordial.training.scoring import keep_best, predict, validate
from precordial.training.stages import locate, next_epoch
from precordial.training.state import (
    Learner,
    RunningMean,
    finish,
    load_state,
    remove_state,
    save_state,
)
from precordial.training.steps import Step, derive_seed, train_epoch
from precordial.training.synchronised import synchronise
from precordial.training.tracking import open_trackers

SAVE_EVERY = 300.0  # seconds


def train(
    run: TrainingRun,
    cohort: Cohort,
    archive: Archive,
    folder: str | Path,
    *,
    parent: str | Path | None = None,
    device: str = "auto",
    resident: Resident = "auto",
    save_every: float = SAVE_EVERY,
    progress: Callable[[Step], None] | None = None,
    note: Callable[[str], None] | None = None,
    track: Sequence[TrackerName] = (),
) -> Predictions:
    """Train one run, or finish one that was interrupted, or return what a finished one predicted.

    Started by torchrun, all its processes train this one run together; see `precordial.training.distributed`.

    Args:
        run: what to train.
        cohort: its examples; the leakage guard must have passed it.
        archive: the ECGs.
        folder: where the run lives: state (until it is finished), best model, metrics, predictions.
        parent: best model of ``run.parent``; needed when the run has one.
        device: "cpu", "cuda", or "auto": a GPU where there is one.
        resident: whether the signals of the training set are kept on the device, see
            `precordial.training.loader.make_resident`.
        save_every: seconds between saved states within an epoch; there is one at the end of each epoch, too.
        progress: called after each step.
        note: told what hinders no training and should be known: outcomes of which a set shows one value only, a
            damaged state in whose place the one before it was taken, a stage that ended early.
        track: where the metrics go beside metrics.jsonl, see `precordial.training.tracking`.

    Returns:
        Predictions of the best epoch on validation and test sets.

    Raises:
        PrecordialError: nothing to train on, a missing parent, or damaged states.
    """
    folder, place = Path(folder), find_device(device)
    with joined(place):
        if first_says((folder / DONE).exists()):
            if is_first():
                remove_state(folder)
            return Predictions.load(folder / PREDICTIONS)
        return _train(run, cohort, archive, folder, parent, place, resident, save_every, progress, note, track)


def _train(
    run: TrainingRun,
    cohort: Cohort,
    archive: Archive,
    folder: Path,
    parent: str | Path | None,
    place: torch.device,
    resident: Resident,
    save_every: float,
    progress: Callable[[Step], None] | None,
    note: Callable[[str], None] | None,
    track: Sequence[TrackerName],
) -> Predictions:
    if is_first():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / RUN, run.model_dump_json(indent=1) + "\n")
    torch.backends.cudnn.deterministic = True  # equal seeds, equal results, on a GPU too
    torch.backends.cudnn.allow_tf32 = False  # else convolutions in "fp32" would have ten bits behind the point there
    if run.fold is not None:
        cohort = named_fold(cohort, run.fold)
    training = examples_of(run, cohort.select(role=run.role, split="train", fraction=run.fraction), archive)
    validation = examples_of(run, cohort.select(role=run.role, split="validation"), archive)
    for text in check_examples(run, training, validation):
        if note:
            note(text)
    training = make_resident(training, place, resident)

    learner = _learner(run, training, parent, place)
    load_state(folder, learner, note)
    state, frozen = learner.progress, FrozenBody(run, training, validation, place, folder)
    provenance = Provenance(folder, run, archive=archive.digest, cohort=run.cohort or cohort.digest, place=place)
    with open_trackers(track if is_first() else (), folder, run, len(state.history)) as report:
        while state.epoch < run.epochs:
            features = frozen.features(locate(run.stages, state.epoch)[0], learner.network)
            shown = provenance.watching(progress)
            row = train_epoch(run, learner, training, place, folder, save_every, shown, features and features[0])
            row |= validate(run, learner.judged, validation, place, features and features[1])
            keep_best(run, learner.judged, row, state, folder)
            following = next_epoch(run.stages, state.epoch, state.best_epoch)
            if note and following > state.epoch + 1:
                ends = f"stage {row['stage']} ends after epoch {row['epoch']}"
                note(f"{run.describe()}: {ends}, none being better than epoch {state.best_epoch}")
            state.epoch = following
            state.history.append(row)
            if is_first():
                save_state(folder, learner)
                provenance.save(row["epoch"])
                report(row)

    wait_for_all()  # until the best model is there
    best, _ = load_model(folder / BEST)
    predictions = predict(run, best.to(place), cohort, archive, place)
    done = {"best_epoch": state.best_epoch, "best": state.best, "version": __version__, "device": str(place)}
    if is_first():
        predictions.save(folder / PREDICTIONS)
        finish(folder, json.dumps(done) + "\n")
    wait_for_all()
    return predictions


def _learner(run: TrainingRun, training: Examples, parent: str | Path | None, place: torch.device) -> Learner:
    """The run before its first step."""
    torch.manual_seed(derive_seed(run.seed, "weights"))
    network = build_network(run, training, parent).to(place)
    if processes() > 1:
        synchronise(network)
    optimiser = torch.optim.Adam(network.parameters(), betas=(0.9, 0.999), eps=run.adam_epsilon, fused=True)
    return Learner(network, optimiser, RunningMean(network, run.ema) if run.ema else None)


def build_network(run: TrainingRun, training: Examples, parent: str | Path | None) -> Network:
    """The network at the beginning of the run: fresh, or the parent's best with a fresh head."""
    if run.parent is None:
        network = create_model(run.model, len(run.targets), run.rate, run.cropping, run.extra_inputs)
        if run.age_bias == "median" and "age" in run.targets:
            column = list(run.targets).index("age")
            _output_layer(network).bias.data[column] = float(np.median(training.truth[:, column]))
    else:
        if parent is None:
            raise ModelError(f"{run.describe()} needs the model it starts from", remedy="train the pre-training first")
        network, _ = load_model(parent)
        network.replace_head(run.head, len(run.targets), run.extra_inputs)
    if network.extra is not None and training.extra is not None:
        network.extra.fit(torch.from_numpy(training.extra))
    if network.crops is not None:
        network.crops = replace(network.crops, shared=run.crop_per == "batch")
    return network


def _output_layer(network: Network) -> nn.Linear:
    return [module for module in network.head.modules() if isinstance(module, nn.Linear)][-1]


def find_device(wanted: str) -> torch.device:
    """The device that a setting means; of several GPUs each process on a machine has one.

    Raises:
        PrecordialError: "cuda" is wanted, and there is no GPU.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise PrecordialError(
            "PyTorch finds no GPU here",
            key="training.device",
            remedy='set it to "auto" or "cpu", or install its GPU build',
        )
    if wanted == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return (
        torch.device("cuda", local_rank() % torch.cuda.device_count())
        if torch.cuda.device_count() > 1
        else torch.device("cuda")
    )
