"""One epoch: batches, loss, gradients, steps of the optimiser; and the state saved in between."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from precordial.errors import ModelError
from precordial.models import Network
from precordial.models.rows import having
from precordial.training.augment import augment
from precordial.training.distributed import is_first, own_rows, processes, sum_gradients
from precordial.training.features import Features
from precordial.training.loader import Examples, batches, crop_starts, seed_step, split_batches
from precordial.training.objectives import PLAIN, Emphasis, class_weights, example_losses, outcome_losses
from precordial.training.options import Augment
from precordial.training.precision import autocast
from precordial.training.run import TrainingRun
from precordial.training.stages import Stage, locate
from precordial.training.state import Learner, save_state


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


def train_epoch(
    run: TrainingRun,
    learner: Learner,
    training: Examples,
    place: torch.device,
    folder: Path,
    save_every: float,
    progress: Callable[[Step], None] | None,
    features: Features | None = None,
) -> dict[str, Any]:
    """Train the epoch that the learner is in, from the step that it is at, to its end.

    Features of the training set, where they are stored, take the place of its ECGs.

    Returns:
        Its row of metrics.

    Raises:
        ModelError: the loss is no longer a number.
    """
    network, optimiser, state = learner.network, learner.optimiser, learner.progress
    epoch, first = state.epoch, state.step
    number, epoch_in_stage = locate(run.stages, epoch)
    stage = run.stages[number]
    set_stage(network, stage)
    emphasis = _emphasis(run, training, place)
    order = np.random.default_rng(derive_seed(run.seed, "order", epoch)).permutation(len(training))
    parts = split_batches(order, stage.batch or run.batch)
    rows = [own_rows(len(part)) for part in parts]
    own = [part[some.first : some.last] if some else part for part, some in zip(parts, rows, strict=True)]
    started = saved = time.monotonic()
    sums = torch.tensor(state.sums, dtype=torch.float64, device=place)
    rates = [
        stage.rate(epoch_in_stage + (step / len(parts) if run.schedule_per == "step" else 0.0))
        for step in range(len(parts))
    ]
    seeds = [derive_seed(run.seed, "step", epoch, step) for step in range(len(parts))]
    how = stage.augment or Augment()

    def change(number: int, millivolts: Tensor) -> Tensor:
        some = rows[first + number]
        generator = torch.Generator(place).manual_seed(derive_seed(run.seed, "augment", epoch, first + number))
        return augment(millivolts, how, generator, rate=run.rate, rows=(some.first, some.total) if some else None)

    crops, starts = network.crops, None
    if crops:
        total = network.spec.model_samples
        sizes = [len(part) for part in parts]
        drawn = zip(seeds, sizes, rows, strict=True)
        starts = [crop_starts(crops, total, seed, size, some) for seed, size, some in drawn][first:]
    if features:
        source = features.drawn(own[first:], place, starts)
    else:
        changed, samples = change if how else None, crops.samples if crops else None
        source = batches(training, own[first:], network.spec, place, changed, starts, samples)
    for step, (inputs, truth, extra) in enumerate(source, start=first):
        for group in optimiser.param_groups:
            group["lr"] = rates[step]
        # Dropout and crops follow from seed, epoch and step alone, so a resumed run draws the same.
        seed_step(network, seeds[step], len(parts[step]))
        optimiser.zero_grad(set_to_none=True)
        with having(rows[step]), autocast(run.precision, place):
            outputs = network.logits(inputs, extra) if features else network(inputs, extra)
        losses = run_losses(run, outputs, truth, emphasis)
        # The mean over the whole batch, of which this process has its rows; and an equal share of the penalty.
        loss = losses.sum() / len(parts[step]) if rows[step] else losses.mean()
        loss = loss + network.penalty() / processes()
        loss.backward()  # type: ignore[no-untyped-call]
        loss = loss.detach()
        sum_gradients(network.parameters(), loss)
        norm = _clip(network, run.clip_norm) if run.clip_norm else torch.zeros_like(loss)
        optimiser.step()
        sums += torch.stack([loss.double() * len(parts[step]), norm.double()])
        state.steps += 1
        if learner.mean:
            learner.mean.follow(state.steps)
        if time.monotonic() - saved >= save_every and is_first():
            state.step, state.sums = step + 1, sums.tolist()
            save_state(folder, learner)
            saved = time.monotonic()
        if progress:
            last = state.history[-1] if state.history else {}
            progress(Step(epoch + 1, run.epochs, step + 1, len(parts), last))
    total, norms = sums.tolist()
    if not np.isfinite(total):
        raise ModelError(
            f"the loss of {run.describe()} is no longer a number in epoch {epoch + 1}",
            remedy="lower the peak rate of its stage",
        )
    state.step, state.sums = 0, [0.0, 0.0]
    row = {"epoch": epoch + 1, "stage": number + 1, "rate": rates[-1], "train_loss": total / len(training)}
    if run.clip_norm:
        row["gradient_norm"] = norms / len(parts)
    ecgs, seconds = sum(map(len, parts[first:])), time.monotonic() - started
    return row | {"ecgs_per_second": round(ecgs / seconds, 1)}


def run_losses(run: TrainingRun, outputs: Tensor, truth: Tensor, emphasis: Emphasis = PLAIN) -> Tensor:
    """(batch,) loss of each example, by the run's task."""
    if run.task == "label":
        return outcome_losses(outputs, truth, emphasis)
    return example_losses(outputs, truth, run.targets, emphasis)


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


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed from a run's seed and a purpose: equal parts give equal seeds, others unrelated ones."""
    text = "|".join(str(part) for part in parts)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def _emphasis(run: TrainingRun, training: Examples, place: torch.device) -> Emphasis:
    if run.class_weights is None:
        return Emphasis(smoothing=run.label_smoothing)
    weights = class_weights(run.class_weights, training.truth, run.targets)
    return Emphasis(torch.from_numpy(weights).to(place), run.label_smoothing)


def _clip(network: Network, longest: float) -> Tensor:
    """Shorten the gradient to `longest`; its norm before."""
    return nn.utils.clip_grad_norm_(network.parameters(), longest)
