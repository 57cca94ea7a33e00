"""The layers and initialisers that the four models share.

Three of the models were made in Keras, so "same" padding, batch norm and the random start of the weights
follow Keras here; where PyTorch differs a comment says by how much.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from precordial.models.rows import drawn, is_whole

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


def time_first(x: Tensor) -> Tensor:
    """(batch, channels, time) → (batch, time, channels), the order of the axes between all layers of the bodies."""
    return x.transpose(1, 2).contiguous()


def picture(function: Callable[..., Tensor], x: Tensor, *given: Any) -> Tensor:
    """Call a function of pictures, (batch, channels, 1, time), for (batch, time, channels), without a copy."""
    return function(x.transpose(1, 2).unsqueeze(2), *given).squeeze(2).transpose(1, 2)


class TimeFirstConv1d(nn.Conv1d):
    """A convolution over time; (batch, time, in) → (batch, time', out).

    The convolution of pictures one pixel high, with the channels last: in this order of the axes oneDNN and cuDNN
    rearrange nothing. Only in float32 on a GPU, where cuDNN reaches a hundredth of the peak with rn-900k's few
    channels, windows are laid side by side for a matrix product, which trains that model twice as fast
    (`docs/performance.md`).
    """

    def lay_out(self) -> None:
        """Keep the weight as (out, kernel, in) in memory: neither it nor its gradient is rearranged in a step then."""
        self.weight.data = self.weight.data.transpose(1, 2).contiguous().transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Pad and convolve."""
        padding, (kernel,), (stride,) = int(self.padding[0]), self.kernel_size, self.stride
        if x.is_cuda and not torch.is_autocast_enabled("cuda") and 1 < kernel <= 5 * stride:
            return self._multiply(x, padding)
        return self._convolve(x, padding)

    def _convolve(self, x: Tensor, padding: int) -> Tensor:
        if self.kernel_size[0] == self.stride[0] == 1:
            return F.linear(x, self.weight[:, :, 0], self.bias)
        return picture(F.conv2d, x, self.weight.unsqueeze(2), self.bias, (1, self.stride[0]), (0, padding))

    def _multiply(self, x: Tensor, padding: int) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        x = F.pad(x, (0, 0, padding, padding))
        last = (x.shape[1] - kernel) // stride * stride
        windows = torch.cat([x[:, start : start + last + 1 : stride] for start in range(kernel)], dim=2)
        return F.linear(windows, self.weight.transpose(1, 2).flatten(1), self.bias)


class SameConv1d(TimeFirstConv1d):
    """A convolution over time with `same_padding`; (batch, time, in) → (batch, ceil(time / stride), out)."""

    def forward(self, x: Tensor) -> Tensor:
        """Pad and convolve."""
        left, right = same_padding(x.shape[1], self.kernel_size[0], self.stride[0])
        if left == right:  # padding inside the convolution spares a copy of the input
            return self._convolve(x, left)
        return self._convolve(F.pad(x, (0, 0, left, right)), 0)


class TimeFirstNorm(nn.BatchNorm1d):
    """Batch norm of (batch, time, channels)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel over batch and time."""
        return picture(super().forward, x)

    def _check_input_dim(self, x: Tensor) -> None:
        """A picture is what it gets here."""


class Dropout(nn.Dropout):
    """`nn.Dropout` by sample, see `precordial.models.rows`; on a CPU five times as fast.

    There each random number of 64 bits decides on four values. So the rate is the nearest multiple of 2⁻¹⁶; what stays
    is scaled by it, and the expectation is exact.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Drop, in training mode."""
        if not self.training or self.p in (0, 1):
            return super().forward(x)
        if x.device.type != "cpu":
            if is_whole():
                return F.dropout(x, self.p)
            return x * drawn(len(x), lambda count: F.dropout(x.new_ones(count, *x.shape[1:]), self.p))
        dropped = round(self.p * 2**16)
        bits = drawn(len(x), lambda count: _sixteen_bits(count, *x.shape[1:]))
        scale = 2**16 / (2**16 - dropped)
        kept = bits.ge_(dropped - 2**15)  # in place it gives 0 and 1 in 16 bits, with vector instructions
        if x.dtype == torch.bfloat16:  # whose 16 bits can be put there: those of 0 are 0
            return x * kept.mul_(bfloat16_bits(scale)).view(torch.bfloat16)
        return x * kept.to(x.dtype).mul_(scale)


def bfloat16_bits(value: float) -> int:
    """The bits of a positive number in bfloat16, rounded to the nearest: eight of the exponent, seven behind the point.

    >>> hex(bfloat16_bits(1.0)), hex(bfloat16_bits(2.0))
    ('0x3f80', '0x4000')
    """
    fraction, exponent = math.frexp(value)  # value = fraction · 2^exponent, fraction from 0.5
    return ((exponent + 125) << 7) + round(fraction * 2**8)


def _sixteen_bits(*shape: int) -> Tensor:
    """Random int16, each value equally likely."""
    count = math.prod(shape)
    numbers = torch.empty(math.ceil(count / 4), dtype=torch.int64).random_(-(2**63), None)
    return numbers.view(torch.int16)[:count].view(shape)


class TimeFirstMaxPool(nn.MaxPool1d):
    """The maximum of each `kernel_size` samples; (batch, time, channels) → (batch, time', channels)."""

    def forward(self, x: Tensor) -> Tensor:
        """Pool; an incomplete last window is dropped."""
        return picture(F.max_pool2d, x, (1, self.kernel_size), (1, self.stride), (0, self.padding))


class TimeFirstAvgPool(nn.AvgPool1d):
    """The mean of each `kernel_size` samples, the last of them of what is there; (batch, time, channels)."""

    def __init__(self, kernel: int) -> None:
        super().__init__(kernel, ceil_mode=True)
        self.window = (1, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """Pool."""
        return picture(F.avg_pool2d, x, self.window, self.window, 0, True)


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
    inputs: int,
    filters: int,
    kernel: int,
    initialise: Initialiser,
    *,
    stride: int = 1,
    bias: bool = False,
    kind: type[SameConv1d] = SameConv1d,
) -> SameConv1d:
    """A `SameConv1d`, or a `kind` of it, with its initialiser and, if any, a zero bias."""
    layer = kind(inputs, filters, kernel, stride=stride, bias=bias)
    initialise(layer.weight)
    layer.lay_out()
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def dense(inputs: int, outputs: int, initialise: Initialiser) -> nn.Linear:
    """A dense layer with its initialiser and a zero bias."""
    layer = nn.Linear(inputs, outputs)
    initialise(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def keras_norm(channels: int) -> TimeFirstNorm:
    """Batch norm with Keras' numbers: momentum 0.99 (0.01 as PyTorch counts it), epsilon 1e-3.

    Keras averages the biased variance of each batch, PyTorch the unbiased one. They differ by 1 / (batch · time),
    at most 0.03 % for 256 ECGs (16 samples in the deepest layer), and only in the running statistics.
    """
    return TimeFirstNorm(channels, eps=1e-3, momentum=0.01)


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
        layers[f"dropout{number}"] = Dropout(rate)
        features = width
    layers["out"] = dense(features, outputs, output_init)
    return nn.Sequential(layers)
