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


def scores(outputs: Tensor, targets: Mapping[str, float]) -> Tensor:
    """(batch, targets): probabilities for binary targets, years for age."""
    columns = [
        # In float64, or large logits would tie at 1.
        outputs[:, k].double() if name in REGRESSED else outputs[:, k].double().sigmoid()
        for k, name in enumerate(targets)
    ]
    return torch.stack(columns, dim=1)
