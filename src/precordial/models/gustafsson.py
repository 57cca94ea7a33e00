"""RN-33M: twelve residual units with squeeze-and-excite (Gustafsson 2022, [27] in the paper); 33 051 817 parameters."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from precordial.ecg import InputSpec
from precordial.models.layers import (
    Dropout,
    TimeFirstMaxPool,
    conv,
    dense,
    glorot_uniform_,
    glorot_uniform_rows_,
    he_normal_,
    keras_norm,
    mlp_head,
    time_first,
)
from precordial.models.network import Architecture
from precordial.models.reference import keras_name
from precordial.models.ribeiro import KERNEL, Stem

DROPOUT = 0.5
# (filters, stride) of each unit: 4096 samples become 2048, 2048, 1024, 512, 512, 256, 128, 128, 64, 32, 32, 16.
UNITS = tuple((filters, stride) for filters in (64, 128, 256, 512) for stride in (2, 1, 2))
STEP = 256
FEATURES = 4096 // STEP * 512


class SqueezeExcite(nn.Module):
    """Weigh the channels of (batch, time, channels) by what their means over time say."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # The recipe names no initialiser for these dense layers: Keras' default.
        self.reduce = dense(channels, channels // 8, glorot_uniform_)
        self.expand = dense(channels // 8, channels, glorot_uniform_)

    def forward(self, x: Tensor) -> Tensor:
        """Apply."""
        weights = torch.sigmoid(self.expand(torch.relu(self.reduce(x.mean(dim=1)))))
        return x * weights.unsqueeze(1)


class GustafssonUnit(nn.Module):
    """(batch, time, inputs) → (batch, time / stride, filters); no batch norm or ReLU after the sum."""

    FOLDS = (("conv1", "bn2"),)

    def __init__(self, inputs: int, filters: int, stride: int) -> None:
        super().__init__()
        self.bn1 = keras_norm(inputs)
        self.conv1 = conv(inputs, filters, KERNEL, he_normal_)
        self.bn2 = keras_norm(filters)
        self.conv2 = conv(filters, filters, KERNEL, he_normal_, stride=stride)
        self.se = SqueezeExcite(filters)
        self.pool = TimeFirstMaxPool(stride) if stride > 1 else nn.Identity()
        self.skip = conv(inputs, filters, 1, he_normal_) if inputs != filters else nn.Identity()
        self.relu = nn.ReLU()
        self.dropout = Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        """Apply."""
        y = self.conv1(self.dropout(self.relu(self.bn1(x))))
        y = self.conv2(self.dropout(self.relu(self.bn2(y))))
        total: Tensor = self.se(y) + self.skip(self.pool(x))
        return total


class GustafssonBody(nn.Sequential):
    """(batch, 8, 4096) → (batch, 8192)."""

    def __init__(self, spec: InputSpec) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict(stem=Stem(len(spec.leads)))
        inputs = 64
        for number, (filters, stride) in enumerate(UNITS, start=1):
            layers[f"block{number}"] = GustafssonUnit(inputs, filters, stride)
            inputs = filters
        layers["flatten"] = nn.Flatten()  # all channels of the first sample first, as in Keras
        super().__init__(layers)

    def forward(self, x: Tensor) -> Tensor:
        """Features of prepared ECGs."""
        x = time_first(x)
        for layer in self:
            x = layer(x)
        return x


def own_head(features: int, outputs: int) -> nn.Module:
    """The outputs, straight from the features."""
    return mlp_head(features, (), outputs, hidden_init=glorot_uniform_, output_init=he_normal_)


RN_33M = Architecture(
    name="rn-33m",
    paper_name="RN-33M",
    source="Gustafsson et al. 2022, doi:10.1038/s41598-022-24254-x",
    conv_layers=25,
    shortcut_convs=3,
    paper_parameters=33_062_569,
    features=FEATURES,
    body=GustafssonBody,
    own_head=own_head,
    new_head_init=(glorot_uniform_, glorot_uniform_rows_),
    reference_name=keras_name,
    model_rate=400,
    model_samples=4096,
    step=STEP,
    # The convolutions of the units only: neither the stem's nor the shortcuts'.
    l2={f"body.block{n}.{conv}.weight": 0.001 for n in range(1, 13) for conv in ("conv1", "conv2")}
    | {"head.out.weight": 0.01},
    authors_head_l2=0.01,
)
