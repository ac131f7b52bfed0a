"""A stage: blocks one after the other, whose insides autograd keeps or has computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from archsearch.models.blocks import PreactivatedBlock
from archsearch.models.joins import Concatenate
from archsearch.models.packed_layers import Place


class Stage(nn.Sequential):
    """The blocks of one resolution, and what follows them.

    Attributes:
        recomputing: Whether in training each of them keeps its input alone, and is computed once more in the
            backward pass: gradient checkpointing (Chen et al. 2016, 1604.06174). Where blocks concatenate,
            only the channels that each adds are kept, so memory grows with depth and not with its square
            (Pleiss et al. 2017, 1707.06990). Departure: they keep the output of a dense layer's 1x1 too.
    """

    recomputing = False

    def forward(self, x: Tensor) -> Tensor:
        """Return the stage's output."""
        if not (self.recomputing and self.training and torch.is_grad_enabled()):
            for part in self:
                x = part(x)
            return x
        pieces = [x]
        gather: Callable[..., Tensor] = _only
        for part in self:
            if isinstance(part, PreactivatedBlock) and isinstance(part.join, Concatenate):
                gather = part.join.gather
                pieces.append(_recompute(part, partial(_grow, part, gather), *pieces))
            else:
                pieces = [_recompute(part, partial(_follow, part, gather), *pieces)]
                gather = _only
        return gather(*pieces)


def recompute_blocks(network: nn.Module) -> None:
    """Have a network keep less for its backward pass, in which its blocks are then computed again."""
    for module in network.modules():
        if isinstance(module, Stage):
            module.recomputing = True


def _only(piece: Tensor) -> Tensor:
    return piece


def _grow(block: PreactivatedBlock, gather: Callable[..., Tensor], *pieces: Tensor) -> Tensor:
    branch: Tensor = block.branch(block.entry(gather(*pieces)))
    return branch


def _follow(part: nn.Module, gather: Callable[..., Tensor], *pieces: Tensor) -> Tensor:
    y: Tensor = part(gather(*pieces))
    return y


def _recompute(part: nn.Module, compute: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    generators = _generators(part)
    states = [generator.get_state() for generator in generators]
    y: Tensor = checkpoint(
        compute,
        *inputs,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), _once_more(part, generators, states)),
    )
    return y


@contextmanager
def _once_more(part: nn.Module, generators: list[torch.Generator], states: list[Tensor]) -> Iterator[None]:
    """Draw the same random numbers again, and count nothing a second time, such as running statistics.

    Torch's own generators are seen to by torch.
    """
    counted = [(buffer, buffer.clone()) for buffer in part.buffers()]
    later = [generator.get_state() for generator in generators]
    _set_states(generators, states)
    try:
        yield
    finally:
        _set_states(generators, later)
        for buffer, value in counted:
            # as data, for the backward pass may have saved a buffer, and would take it for changed
            buffer.data.copy_(value)


def _generators(part: nn.Module) -> list[torch.Generator]:
    """The generators of packed networks, which all their layers share."""
    places = (getattr(module, "place", None) for module in part.modules())
    return next((list(place.generators) for place in places if isinstance(place, Place)), [])


def _set_states(generators: list[torch.Generator], states: list[Tensor]) -> None:
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state)
