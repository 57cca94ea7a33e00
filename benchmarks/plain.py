"""The four models as one would write them down: `nn.Conv1d` and `nn.BatchNorm1d` over (batch, channels, time).

Nothing is done for speed. They have the names of precordial's own state dicts, so `plain_copy` gives a network with the
same weights, which `benchmarks/training.py` measures against and a test compares with.
"""

from __future__ import annotations

import copy
import math
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from precordial.models import Network
from precordial.models.xresnet1d import BLOCKS


class Same(nn.Conv1d):
    """A convolution with TensorFlow's "same" padding."""

    def __init__(self, inputs: int, filters: int, kernel: int, stride: int = 1, *, bias: bool = False) -> None:
        super().__init__(inputs, filters, kernel, stride, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Pad and convolve."""
        kernel, stride, time = self.kernel_size[0], self.stride[0], x.shape[2]
        total = max((math.ceil(time / stride) - 1) * stride + kernel - time, 0)
        return super().forward(F.pad(x, (total // 2, total - total // 2)))


def norm(channels: int) -> nn.BatchNorm1d:
    """Keras' batch norm."""
    return nn.BatchNorm1d(channels, eps=1e-3, momentum=0.01)


class Cnn20k(nn.Module):
    """(batch, 8, 5000) → (batch, 176)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = Same(8, 28, 61, bias=True), Same(28, 8, 17, bias=True)
        self.dropout1, self.dropout2 = nn.Dropout(0.5), nn.Dropout(0.4)

    def forward(self, x: Tensor) -> Tensor:
        """Features."""
        x = self.dropout1(F.max_pool1d(F.relu(self.conv1(x)), 15))
        x = self.dropout2(F.max_pool1d(F.relu(self.conv2(x)), 15))
        return x.transpose(1, 2).flatten(1)


class Stem(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = Same(8, 64, 17), norm(64)

    def forward(self, x: Tensor) -> Tensor:
        """Apply."""
        return F.relu(self.bn(self.conv(x)))


class Unit7m(nn.Module):
    """A unit of rn-7m."""

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = Same(inputs, filters, 17), norm(filters)
        self.conv2, self.bn2 = Same(filters, filters, 17, 4), norm(filters)
        self.skip, self.dropout = Same(inputs, filters, 1), nn.Dropout(0.8)

    def forward(self, x: Tensor, shortcut: Tensor) -> tuple[Tensor, Tensor]:
        """Apply."""
        x = self.dropout(F.relu(self.bn1(self.conv1(x))))
        total = self.conv2(x) + self.skip(F.max_pool1d(shortcut, 4))
        return self.dropout(F.relu(self.bn2(total))), total


class Rn7m(nn.Module):
    """(batch, 8, 4096) → (batch, 5120)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Stem()
        self.block1, self.block2 = Unit7m(64, 128), Unit7m(128, 196)
        self.block3, self.block4 = Unit7m(196, 256), Unit7m(256, 320)

    def forward(self, x: Tensor) -> Tensor:
        """Features."""
        x = shortcut = self.stem(x)
        for block in (self.block1, self.block2, self.block3, self.block4):
            x, shortcut = block(x, shortcut)
        return x.transpose(1, 2).flatten(1)


class SqueezeExcite(nn.Module):
    """Weights for channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce, self.expand = nn.Linear(channels, channels // 8), nn.Linear(channels // 8, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Apply."""
        return x * torch.sigmoid(self.expand(F.relu(self.reduce(x.mean(dim=2))))).unsqueeze(2)


class Unit33m(nn.Module):
    """A unit of rn-33m."""

    def __init__(self, inputs: int, filters: int, stride: int) -> None:
        super().__init__()
        self.stride, self.dropout = stride, nn.Dropout(0.5)
        self.bn1, self.conv1 = norm(inputs), Same(inputs, filters, 17)
        self.bn2, self.conv2 = norm(filters), Same(filters, filters, 17, stride)
        self.se = SqueezeExcite(filters)
        self.skip = Same(inputs, filters, 1) if inputs != filters else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Apply."""
        y = self.conv1(self.dropout(F.relu(self.bn1(x))))
        y = self.conv2(self.dropout(F.relu(self.bn2(y))))
        total: Tensor = self.se(y) + self.skip(F.max_pool1d(x, self.stride) if self.stride > 1 else x)
        return total


class Rn33m(nn.Module):
    """(batch, 8, 4096) → (batch, 8192)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Stem()
        widths = [64, *(width for width in (64, 128, 256, 512) for _ in range(3))]
        for number in range(1, 13):
            stride = 1 if number % 3 == 2 else 2
            self.add_module(f"block{number}", Unit33m(widths[number - 1], widths[number], stride))

    def forward(self, x: Tensor) -> Tensor:
        """Features."""
        for layer in self.children():
            x = layer(x)
        return x.transpose(1, 2).flatten(1)


def conv_norm(
    inputs: int, filters: int, kernel: int, stride: int = 1, padding: int = 0, *, bias: bool = False
) -> nn.Sequential:
    """Convolution and batch norm."""
    return nn.Sequential(nn.Conv1d(inputs, filters, kernel, stride, padding, bias=bias), nn.BatchNorm1d(filters))


class Bottleneck(nn.Module):
    """A block of rn-900k."""

    def __init__(self, inputs: int, stride: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            conv_norm(inputs, 64, 1).append(nn.ReLU()),
            conv_norm(64, 64, 5, stride, 2).append(nn.ReLU()),
            conv_norm(64, 256, 1),
        )
        pool = [nn.AvgPool1d(stride, ceil_mode=True)] if stride > 1 else []
        self.shortcut = nn.Sequential(*pool, *([conv_norm(inputs, 256, 1)] if inputs != 256 else []))

    def forward(self, x: Tensor) -> Tensor:
        """Apply."""
        return F.relu(self.convs(x) + self.shortcut(x))


class Rn900k(nn.Module):
    """Crops, (batch, 8, 1250) → (batch, 512)."""

    def __init__(self, kernel: int, step: int, padding: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            conv_norm(8, 32, kernel, step, padding, bias=True).append(nn.ReLU()),
            conv_norm(32, 32, 5, 1, 2).append(nn.ReLU()),
            conv_norm(32, 64, 5, 1, 2).append(nn.ReLU()),
            nn.MaxPool1d(3, 2, 1),
        )
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        for number, blocks in enumerate(BLOCKS):
            first = Bottleneck(256 if number else 64, 2 if number else 1)
            stages[str(number)] = nn.Sequential(first, *(Bottleneck(256, 1) for _ in range(blocks - 1)))
        self.stages = nn.Sequential(stages)

    def forward(self, x: Tensor) -> Tensor:
        """Features."""
        x = self.stages(self.stem(x))
        return torch.cat([x.amax(dim=2), x.mean(dim=2)], dim=1)


def plain_copy(network: Network) -> Network:
    """A network of the same weights, head and mode whose body is the plain one."""
    stem = (25, 10, 10) if network.rate == 500 else (5, 2, 2)
    kinds: dict[str, type[nn.Module]] = {"cnn-20k": Cnn20k, "rn-7m": Rn7m, "rn-33m": Rn33m}
    body = Rn900k(*stem) if network.name == "rn-900k" else kinds[network.name]()
    body.load_state_dict(network.body.state_dict())
    plain = copy.deepcopy(network)
    plain.body = body.train(network.training)
    return plain
