"""Losses of the paper: cross-entropy for what is yes or no, mean absolute error for age."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

REGRESSED = frozenset({"age"})  # every other target is binary


def example_losses(outputs: Tensor, truth: Tensor, targets: Mapping[str, float]) -> Tensor:
    """Weighted loss of each example.

    Args:
        outputs: (batch, targets) logits, and years for age.
        truth: (batch, targets) 0 or 1, and years for age.
        targets: name of each column and its weight.

    Returns:
        (batch,) the weighted sum over the targets.
    """
    total = torch.zeros(len(outputs), device=outputs.device)
    for column, (name, weight) in enumerate(targets.items()):
        output, wanted = outputs[:, column].float(), truth[:, column]
        if name in REGRESSED:
            loss = (output - wanted).abs()
        else:
            loss = binary_cross_entropy_with_logits(output, wanted, reduction="none")
        total = total + weight * loss
    return total


def outcome_losses(outputs: Tensor, truth: Tensor) -> Tensor:
    """Loss of each example of the target: the mean cross-entropy of its known outcomes.

    A mean and not a sum, so that many outcomes do not need another learning rate than one.

    Args:
        outputs: (batch, outcomes) logits.
        truth: (batch, outcomes) 0 or 1, NaN where unknown; at least one of each example is known.

    Returns:
        (batch,) what is unknown has no part in it, nor in its gradient.
    """
    known = ~truth.isnan()
    losses = binary_cross_entropy_with_logits(outputs.float(), truth.nan_to_num(), reduction="none")
    return (losses * known).sum(dim=1) / known.sum(dim=1)


def scores(outputs: Tensor, targets: Mapping[str, float]) -> Tensor:
    """(batch, targets): probabilities for binary targets, years for age."""
    columns = [
        # In float64, or large logits would tie at 1.
        outputs[:, k].double() if name in REGRESSED else outputs[:, k].double().sigmoid()
        for k, name in enumerate(targets)
    ]
    return torch.stack(columns, dim=1)
