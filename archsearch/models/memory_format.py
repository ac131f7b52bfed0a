"""Operations that leave images as they lie in memory, in the backward pass too.

Where the operands of an operation lie in different formats, a CPU computes value by value what it otherwise
computes in vectors: of a ReLU's gradient that takes twenty times as long.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def is_channels_last(x: Tensor) -> bool:
    """Whether the channels of a pixel lie side by side; so they may in a view on some of the pixels."""
    return x.ndim == 4 and x.shape[1] > 1 and x.stride(1) == 1


def take_mean(x: Tensor) -> Tensor:
    """Return the mean over all pixels, ``[N, C]`` of ``[N, C, H, W]``."""
    return x.movedim(1, 3).flatten(1, 2).mean(1) if is_channels_last(x) else x.mean((2, 3))


def subsample(x: Tensor, stride: int) -> Tensor:
    """Return every `stride`-th pixel of ``[N, C, H, W]`` in both directions, as a view."""
    if torch.is_grad_enabled() and x.requires_grad:
        taken: Tensor = _Subsampling.apply(x, stride)  # type: ignore[no-untyped-call]
        return taken
    return x[:, :, ::stride, ::stride]


class _Subsampling(torch.autograd.Function):
    """Slicing, whose own gradient would be contiguous whatever its input is, and be filled twice."""

    @staticmethod
    def forward(x: Tensor, stride: int) -> Tensor:
        return x[:, :, ::stride, ::stride]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:  # noqa: ARG004
        x, ctx.stride = inputs
        ctx.shape = x.shape
        ctx.memory_format = torch.channels_last if is_channels_last(x) else torch.contiguous_format

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        whole = torch.empty(
            ctx.shape, dtype=gradient.dtype, device=gradient.device, memory_format=ctx.memory_format
        ).zero_()
        whole[:, :, :: ctx.stride, :: ctx.stride] = gradient
        return whole, None
