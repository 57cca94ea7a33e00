"""The state of a training on disk: written after every epoch, enough to go on as if nothing had happened."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from precordial.errors import ModelError
from precordial.files import write_atomic
from precordial.models import Network, load_tensors, save_tensors

LAST = "last.safetensors"
BEST = "best.safetensors"
METRICS = "metrics.jsonl"
DONE = "done.json"
PREDICTIONS = "predictions.csv"
ADAM_KEYS = ("step", "exp_avg", "exp_avg_sq")


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        epoch: epochs finished, over all stages.
        best_epoch: number of the best one so far (counted from 1), 0 for none.
        best: its validation loss, or its validation AUC.
        history: one row of metrics per finished epoch.
    """

    epoch: int = 0
    best_epoch: int = 0
    best: float | None = None
    history: list[dict[str, Any]] = field(default_factory=list)


def save_state(folder: Path, network: Network, optimiser: torch.optim.Adam, progress: Progress) -> None:
    """Write weights, optimiser state and progress in one atomic file, and the metrics for people beside it."""
    tensors = {f"model.{name}": value for name, value in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        for key, value in optimiser.state.get(parameter, {}).items():
            tensors[f"adam.{key}.{name}"] = value
    save_tensors(folder / LAST, tensors, {"progress": json.dumps(vars(progress))})
    write_metrics(folder, progress)


def write_metrics(folder: Path, progress: Progress) -> None:
    """Write metrics.jsonl: one line per finished epoch."""
    write_atomic(folder / METRICS, "".join(json.dumps(row) + "\n" for row in progress.history))


def load_state(folder: Path, network: Network, optimiser: torch.optim.Adam) -> Progress:
    """Put back what `save_state` wrote; a fresh `Progress` where there is nothing.

    Raises:
        ModelError: the file is damaged or belongs to another network.
    """
    path = folder / LAST
    if not path.exists():
        return Progress()
    tensors, metadata = load_tensors(path)
    try:
        network.load_state_dict({name[6:]: value for name, value in tensors.items() if name.startswith("model.")})
    except RuntimeError:
        raise ModelError(
            "the saved state is of another network", file=path, remedy="delete the run's folder to train it anew"
        ) from None
    for name, parameter in network.named_parameters():
        keys = {key: tensors[f"adam.{key}.{name}"] for key in ADAM_KEYS if f"adam.{key}.{name}" in tensors}
        if keys:  # all of it where the parameter is, the number of steps too: a fused Adam counts there
            optimiser.state[parameter] = {key: value.to(parameter.device) for key, value in keys.items()}
    progress = Progress(**json.loads(metadata["progress"]))
    write_metrics(folder, progress)  # a kill may have come between the state and its metrics
    return progress


def finish(folder: Path, done: str) -> None:
    """Mark a run as done; only then is the state that it no longer needs removed."""
    write_atomic(folder / DONE, done)
    remove_state(folder)


def remove_state(folder: Path) -> None:
    """Remove the state of a finished run, as large as three models; a kill may have come before it."""
    (folder / LAST).unlink(missing_ok=True)
