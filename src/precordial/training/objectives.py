"""Losses of the paper: cross-entropy for what is yes or no, mean absolute error for age."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

REGRESSED = frozenset({"age"})  # every other target is binary


@dataclass(frozen=True)
class Emphasis:
    """How the loss of a training differs from the plain one, which the validation is measured by.

    Attributes:
        classes: (2, targets) weight of 0 and of 1 for each binary target; None: all 1.
        smoothing: ε; 0 and 1 become ε / 2 and 1 - ε / 2.
    """

    classes: Tensor | None = None
    smoothing: float = 0.0


PLAIN = Emphasis()


def example_losses(outputs: Tensor, truth: Tensor, targets: Mapping[str, float], emphasis: Emphasis = PLAIN) -> Tensor:
    """Weighted loss of each example.

    Args:
        outputs: (batch, targets) logits, and years for age.
        truth: (batch, targets) 0 or 1, and years for age.
        targets: name of each column and its weight.
        emphasis: class weights and label smoothing of the binary targets.

    Returns:
        (batch,) the weighted sum over the targets.
    """
    total = torch.zeros(len(outputs), device=outputs.device)
    for column, (name, weight) in enumerate(targets.items()):
        output, wanted = outputs[:, column].float(), truth[:, column]
        if name in REGRESSED:
            loss = (output - wanted).abs()
        else:
            loss = _cross_entropies(output, wanted, emphasis, column)
        total = total + weight * loss
    return total


def outcome_losses(outputs: Tensor, truth: Tensor, emphasis: Emphasis = PLAIN) -> Tensor:
    """Loss of each example of the target: the mean cross-entropy of its known outcomes.

    A mean and not a sum, so that many outcomes do not need another learning rate than one.

    Args:
        outputs: (batch, outcomes) logits.
        truth: (batch, outcomes) 0 or 1, NaN where unknown; at least one of each example is known.
        emphasis: class weights and label smoothing.

    Returns:
        (batch,) what is unknown has no part in it, nor in its gradient.
    """
    known = ~truth.isnan()
    losses = _cross_entropies(outputs.float(), truth.nan_to_num(), emphasis, slice(None))
    return (losses * known).sum(dim=1) / known.sum(dim=1)


def _cross_entropies(outputs: Tensor, truth: Tensor, emphasis: Emphasis, columns: int | slice) -> Tensor:
    wanted = truth * (1 - emphasis.smoothing) + emphasis.smoothing / 2 if emphasis.smoothing else truth
    losses = binary_cross_entropy_with_logits(outputs, wanted, reduction="none")
    if emphasis.classes is None:
        return losses
    of_0, of_1 = emphasis.classes[:, columns]
    return losses * torch.where(truth > 0.5, of_1, of_0)


def class_weights(
    wanted: Literal["balanced"] | Mapping[str, float], truth: NDArray[np.float32], targets: Iterable[str]
) -> NDArray[np.float32]:
    """(2, targets) weight of 0 and of 1 for each binary target, as `Emphasis` wants it.

    Args:
        wanted: "balanced": each class weighs n / (2 · its number), so that both weigh the same together and the mean
            weight is 1. Or weights of 1 by target, 0 weighing 1; what is not named stays as it is.
        truth: (n, targets) of the training set, NaN where unknown.
        targets: names of the columns.
    """
    weights = np.ones((2, truth.shape[1]), np.float32)
    for column, name in enumerate(targets):
        if name in REGRESSED:
            continue
        if wanted != "balanced":
            weights[1, column] = wanted.get(name, 1.0)
            continue
        counts = [np.count_nonzero(truth[:, column] == value) for value in (0, 1)]
        if all(counts):
            weights[:, column] = [sum(counts) / (2 * count) for count in counts]
    return weights


def scores(outputs: Tensor, targets: Mapping[str, float]) -> Tensor:
    """(batch, targets): probabilities for binary targets, years for age."""
    columns = [
        # In float64, or large logits would tie at 1.
        outputs[:, k].double() if name in REGRESSED else outputs[:, k].double().sigmoid()
        for k, name in enumerate(targets)
    ]
    return torch.stack(columns, dim=1)
