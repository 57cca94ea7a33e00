"""A network's copy for inference: batch norm, which only scales and shifts by then, becomes part of convolutions."""

from __future__ import annotations

import copy

import torch
from torch import nn

from precordial.models.network import Network


def folded(network: Network, numbers: torch.dtype = torch.float32) -> Network:
    """A copy in evaluation mode that gives the same outputs, but for rounding, in less time; its weights do not learn.

    A module says by ``FOLDS``, pairs of names of its children, which batch norms come right behind a convolution.
    The copy shares no memory with the network.

    Args:
        network: stays as it is.
        numbers: in which it multiplies. Where autocast would make bfloat16 of the weights for each batch, they are
            bfloat16 from the start; the copy still needs autocast.
    """
    copied = copy.deepcopy(network).eval().requires_grad_(False)
    for module in copied.modules():
        for conv_name, norm_name in getattr(module, "FOLDS", ()):
            conv, norm = module.get_submodule(conv_name), module.get_submodule(norm_name)
            assert isinstance(conv, nn.Conv1d)
            assert isinstance(norm, nn.BatchNorm1d)
            _fold(conv, norm)
            setattr(module, norm_name, nn.Identity())
    for module in copied.modules():
        if isinstance(module, nn.Conv1d | nn.Linear):
            module.to(numbers)
        elif isinstance(module, nn.ReLU):
            module.inplace = True  # not in training: behind a view, autograd would copy more than that spares
    return copied


def _fold(conv: nn.Conv1d, norm: nn.BatchNorm1d) -> None:
    """Scale and shift by the convolution's own weight and bias."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    before = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
    conv.weight.data *= scale[:, None, None]
    conv.bias = nn.Parameter(before * scale + norm.bias, requires_grad=False)
