"""The identity test: how well can a stack of blocks learn to copy its input?

He et al. 2015 (1512.03385), section 3.1: if deeper networks degrade, solvers may have difficulties in
approximating identities by several nonlinear layers; a residual block only has to drive its weights to zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from archsearch.architecture import Architecture, BlockPlan, resolve_architecture
from archsearch.errors import InputError
from archsearch.models.blocks import build_block
from archsearch.models.initialization import initialize
from archsearch.models.layers import Layers

_IMAGES = 64
_SIDE = 8
_RATES = (0.1, 0.01, 0.001)
_WARM_UP_FRAC = 0.1


@dataclass(frozen=True)
class IdentityTest:
    """How near a stack came to the identity.

    Attributes:
        block: plain, residual, ...
        blocks: Number of blocks of the stack.
        seed: Of initialisation and inputs.
        learning_rate: The best of those tried.
        start_error: Before training: mean square of output - input over the mean square of the input.
        error: After training, on inputs not trained on. 0 is the identity; 1 is as good as giving zeros.
    """

    block: str
    blocks: int
    seed: int
    learning_rate: float
    start_error: float
    error: float


def try_identity(
    block: str,
    blocks: int,
    *,
    seed: int = 0,
    steps: int = 300,
    width: int = 8,
    std: float | None = 0.1,
    norm: str = "none",
) -> IdentityTest:
    """Train a stack of equal blocks to give what it gets, by Adam under the best of some learning rates.

    The weights begin normal with mean zero. Inputs are rectified standard normal values,
    ``[64, width, 8, 8]``, new ones at each step: they are not negative, as a block's input in the original
    order never is, so each kind of block could copy them exactly.

    Args:
        block: A block that keeps its dimensions: not dense.
        blocks: How many, one after the other.
        seed: Of weights and inputs.
        steps: Steps of training, at least 20.
        width: Channels.
        std: Of the weights at the beginning; None takes that of He et al. 2015 (1502.01852), which keeps the
            variance of a plain stack's signals.
        norm: batch, group, layer or none.

    Raises:
        ArchitectureError: There is no such block or norm.
        InputError: The block appends channels to its input.
    """
    fields: dict[str, Any] = {"block": block, "width": width, "norm": norm}
    if std is not None:
        fields |= {"initialization": "normal", "initialization_std": std}
    architecture = resolve_architecture(fields, strict=False)
    tried = [_train(architecture, blocks, seed, steps, rate) for rate in _RATES]
    # what is not a number is no candidate
    return min(tried, key=lambda found: found.error if found.error == found.error else float("inf"))


def _train(architecture: Architecture, blocks: int, seed: int, steps: int, rate: float) -> IdentityTest:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        stack, width = _build_stack(architecture, blocks), round(architecture.width)
        optimizer = torch.optim.Adam(stack.parameters(), lr=rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, rate, total_steps=steps, pct_start=_WARM_UP_FRAC
        )
        test = _draw(width)
        start = _measure_error(stack, test)
        for _ in range(steps):
            images = _draw(width)
            loss = _relative_error(stack(images), images)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
        return IdentityTest(architecture.block, blocks, seed, rate, start, _measure_error(stack, test))


def _build_stack(architecture: Architecture, blocks: int) -> nn.Sequential:
    width = round(architecture.width)
    plan = BlockPlan(width, width, width)
    stack = nn.Sequential(*(build_block(plan, Layers(architecture)) for _ in range(blocks)))
    initialize(stack, architecture)
    if stack(_draw(width)).shape[1] != width:
        raise InputError("must be a block that keeps its dimensions", path="block", got=architecture.block)
    return stack


def _draw(width: int) -> Tensor:
    return torch.randn(_IMAGES, width, _SIDE, _SIDE).relu()


def _relative_error(outputs: Tensor, inputs: Tensor) -> Tensor:
    return (outputs - inputs).square().mean() / inputs.square().mean()


@torch.no_grad()
def _measure_error(stack: nn.Module, images: Tensor) -> float:
    stack.eval()
    error = float(_relative_error(stack(images), images))
    stack.train()
    return error
