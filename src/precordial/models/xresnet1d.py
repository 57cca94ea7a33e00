"""RN-900k: xresnet1d50 (Mehari 2022, [19] in the paper) on crops of 2.5 s; 892 449 parameters.

At 100 Hz the model has a form of its own: the stem's first kernel is 5 instead of 25 samples long and steps by 2
instead of 10, so that everything behind it sees the same 125 steps of 20 ms; 887 329 parameters.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from precordial.ecg import InputSpec
from precordial.models.gustafsson import SqueezeExcite
from precordial.models.layers import (
    Dropout,
    TimeFirstAvgPool,
    TimeFirstConv1d,
    TimeFirstMaxPool,
    TimeFirstNorm,
    dense,
    kaiming_normal_,
    time_first,
)
from precordial.models.network import Architecture

BLOCKS = (3, 4, 6, 3)  # bottleneck blocks of each stage
INNER = 64  # channels inside a block
OUTER = 4 * INNER  # channels between blocks
FEATURES = 2 * OUTER  # maximum and mean of each channel


class ConvNorm(nn.Sequential):
    """Convolution and batch norm, and what is appended."""

    FOLDS = (("0", "1"),)


def conv_norm(
    inputs: int, filters: int, kernel: int, *, stride: int = 1, padding: int = 0, bias: bool = False
) -> nn.Sequential:
    """Convolution and batch norm with PyTorch's defaults, time first."""
    layer = TimeFirstConv1d(inputs, filters, kernel, stride, padding, bias=bias)
    kaiming_normal_(layer.weight)
    layer.lay_out()
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return ConvNorm(layer, TimeFirstNorm(filters))


class Bottleneck(nn.Module):
    """(batch, time, inputs) → (batch, ceil(time / stride), 256): convolutions 1, 5, 1 beside a shortcut."""

    def __init__(self, inputs: int, stride: int, *, squeeze_excite: bool = False) -> None:
        super().__init__()
        last = conv_norm(INNER, OUTER, 1)
        nn.init.zeros_(last.get_parameter("1.weight"))  # every block starts as its shortcut
        self.convs = nn.Sequential(
            conv_norm(inputs, INNER, 1).append(nn.ReLU()),
            conv_norm(INNER, INNER, 5, stride=stride, padding=2).append(nn.ReLU()),
            last,
        )
        if squeeze_excite:
            self.convs.append(SqueezeExcite(OUTER))
        shortcut: list[nn.Module] = []
        if stride > 1:
            shortcut.append(TimeFirstAvgPool(stride))
        if inputs != OUTER:
            shortcut.append(conv_norm(inputs, OUTER, 1))
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """ReLU of the sum of both paths."""
        out: Tensor = self.convs(x) + self.shortcut(x)
        return out.relu_()


def stage(inputs: int, blocks: int, stride: int, *, squeeze_excite: bool = False) -> nn.Sequential:
    """`blocks` bottlenecks, the first of which takes the stride and the change of width."""
    make = partial(Bottleneck, squeeze_excite=squeeze_excite)
    return nn.Sequential(make(inputs, stride), *(make(OUTER, 1) for _ in range(blocks - 1)))


class XResNet1dBody(nn.Module):
    """One crop of each ECG, (batch, 8, samples), → (batch, 512): the maxima, then the means over time."""

    def __init__(self, spec: InputSpec, *, squeeze_excite: bool = False) -> None:
        super().__init__()
        kernel, step, padding = (25, 10, 10) if spec.model_rate == 500 else (5, 2, 2)
        self.stem = nn.Sequential(
            conv_norm(len(spec.leads), 32, kernel, stride=step, padding=padding, bias=True).append(nn.ReLU()),
            conv_norm(32, 32, 5, padding=2).append(nn.ReLU()),
            conv_norm(32, 64, 5, padding=2).append(nn.ReLU()),
            TimeFirstMaxPool(3, stride=2, padding=1),
        )
        first, *others = BLOCKS
        make = partial(stage, squeeze_excite=squeeze_excite)
        self.stages = nn.Sequential(make(64, first, 1), *(make(OUTER, blocks, 2) for blocks in others))

    def forward(self, x: Tensor) -> Tensor:
        """Features of crops."""
        x = self.stages(self.stem(time_first(x)))
        return torch.cat([x.amax(dim=1), x.mean(dim=1)], dim=1)


def own_head(features: int, outputs: int) -> nn.Module:
    """Batch norm, dropout 0.5, outputs."""
    return nn.Sequential(
        OrderedDict(norm=nn.BatchNorm1d(features), dropout=Dropout(0.5), out=dense(features, outputs, kaiming_normal_))
    )


def reference_name(key: str) -> str:
    """Name of a tensor in the authors' module tree.

    >>> reference_name("body.stages.0.2.convs.1.0.weight"), reference_name("head.out.bias")
    ('res_segments.0.2.convpath.0.1.0.weight', 'head.classifier.2.bias')
    """
    for ours, theirs in (
        ("body.", ""),
        ("stages.", "res_segments."),
        (".convs.", ".convpath.0."),
        (".shortcut.", ".idpath."),
        ("head.norm.", "head.classifier.0."),
        ("head.out.", "head.classifier.2."),
    ):
        key = key.replace(ours, theirs)
    return key


RN_900K = Architecture(
    name="rn-900k",
    paper_name="RN-900k",
    source="Mehari and Strodthoff 2022, doi:10.1016/j.compbiomed.2021.105114",
    conv_layers=51,
    shortcut_convs=1,
    paper_parameters=892_449,
    features=FEATURES,
    body=XResNet1dBody,
    own_head=own_head,
    new_head_init=(kaiming_normal_, kaiming_normal_),
    reference_name=reference_name,
    crop_seconds=2.5,
)
# The paper's discussion proposes it: the squeeze-and-excite of rn-33m in each block of rn-900k, before the sum.
RN_900K_SE = replace(
    RN_900K,
    name="rn-900k-se",
    paper_name="RN-900k with SE",
    source="a cross of Mehari and Strodthoff 2022 with Hu et al. 2018, doi:10.48550/arXiv.1709.01507",
    paper_parameters=0,
    body=partial(XResNet1dBody, squeeze_excite=True),
)
