"""RN-7M: four wide residual units (Ribeiro 2020, [26] in the paper); 6 780 833 parameters."""

from __future__ import annotations

from torch import Tensor, nn

from precordial.ecg import InputSpec
from precordial.models.layers import (
    Dropout,
    TimeFirstMaxPool,
    conv,
    glorot_uniform_,
    glorot_uniform_rows_,
    he_normal_,
    keras_norm,
    mlp_head,
    time_first,
)
from precordial.models.network import Architecture
from precordial.models.reference import keras_name

KERNEL = 17
DROPOUT = 0.8
SHRINK = 4  # each unit leaves a quarter of the samples
STEP = SHRINK**4
FEATURES = 4096 // STEP * 320  # 16 steps, 320 filters


class Stem(nn.Module):
    """(batch, time, leads) → (batch, time, 64): convolution, batch norm, ReLU. RN-33M begins with it too."""

    FOLDS = (("conv", "bn"),)

    def __init__(self, leads: int) -> None:
        super().__init__()
        self.conv = conv(leads, 64, KERNEL, he_normal_)
        self.bn = keras_norm(64)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Apply."""
        out: Tensor = self.relu(self.bn(self.conv(x)))
        return out


class RibeiroUnit(nn.Module):
    """(main, shortcut) → (main, shortcut), each (batch, time, channels), time shrunk by four.

    The sum of both paths goes on twice: as it is, to be the next shortcut, and after batch norm, ReLU and dropout,
    to be the next main input.
    """

    FOLDS = (("conv1", "bn1"),)

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__()
        self.conv1 = conv(inputs, filters, KERNEL, he_normal_)
        self.bn1 = keras_norm(filters)
        self.conv2 = conv(filters, filters, KERNEL, he_normal_, stride=SHRINK)
        self.pool = TimeFirstMaxPool(SHRINK)
        self.skip = conv(inputs, filters, 1, he_normal_)
        self.bn2 = keras_norm(filters)
        self.relu = nn.ReLU()
        self.dropout = Dropout(DROPOUT)

    def forward(self, x: Tensor, shortcut: Tensor) -> tuple[Tensor, Tensor]:
        """The next main input and the next shortcut."""
        x = self.dropout(self.relu(self.bn1(self.conv1(x))))
        total = self.conv2(x) + self.skip(self.pool(shortcut))
        return self.dropout(self.relu(self.bn2(total))), total


class RibeiroBody(nn.Module):
    """(batch, 8, 4096) → (batch, 5120); dropout comes right before the flatten, too."""

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.stem = Stem(len(spec.leads))
        self.block1 = RibeiroUnit(64, 128)
        self.block2 = RibeiroUnit(128, 196)
        self.block3 = RibeiroUnit(196, 256)
        self.block4 = RibeiroUnit(256, 320)
        self.flatten = nn.Flatten()  # all channels of the first sample first, as in Keras

    def forward(self, x: Tensor) -> Tensor:
        """Features of prepared ECGs."""
        x = shortcut = self.stem(time_first(x))
        for block in (self.block1, self.block2, self.block3, self.block4):
            x, shortcut = block(x, shortcut)
        features: Tensor = self.flatten(x)
        return features


def own_head(features: int, outputs: int) -> nn.Module:
    """The outputs, straight from the features."""
    return mlp_head(features, (), outputs, hidden_init=glorot_uniform_, output_init=he_normal_)


RN_7M = Architecture(
    name="rn-7m",
    paper_name="RN-7M",
    source="Ribeiro et al. 2020, doi:10.1038/s41467-020-15432-4",
    conv_layers=9,
    shortcut_convs=4,
    paper_parameters=6_784_561,
    features=FEATURES,
    body=RibeiroBody,
    own_head=own_head,
    new_head_init=(glorot_uniform_, glorot_uniform_rows_),
    reference_name=keras_name,
    model_rate=400,
    model_samples=4096,
    step=STEP,
    l2={"head.out.weight": 0.01},
    authors_head_l2=0.01,
)
