"""The state of a training on disk: enough to go on from any step as if nothing had happened.

It holds no state of a random generator: every draw follows from seed, epoch, step and sample.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from precordial.errors import ModelError
from precordial.files import write_atomic
from precordial.models import Network, load_tensors, save_tensors
from precordial.training.distributed import first_does, is_first
from precordial.training.layout import DONE, LAST, METRICS, NEXT, PREVIOUS

ADAM_KEYS = ("step", "exp_avg", "exp_avg_sq")


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        epoch: number of the epoch that it is in, counted over all stages from 0.
        step: finished steps of that epoch.
        sums: of these steps, the loss of each example and the norm of each gradient.
        steps: finished steps in all.
        best_epoch: number of the best one so far (counted from 1), 0 for none.
        best: its validation loss, or its validation AUC.
        history: one row of metrics per finished epoch.
    """

    epoch: int = 0
    step: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0])
    steps: int = 0
    best_epoch: int = 0
    best: float | None = None
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Learner:
    """What a training has in memory and its state on disk.

    Attributes:
        network: that is trained.
        optimiser: that trains it.
        mean: the running mean of the network, if the run wants one.
        progress: how far it is.
    """

    network: Network
    optimiser: torch.optim.Adam
    mean: RunningMean | None = None
    progress: Progress = field(default_factory=Progress)

    @property
    def judged(self) -> Network:
        """The network that is validated and kept."""
        return self.mean.network if self.mean else self.network


class RunningMean:
    """The exponential running mean (EMA) of a network: weights and batch norm's statistics.

    Args:
        network: whose mean it is; it begins as this network is.
        decay: share of the old mean after a step, see `TrainingRun.ema`.
    """

    def __init__(self, network: Network, decay: float) -> None:
        self.decay = decay
        self.network = copy.deepcopy(network).requires_grad_(False)
        pairs = list(zip(self.network.state_dict().values(), network.state_dict().values(), strict=True))
        self._averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        self._counted = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def follow(self, steps: int) -> None:
        """Take the network in as it is after so many steps."""
        means, values = zip(*self._averaged, strict=True)
        torch._foreach_lerp_(means, values, 1 - min(self.decay, (1 + steps) / (10 + steps)))
        for count, value in self._counted:
            count.copy_(value)


def save_state(folder: Path, learner: Learner) -> None:
    """Write weights, optimiser state and progress in one atomic file; the state before it is kept.

    The metrics for people are written beside it.
    """
    network, optimiser = learner.network, learner.optimiser
    tensors = {f"model.{name}": value for name, value in network.state_dict().items()}
    if learner.mean:
        tensors |= {f"mean.{name}": value for name, value in learner.mean.network.state_dict().items()}
    for name, parameter in network.named_parameters():
        for key, value in optimiser.state.get(parameter, {}).items():
            tensors[f"adam.{key}.{name}"] = value
    save_tensors(folder / NEXT, tensors, {"progress": json.dumps(vars(learner.progress))})
    if (folder / LAST).exists():
        (folder / LAST).replace(folder / PREVIOUS)
    (folder / NEXT).replace(folder / LAST)
    write_metrics(folder, learner.progress)


def write_metrics(folder: Path, progress: Progress) -> None:
    """Write metrics.jsonl: one line per finished epoch."""
    write_atomic(folder / METRICS, "".join(json.dumps(row) + "\n" for row in progress.history))


def load_state(folder: Path, learner: Learner, note: Callable[[str], None] | None = None) -> None:
    """Put back what `save_state` wrote; where there is nothing, the learner stays as it is.

    Args:
        folder: of the run.
        learner: takes the state.
        note: told when the last state is damaged and the one before it is used.

    Raises:
        ModelError: both states are damaged, or they belong to another network.
    """
    path = folder / LAST
    found = first_does(lambda: _newest(folder, note))
    if found is None and not is_first() and path.exists():
        found = load_tensors(path)
    if found is None:
        return
    tensors, metadata = found
    optimiser, network = learner.optimiser, learner.network
    try:
        network.load_state_dict(_named("model.", tensors))
        if learner.mean:
            learner.mean.network.load_state_dict(_named("mean.", tensors))
    except RuntimeError:
        raise ModelError(
            "the saved state is of another network", file=path, remedy="delete the run's folder to train it anew"
        ) from None
    for name, parameter in network.named_parameters():
        keys = {key: tensors[f"adam.{key}.{name}"] for key in ADAM_KEYS if f"adam.{key}.{name}" in tensors}
        if keys:  # all of it where the parameter is, the number of steps too: a fused Adam counts there
            optimiser.state[parameter] = {key: value.to(parameter.device) for key, value in keys.items()}
    learner.progress = Progress(**json.loads(metadata["progress"]))
    if is_first():
        write_metrics(folder, learner.progress)  # a kill may have come between the state and its metrics


def _newest(folder: Path, note: Callable[[str], None] | None) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """The newest whole state, which is then `LAST`."""
    last, previous = folder / LAST, folder / PREVIOUS
    if not previous.exists():
        return load_tensors(last) if last.exists() else None
    if last.exists():  # else a kill has come between two renamings
        try:
            return load_tensors(last)
        except ModelError as error:
            damage = error
        try:
            found = load_tensors(previous)
        except ModelError:
            raise ModelError(
                f"neither this state of the training nor {PREVIOUS} beside it is whole",
                file=last,
                remedy="delete the run's folder to train it anew",
            ) from None
        if note:
            note(f"{damage.file}: {damage.problem}; going on from the state before it")
    else:
        found = load_tensors(previous)
    previous.replace(last)
    return found


def _named(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def finish(folder: Path, done: str) -> None:
    """Mark a run as done; only then is the state that it no longer needs removed."""
    write_atomic(folder / DONE, done)
    remove_state(folder)


def remove_state(folder: Path) -> None:
    """Remove the state of a finished run, as large as six models; a kill may have come before it."""
    for name in (LAST, PREVIOUS, NEXT):
        (folder / name).unlink(missing_ok=True)
