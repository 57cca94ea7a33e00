"""CNN-20k: two convolutions and two dense layers (Nyström 2024, [24] in the paper); 20 479 parameters."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from precordial.ecg import InputSpec
from precordial.models.layers import (
    Dropout,
    SameConv1d,
    TimeFirstMaxPool,
    conv,
    glorot_uniform_,
    glorot_uniform_rows_,
    he_normal_,
    mlp_head,
    picture,
    time_first,
)
from precordial.models.network import Architecture
from precordial.models.reference import keras_name

HIDDEN = ((10, 0.4), (100, 0.3))  # (width, dropout) of the head's dense layers
POOL = 15
STEP = POOL * POOL
FEATURES = 5000 // STEP * 8  # 22 steps, 8 filters
BLOCK = 5  # samples that `BlockConv1d` takes together


class BlockConv1d(SameConv1d):
    """A `SameConv1d` of an odd kernel for few channels: a convolution of blocks of `BLOCK` samples.

    A block is read as one sample of `BLOCK` times the channels, and gives as many samples of output; so its kernel
    holds ours `BLOCK` times, each time a sample later. With 61 samples this is 7 % more to multiply, but in float32 it
    takes half the time on a CPU, whose units are as wide as 16 to 32 channels.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Pad and convolve; (batch, time, in) → (batch, time, out)."""
        batch, time, inputs = x.shape
        kernel = self.kernel_size[0]
        taps = math.ceil((BLOCK - 1 + kernel) / BLOCK)
        blocks = math.ceil(time / BLOCK)
        before = kernel // 2
        x = F.pad(x, (0, 0, before, (blocks - 1 + taps) * BLOCK - time - before))
        later = [F.pad(self.weight, (shift, taps * BLOCK - kernel - shift)) for shift in range(BLOCK)]
        weight = torch.stack(later).view(-1, inputs, taps, BLOCK).permute(0, 3, 1, 2).flatten(1, 2).unsqueeze(2)
        bias = None if self.bias is None else self.bias.repeat(BLOCK)
        out = picture(F.conv2d, x.view(batch, -1, BLOCK * inputs), weight, bias)
        return out.reshape(batch, blocks * BLOCK, -1)[:, :time]


class Cnn20kBody(nn.Module):
    """(batch, 8, 5000) → (batch, 176): twice convolution, ReLU, max pool 15 and dropout."""

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        # The recipe names no initialiser for these two; the authors' code leaves them to Keras' default.
        self.conv1 = conv(len(spec.leads), 28, 61, glorot_uniform_, bias=True, kind=BlockConv1d)
        self.conv2 = conv(28, 8, 17, glorot_uniform_, bias=True)
        self.relu = nn.ReLU()
        self.pool = TimeFirstMaxPool(POOL)  # an incomplete last window is dropped
        self.dropout1 = Dropout(0.5)
        self.dropout2 = Dropout(0.4)
        self.flatten = nn.Flatten()  # all channels of the first sample first, as in Keras

    def forward(self, x: Tensor) -> Tensor:
        """Features of prepared ECGs."""
        x = self.dropout1(self.relu(self.pool(self.conv1(time_first(x)))))
        x = self.dropout2(self.relu(self.pool(self.conv2(x))))
        features: Tensor = self.flatten(x)
        return features


def own_head(features: int, outputs: int) -> nn.Module:
    """Dense 10, dense 100, outputs."""
    return mlp_head(features, HIDDEN, outputs, hidden_init=glorot_uniform_, output_init=he_normal_)


CNN_20K = Architecture(
    name="cnn-20k",
    paper_name="CNN-20k",
    source="Nyström et al. 2024, doi:10.1016/j.jelectrocard.2023.11.002",
    conv_layers=2,
    shortcut_convs=0,
    paper_parameters=20_479,
    features=FEATURES,
    body=Cnn20kBody,
    own_head=own_head,
    new_head_init=(glorot_uniform_, glorot_uniform_rows_),
    reference_name=keras_name,
    model_rate=500,
    model_samples=5000,
    step=STEP,
    l2={"body.conv2.weight": 0.01, "head.out.weight": 0.01},
    authors_hidden=HIDDEN,
    authors_head_l2=0.01,
)
