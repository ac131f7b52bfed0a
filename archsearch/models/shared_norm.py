"""Batch norm of a network that several processes train together, each on its share of every batch.

Each process alone would normalise by the statistics of its own images, and N devices would train another
network than one does. Here the statistics are those of the whole batch, and gradients flow through them.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm


def share_norms(network: nn.Module, device: torch.device) -> nn.Module:
    """Make every batch norm one of whole batches; parameters, buffers and names stay.

    On CUDA torch has such a layer, `torch.nn.SyncBatchNorm`, which knows no other device.
    """
    if device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return converted
    for name, module in network.named_modules():
        if isinstance(module, _BatchNorm):
            parent = network.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], SharedBatchNorm(module))
    return network


class SharedBatchNorm(nn.Module):
    """A batch norm over the shares of all processes of the default group; a share may be empty.

    Args:
        single: Its parameters and buffers are taken over.
    """

    weight: Tensor | None
    bias: Tensor | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(self, single: _BatchNorm) -> None:
        super().__init__()
        self.eps = single.eps
        self.momentum = single.momentum
        for name in ("weight", "bias"):
            self.register_parameter(name, getattr(single, name))
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(single, name))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``[N, C, ...]``, in evaluation by the running statistics."""
        if not self.training and self.running_mean is not None:
            return functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        mean, var, count = _measure_whole(x)
        if self.training and self.running_mean is not None:
            self._track(mean, var * (count / (count - 1)))
        normalised: Tensor = _Normalise.apply(  # type: ignore[no-untyped-call]
            x, self.weight, self.bias, mean, var, count, self.eps
        )
        return normalised

    def _track(self, mean: Tensor, unbiased_var: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        # torch's meaning of no momentum: the mean over all batches so far
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(unbiased_var.to(self.running_var.dtype), share)


def _measure_whole(x: Tensor) -> tuple[Tensor, Tensor, float]:
    """Return mean and biased variance of each channel over all shares, float64, and a channel's values."""
    mean = torch.zeros(x.shape[1], dtype=torch.float64, device=x.device)
    var = torch.zeros_like(mean)
    count = x.numel() // x.shape[1]
    if count:
        values = x.detach().to(_exact_type(x))
        var, mean = (figure.double() for figure in torch.var_mean(values, _others(x), correction=0))
    # In float64, so that the difference of squares loses nothing that float32 could hold.
    sums = torch.cat([mean * count, (var + mean.square()) * count, mean.new_tensor([count])])
    dist.all_reduce(sums)
    whole = float(sums[-1])
    if whole < 2:
        raise ValueError("Expected more than 1 value per channel when training")
    mean, squares = (sums[:-1] / whole).chunk(2)
    return mean, (squares - mean.square()).clamp_min(0), whole


def _others(x: Tensor) -> list[int]:
    """Every dimension but the channels'."""
    return [0, *range(2, x.ndim)]


def _exact_type(x: Tensor) -> torch.dtype:
    return torch.float32 if x.dtype in (torch.bfloat16, torch.float16) else x.dtype


class _Normalise(torch.autograd.Function):
    """Ioffe and Szegedy 2015 (1502.03167), with the gradients of their section 3 summed over all shares."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        var: Tensor,
        count: float,
        eps: float,
    ) -> Tensor:
        exact = _exact_type(x)
        mean = mean.to(exact)
        ctx.save_for_backward(x, weight, mean, (var + eps).rsqrt().to(exact))
        ctx.count = count
        return functional.batch_norm(x, mean, var.to(exact), weight, bias, eps=eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, rate = ctx.saved_tensors
        channels = (1, -1) + (1,) * (x.ndim - 2)
        gradient = gradients[0].to(mean.dtype)
        normalised = (x.to(mean.dtype) - mean.view(channels)) * rate.view(channels)
        own = torch.stack([gradient.sum(_others(x)), (gradient * normalised).sum(_others(x))])
        whole = own.to(torch.float64, copy=True)
        dist.all_reduce(whole)
        of_mean, of_scale = (whole / ctx.count).to(mean.dtype).view(2, *channels)
        scale = rate if weight is None else rate * weight.to(mean.dtype)
        of_x = (gradient - of_mean - normalised * of_scale) * scale.view(channels)
        # of weight and bias each process has its share, and DDP adds them up
        of_weight, of_bias = (None, None) if weight is None else (own[1], own[0])
        return of_x.to(x.dtype), of_weight, of_bias, None, None, None, None
