"""The layers and initialisers that the four models share.

Three of the models were made in Keras, so "same" padding, batch norm and the random start of the weights
follow Keras here; where PyTorch differs a comment says by how much.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

Initialiser = Callable[[Tensor], Tensor]

# Standard deviation of a standard normal cut off at two standard deviations: Keras divides by it.
_CUT_NORMAL_SD = 0.87962566103423978


def same_padding(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after `length` samples for TensorFlow's "same": ceil(length / stride) samples come out.

    >>> same_padding(4096, 17, 1), same_padding(4096, 17, 2), same_padding(4096, 17, 4)
    ((8, 8), (7, 8), (6, 7))
    """
    total = max((math.ceil(length / stride) - 1) * stride + kernel - length, 0)
    return total // 2, total - total // 2


class SameConv1d(nn.Conv1d):
    """A convolution over time with `same_padding`; (batch, in, time) → (batch, out, ceil(time / stride))."""

    def forward(self, x: Tensor) -> Tensor:
        """Pad and convolve."""
        left, right = same_padding(x.shape[-1], self.kernel_size[0], self.stride[0])
        if left == right:  # padding inside the convolution spares a copy of the input
            return F.conv1d(x, self.weight, self.bias, self.stride, padding=left)
        return F.conv1d(F.pad(x, (left, right)), self.weight, self.bias, self.stride)


class TimeFirstConv1d(nn.Conv1d):
    """A convolution over time as one matrix product; (batch, time, in) → (batch, time', out).

    On a CPU the layers of rn-900k run 1.3 to 1.5 times as fast in this order of the axes as in PyTorch's own, since a
    kernel of one sample is a dense layer there and nothing is rearranged between layers.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Pad, lay the samples of each window side by side, multiply."""
        kernel, stride, padding = self.kernel_size[0], self.stride[0], int(self.padding[0])
        if kernel == 1:
            return F.linear(x, self.weight[:, :, 0], self.bias)
        x = F.pad(x, (0, 0, padding, padding))
        last = (x.shape[1] - kernel) // stride * stride
        windows = torch.cat([x[:, start : start + last + 1 : stride] for start in range(kernel)], dim=2)
        return F.linear(windows, self.weight.transpose(1, 2).flatten(1), self.bias)


class TimeFirstNorm(nn.BatchNorm1d):
    """Batch norm of (batch, time, channels)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel over batch and time."""
        return super().forward(x.flatten(0, 1)).view(x.shape)


class TimeFirst(nn.Module):
    """A layer that reads (batch, channels, time), such as a pool, for (batch, time, channels)."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Turn, apply, turn back."""
        out: Tensor = self.layer(x.transpose(1, 2)).transpose(1, 2)
        return out


class TimeFirstFlatten(nn.Module):
    """(batch, channels, time) → (batch, time · channels), in Keras' order: all channels of the first sample first."""

    def forward(self, x: Tensor) -> Tensor:
        """Flatten."""
        return x.transpose(1, 2).flatten(1)


def he_normal_(weight: Tensor) -> Tensor:
    """Keras' He-normal: a normal of variance 2 / fan_in, made from one that is cut off at two standard deviations.

    Values beyond are drawn again, which is much faster than `torch.nn.init.trunc_normal_` on 33 million weights.
    """
    if weight.is_meta:
        return weight
    sd = math.sqrt(2 / weight[0].numel()) / _CUT_NORMAL_SD
    with torch.no_grad():
        flat = weight.view(-1).normal_(0, sd)
        beyond = (flat.abs() > 2 * sd).nonzero().squeeze(1)
        while len(beyond):
            again = torch.randn(len(beyond), device=weight.device) * sd
            flat[beyond] = again
            beyond = beyond[again.abs() > 2 * sd]
    return weight


def glorot_uniform_(weight: Tensor) -> Tensor:
    """Glorot-uniform, Keras' default: uniform within ±√(6 / (fan_in + fan_out))."""
    return nn.init.xavier_uniform_(weight)


def glorot_uniform_rows_(weight: Tensor) -> Tensor:
    """Glorot-uniform for an output layer whose every row is a layer of its own (fan_out 1).

    The study's age and sex are two output layers; so the start of one does not depend on how many there are.
    """
    limit = math.sqrt(6 / (weight.shape[1] + 1))
    return nn.init.uniform_(weight, -limit, limit)


def kaiming_normal_(weight: Tensor) -> Tensor:
    """He-normal as PyTorch has it, not cut off: a normal of variance 2 / fan_in."""
    return nn.init.kaiming_normal_(weight, nonlinearity="relu")


def conv(
    inputs: int, filters: int, kernel: int, initialise: Initialiser, *, stride: int = 1, bias: bool = False
) -> SameConv1d:
    """A `SameConv1d` with its initialiser and, if any, a zero bias."""
    layer = SameConv1d(inputs, filters, kernel, stride=stride, bias=bias)
    initialise(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def dense(inputs: int, outputs: int, initialise: Initialiser) -> nn.Linear:
    """A dense layer with its initialiser and a zero bias."""
    layer = nn.Linear(inputs, outputs)
    initialise(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def keras_norm(channels: int) -> nn.BatchNorm1d:
    """Batch norm with Keras' numbers: momentum 0.99 (0.01 as PyTorch counts it), epsilon 1e-3.

    Keras averages the biased variance of each batch, PyTorch the unbiased one. They differ by 1 / (batch · time),
    at most 0.03 % for 256 ECGs (16 samples in the deepest layer), and only in the running statistics.
    """
    return nn.BatchNorm1d(channels, eps=1e-3, momentum=0.01)


def mlp_head(
    features: int,
    hidden: Sequence[tuple[int, float]],
    outputs: int,
    *,
    hidden_init: Initialiser,
    output_init: Initialiser,
) -> nn.Sequential:
    """Dense layers, each with ReLU and dropout, then the outputs; (batch, features) → (batch, outputs).

    Args:
        features: width of the body's output.
        hidden: (width, dropout rate) of each hidden layer; they are named fc1, fc2 …
        outputs: number of outputs; the last layer is named out.
        hidden_init: initialiser of the hidden layers.
        output_init: initialiser of the last layer.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (width, rate) in enumerate(hidden, start=1):
        layers[f"fc{number}"] = dense(features, width, hidden_init)
        layers[f"relu{number}"] = nn.ReLU()
        layers[f"dropout{number}"] = nn.Dropout(rate)
        features = width
    layers["out"] = dense(features, outputs, output_init)
    return nn.Sequential(layers)
