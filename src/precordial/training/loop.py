"""Training one run: stages, epochs, steps; best epoch; predictions. Resumable after any epoch."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from precordial import __version__
from precordial.archive import Archive
from precordial.cohort import Cohort, named_fold
from precordial.errors import ModelError, PrecordialError
from precordial.evaluation import Predictions, measure
from precordial.files import write_atomic
from precordial.models import Network, create_model, load_model, make_card, save_model
from precordial.training.augment import Augment, augment
from precordial.training.examples import all_examples, check_examples, examples_of
from precordial.training.loader import Examples, batches, seed_step, split_batches, training_batches
from precordial.training.objectives import REGRESSED, example_losses, outcome_losses, scores
from precordial.training.precision import Precision, autocast
from precordial.training.run import TrainingRun
from precordial.training.stages import Stage, locate
from precordial.training.state import BEST, DONE, PREDICTIONS, Progress, finish, load_state, remove_state, save_state

EVALUATION_BATCH = 128
MEAN_AUC = "validation_auc"  # over the outcomes
TEST_SPLITS = {"source": ("validation",), "target": ("validation", "random_test", "site_test", "temporal_test")}


@dataclass(frozen=True)
class Step:
    """Where a training is, for whoever shows it.

    Attributes:
        epoch, epochs: number of the epoch (from 1) and how many there are.
        step, steps: of this epoch.
        metrics: the last finished epoch's row of metrics.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    metrics: dict[str, Any]


def train(
    run: TrainingRun,
    cohort: Cohort,
    archive: Archive,
    folder: str | Path,
    *,
    parent: str | Path | None = None,
    device: str = "auto",
    progress: Callable[[Step], None] | None = None,
    note: Callable[[str], None] | None = None,
) -> Predictions:
    """Train one run, or finish one that was interrupted, or return what a finished one predicted.

    Args:
        run: what to train.
        cohort: its examples; the leakage guard must have passed it.
        archive: the ECGs.
        folder: where the run lives: state (until it is finished), best model, metrics, predictions.
        parent: best model of ``run.parent``; needed when the run has one.
        device: "cpu", "cuda", or "auto": a GPU where there is one.
        progress: called after each step.
        note: told what hinders no training and should be known: outcomes of which a set shows one value only.

    Returns:
        Predictions of the best epoch on validation and test sets.

    Raises:
        PrecordialError: nothing to train on, a missing parent, or a damaged state.
    """
    folder = Path(folder)
    if (folder / DONE).exists():
        remove_state(folder)
        return Predictions.load(folder / PREDICTIONS)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "run.json", run.model_dump_json(indent=1) + "\n")
    place = torch.device(_device(device))
    torch.backends.cudnn.deterministic = True  # equal seeds, equal results, on a GPU too
    torch.backends.cudnn.allow_tf32 = False  # else convolutions in "fp32" would have ten bits behind the point there
    if run.fold is not None:
        cohort = named_fold(cohort, run.fold)
    training = examples_of(run, cohort.select(role=run.role, split="train", fraction=run.fraction), archive)
    validation = examples_of(run, cohort.select(role=run.role, split="validation"), archive)
    for text in check_examples(run, training, validation):
        if note:
            note(text)

    torch.manual_seed(derive_seed(run.seed, "weights"))
    network = build_network(run, training, parent).to(place)
    optimiser = torch.optim.Adam(network.parameters(), betas=(0.9, 0.999), eps=run.adam_epsilon, fused=True)
    state = load_state(folder, network, optimiser)
    for epoch in range(state.epoch, run.epochs):
        row = _train_epoch(run, network, optimiser, training, epoch, place, state, progress)
        row |= validate(run, network, validation, place)
        keep_best(run, network, row, state, folder)
        state.epoch = epoch + 1
        state.history.append(row)
        save_state(folder, network, optimiser, state)

    best, _ = load_model(folder / BEST)
    predictions = predict(run, best.to(place), cohort, archive, place)
    predictions.save(folder / PREDICTIONS)
    done = {"best_epoch": state.best_epoch, "best": state.best, "version": __version__, "device": str(place)}
    finish(folder, json.dumps(done) + "\n")
    return predictions


def run_losses(run: TrainingRun, outputs: Tensor, truth: Tensor) -> Tensor:
    """(batch,) loss of each example, by the run's task."""
    return outcome_losses(outputs, truth) if run.task == "label" else example_losses(outputs, truth, run.targets)


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


def set_stage(network: Network, stage: Stage) -> None:
    """Put the network into training mode for a stage: a frozen body neither learns nor moves unless told to."""
    network.train()
    for parameter in network.body.parameters():
        parameter.requires_grad_(stage.trains == "all")
    if stage.trains == "head":
        network.body.eval()
        awake = tuple({"dropout": nn.Dropout, "norm": nn.BatchNorm1d}[name] for name in stage.awake)
        for module in network.body.modules():
            if isinstance(module, awake):
                module.train()


