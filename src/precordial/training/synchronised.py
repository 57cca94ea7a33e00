"""Layers for a training over several processes: batch norm over the whole batch, dropout by sample.

PyTorch's SyncBatchNorm refuses the CPU; this one needs nothing but an all-gather.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn

from precordial.models.layers import Dropout, TimeFirstNorm


class _Normalise(torch.autograd.Function):
    """Batch norm of (rows, channels) over the rows of all processes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Normalised rows; mean and variance of each channel; how many rows there are."""
        values = _exact(x)
        count = values.new_tensor([len(values)])
        mean = values.mean(dim=0) if len(values) else values.new_zeros(values.shape[1])
        here = torch.cat([count, mean, (values - mean).square().sum(dim=0)])
        parts = [torch.empty_like(here) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, here)
        # Means and squares about them, put together: sums of squares alone would cancel.
        counts, means, squares = torch.split(torch.stack(parts), [1, len(mean), len(mean)], dim=1)
        count = counts.sum()
        mean = (counts * means).sum(dim=0) / count
        variance = (squares + counts * (means - mean).square()).sum(dim=0) / count
        scale = torch.rsqrt(variance + eps)
        ctx.save_for_backward(x, weight, mean, scale, count)
        ctx.mark_non_differentiable(mean, variance, count)
        return ((values - mean) * (scale * weight) + bias).to(x.dtype), mean, variance, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Gradients of the rows here, and these rows' part of those of weight and bias."""
        x, weight, mean, scale, count = ctx.saved_tensors
        normal = (_exact(x) - mean) * scale
        gradient = _exact(gradient)
        here = torch.cat([(gradient * normal).sum(dim=0), gradient.sum(dim=0)])
        everywhere = here.clone()
        distributed.all_reduce(everywhere)
        along, level = (everywhere / count).chunk(2)
        of_weight, of_bias = here.chunk(2)
        return ((gradient - normal * along - level) * (scale * weight)).to(x.dtype), of_weight, of_bias, None


def _exact(x: Tensor) -> Tensor:
    """Numbers of half precision in float32, others as they are."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class SynchronisedNorm(nn.BatchNorm1d):
    """`nn.BatchNorm1d` over the batches of all processes as one.

    Attributes:
        time_first: it reads (batch, time, channels), as `TimeFirstNorm` does, and not (batch, channels, time).
    """

    def __init__(self, norm: nn.BatchNorm1d) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, device="meta")
        self.time_first = isinstance(norm, TimeFirstNorm)
        for name, value in [*norm.named_parameters(), *norm.named_buffers()]:
            setattr(self, name, value)
        self.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel over all rows and, where there is one, time."""
        last = self.time_first or x.ndim == 2
        rows = (x if last else x.transpose(1, 2)).reshape(-1, self.num_features)
        out = self._normalise(rows)
        if x.ndim == 2:
            return out
        return out.view(x.shape) if last else out.view(x.shape[0], x.shape[2], -1).transpose(1, 2)

    def _normalise(self, rows: Tensor) -> Tensor:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        if not self.training:
            return nn.functional.batch_norm(
                rows, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        out, mean, variance, count = _Normalise.apply(rows, self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        result: Tensor = out
        return result


def synchronise(network: nn.Module) -> None:
    """Put `SynchronisedNorm` in the place of a network's batch norm, and dropout by sample in that of PyTorch's."""
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                assert isinstance(layer, nn.BatchNorm1d), f"no synchronised {type(layer).__name__}"
                setattr(parent, name, SynchronisedNorm(layer))
            elif type(layer) is nn.Dropout:
                setattr(parent, name, Dropout(layer.p).train(layer.training))
