"""CNN-20k: two convolutions and two dense layers (Nyström 2024, [24] in the paper); 20 479 parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from precordial.ecg import InputSpec
from precordial.models.layers import (
    SameConv1d,
    TimeFirstFlatten,
    conv,
    glorot_uniform_,
    glorot_uniform_rows_,
    he_normal_,
    mlp_head,
)
from precordial.models.network import Architecture
from precordial.models.reference import keras_name

HIDDEN = ((10, 0.4), (100, 0.3))  # (width, dropout) of the head's dense layers
POOL = 15
STEP = POOL * POOL
FEATURES = 5000 // STEP * 8  # 22 steps, 8 filters


def pooled_convolution(x: Tensor, conv: SameConv1d) -> Tensor:
    """``max_pool1d(conv(x), POOL)`` for an odd kernel, as one matrix product.

    (batch, in, time) → (batch, out, time // POOL).

    The matrix holds the kernel `POOL` times, each time a sample later, so that a row of the product is the window of
    one maximum. It has a fifth more multiplications than the convolution and takes a half to two thirds of its time on
    a CPU, where the kernel of 61 samples is most of the model's work.
    """
    batch, leads, time = x.shape
    filters, kernel, windows = conv.out_channels, conv.kernel_size[0], time // POOL
    padded = F.pad(x, (kernel // 2, kernel // 2)).transpose(1, 2).contiguous()
    step = POOL * leads
    rows = padded.as_strided((batch, windows, (POOL + kernel - 1) * leads), (padded.stride(0), step, 1))
    taps = conv.weight.permute(2, 1, 0)
    shifted = [F.pad(taps, (0, 0, 0, 0, shift, POOL - 1 - shift)) for shift in range(POOL)]
    matrix = torch.stack(shifted, dim=2).view(-1, POOL * filters)
    out = (rows.reshape(batch * windows, -1) @ matrix).view(batch, windows, POOL, filters).amax(dim=2)
    return (out + conv.bias).transpose(1, 2) if conv.bias is not None else out.transpose(1, 2)


class Cnn20kBody(nn.Module):
    """(batch, 8, 5000) → (batch, 176): twice convolution, ReLU, max pool 15 and dropout."""

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        # The recipe names no initialiser for these two; the authors' code leaves them to Keras' default.
        self.conv1 = conv(len(spec.leads), 28, 61, glorot_uniform_, bias=True)
        self.conv2 = conv(28, 8, 17, glorot_uniform_, bias=True)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool1d(POOL)  # an incomplete last window is dropped
        self.dropout1 = nn.Dropout(0.5)
        self.dropout2 = nn.Dropout(0.4)
        self.flatten = TimeFirstFlatten()

    def forward(self, x: Tensor) -> Tensor:
        """Features of prepared ECGs."""
        x = self.dropout1(self.relu(pooled_convolution(x, self.conv1)))
        x = self.dropout2(self.pool(self.relu(self.conv2(x))))
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
