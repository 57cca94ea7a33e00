"""Values beside the ECG, such as the age: how a model takes them in."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ExtraInputs(nn.Module):
    """Standardise values beside the ECG; (batch, k) with NaN where unknown → (batch, 2k).

    First come the k values, less the mean of the training set and divided by its standard deviation, with 0, the mean,
    for what is unknown. Then k times 0, or 1 where it is unknown. Mean and deviation are saved with the weights.

    Args:
        names: of the values, in order.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names
        self.register_buffer("mean", torch.zeros(len(names)))
        self.register_buffer("sd", torch.ones(len(names)))

    @property
    def width(self) -> int:
        """What the head reads beside the features."""
        return 2 * len(self.names)

    def fit(self, values: Tensor) -> None:
        """Take mean and standard deviation of a training set, (n, k); each column has two values at least."""
        for column, known in enumerate(values.double().T):
            known = known[~known.isnan()]
            self.mean[column], self.sd[column] = known.mean(), known.std(correction=0)

    def forward(self, values: Tensor) -> Tensor:
        """Apply."""
        unknown = values.isnan()
        standard = ((values - self.mean) / self.sd).masked_fill(unknown, 0.0)
        return torch.cat([standard, unknown.to(standard.dtype)], dim=1)

    def silence_unknowns(self, head: nn.Module) -> None:
        """Let a fresh head begin without heed to what is unknown.

        Where nothing was unknown in training the weights of these inputs get no gradient. They stay at zero then, and
        what is unknown later counts as the mean, and not as what a random start says.
        """
        first = next(module for module in head.modules() if isinstance(module, nn.Linear))
        with torch.no_grad():
            first.weight[:, -len(self.names) :] = 0.0