def _train_epoch(
    run: TrainingRun,
    network: Network,
    optimiser: torch.optim.Adam,
    training: Examples,
    epoch: int,
    place: torch.device,
    state: Progress,
    progress: Callable[[Step], None] | None,
) -> dict[str, Any]:
    number, epoch_in_stage = locate(run.stages, epoch)
    stage = run.stages[number]
    set_stage(network, stage)
    order = np.random.default_rng(derive_seed(run.seed, "order", epoch)).permutation(len(training))
    parts = split_batches(order, stage.batch or run.batch)
    how = stage.augment or Augment()

    def change(step: int, millivolts: Tensor) -> Tensor:
        generator = torch.Generator(place).manual_seed(derive_seed(run.seed, "augment", epoch, step))
        return augment(millivolts, how, generator, rate=run.rate)

    started, total, rate = time.monotonic(), 0.0, 0.0
    seeds = [derive_seed(run.seed, "step", epoch, step) for step in range(len(parts))]
    source = training_batches(network, training, parts, place, seeds, change if how else None)
    for step, (inputs, truth, extra) in enumerate(source):
        within = step / len(parts) if run.schedule_per == "step" else 0.0
        rate = stage.rate(epoch_in_stage + within)
        for group in optimiser.param_groups:
            group["lr"] = rate
        # Dropout and crops follow from seed, epoch and step alone, so a resumed run draws the same.
        seed_step(network, seeds[step], len(truth))
        optimiser.zero_grad(set_to_none=True)
        with autocast(run.precision, place):
            outputs = network(inputs, extra)
        loss = run_losses(run, outputs, truth).mean() + network.penalty()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        total += float(loss.detach()) * len(truth)
        if progress:
            last = state.history[-1] if state.history else {}
            progress(Step(epoch + 1, run.epochs, step + 1, len(parts), last))
    if not np.isfinite(total):
        raise ModelError(
            f"the loss of {run.describe()} is no longer a number in epoch {epoch + 1}",
            remedy="lower the peak rate of its stage",
        )
    seconds = time.monotonic() - started
    return {
        "epoch": epoch + 1,
        "stage": number + 1,
        "rate": rate,
        "train_loss": total / len(training),
        "ecgs_per_second": round(len(training) / seconds, 1),
    }


def forward(network: Network, examples: Examples, place: torch.device, precision: Precision = "fp32") -> Tensor:
    """(n, outputs) outputs of the network in evaluation mode, float32 on the CPU."""
    network.eval()
    parts = split_batches(np.arange(len(examples)), EVALUATION_BATCH)
    outputs = []
    with torch.inference_mode():
        for inputs, _, extra in batches(examples, parts, network.spec, place):  # prepared in float32
            with autocast(precision, place):
                outputs.append(network(inputs, extra).float().cpu())
    return torch.cat(outputs)


def validate(run: TrainingRun, network: Network, validation: Examples, place: torch.device) -> dict[str, float]:
    """Loss (penalty included) and metrics on the validation set.

    A target without a metric there, an outcome that has one value only, is left out. Of several outcomes the mean AUC
    is ``validation_auc``.
    """
    outputs = forward(network, validation, place, run.precision)
    truth = torch.from_numpy(validation.truth)
    penalty = float(network.penalty().detach())
    row = {"validation_loss": float(run_losses(run, outputs, truth).mean()) + penalty}
    score = scores(outputs, run.targets).numpy()
    for column, name in enumerate(run.targets):
        metric = "mae" if name in REGRESSED else "auc"
        known = ~np.isnan(validation.truth[:, column])
        value = measure(metric, validation.truth[known, column], score[known, column])
        if not np.isnan(value):
            row[f"validation_{name}_{metric}"] = value
    if run.task == "label" and len(run.outcomes) > 1:
        row[MEAN_AUC] = float(np.mean([value for key, value in row.items() if key != "validation_loss"]))
    return row


def keep_best(run: TrainingRun, network: Network, row: dict[str, Any], state: Progress, folder: Path) -> None:
    """Save the network if this epoch is the best: by validation loss on the source, validation AUC on the target."""
    auc = f"validation_{run.outcomes[0]}_auc" if len(run.outcomes) == 1 else MEAN_AUC
    value = -row["validation_loss"] if run.role == "source" else row[auc]
    best = None if state.best is None else (-state.best if run.role == "source" else state.best)
    if best is not None and not value > best:
        return
    state.best_epoch, state.best = row["epoch"], abs(value) if run.role == "source" else value
    card = make_card(network, tuple(run.targets), run.model_dump(mode="json"), run.lineage)
    save_model(folder / BEST, network, card)


def predict(run: TrainingRun, network: Network, cohort: Cohort, archive: Archive, place: torch.device) -> Predictions:
    """Scores of a network on the evaluation splits of its role: probabilities, or years for age."""
    parts = []
    for split in TEST_SPLITS[run.role]:
        part = cohort.select(role=run.role, split=split)
        if len(part) == 0:
            continue
        examples = all_examples(run, part, archive)
        truth, outputs = examples.truth, forward(network, examples, place)
        score = scores(outputs, run.targets).numpy()
        for column, target in enumerate(run.targets):
            table = Predictions(run.id, part.ecg_id, part.patient_id, split, target, truth[:, column], score[:, column])
            parts.append(table.rows(~np.isnan(table.truth)))
    return Predictions.concatenate(parts)


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed from a run's seed and a purpose: equal parts give equal seeds, others unrelated ones."""
    text = "|".join(str(part) for part in parts)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def _output_layer(network: Network) -> nn.Linear:
    return [module for module in network.head.modules() if isinstance(module, nn.Linear)][-1]


def _device(wanted: str) -> str:
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise PrecordialError(
            "PyTorch finds no GPU here",
            key="training.device",
            remedy='set it to "auto" or "cpu", or install its GPU build',
        )
    return wanted
