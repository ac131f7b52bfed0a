"""A trained network with some of its blocks removed, repeated or exchanged, or open to one path alone.

Lesions follow Veit, Wilber and Belongie 2016 (1605.06431): the branch of a removed block gives nothing, and
what its shortcut carries goes on. Of a block without a join nothing would be left, so its input takes the
place of its output, which needs equal dimensions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from archsearch.architecture import Architecture, BlockPlan
from archsearch.models.joins import Add, Concatenate, GatedJoin, NoJoin
from archsearch.models.network import Network, Parts

Arrangement = Sequence[Sequence[int]]
"""For each place of a block, the numbers of the blocks that stand there one after the other."""


class Anatomy:
    """The blocks of a network, by their numbers from 0, and what can be done with each.

    Args:
        network: As `build_network` makes it.
        architecture: Of the network.
        input_shape: (channels, height, width), or (features,).
        classes: Number of logits.
    """

    def __init__(
        self, network: Network, architecture: Architecture, input_shape: tuple[int, ...], classes: int
    ) -> None:
        self.network = network
        self._stages = Parts.of(architecture, input_shape, classes).plan.stages
        stages: Any = network.stages
        self._places = [
            (stage, index)
            for stage in stages
            for index, module in enumerate(stage)
            if hasattr(module, "join")
        ]
        self._blocks: list[Any] = [stage[index] for stage, index in self._places]

    @property
    def plans(self) -> list[BlockPlan]:
        """Dimensions of each block."""
        return [plan for stage in self._stages for plan in stage]

    @property
    def removable(self) -> list[int]:
        """The blocks that can be removed: those round which something can go."""
        return [
            number
            for number, (block, plan) in enumerate(zip(self._blocks, self.plans, strict=True))
            if not isinstance(block.join, NoJoin) or not plan.changes_dimensions
        ]

    @property
    def repeatable(self) -> list[int]:
        """The blocks that can stand twice: those that keep the dimensions."""
        return [
            number
            for number, (block, plan) in enumerate(zip(self._blocks, self.plans, strict=True))
            if not isinstance(block.join, Concatenate) and not plan.changes_dimensions
        ]

    @property
    def exchangeable(self) -> list[tuple[int, int]]:
        """Neighbours that can change places: of one stage and of equal dimensions."""
        firsts = {sum(map(len, self._stages[:index])) for index in range(len(self._stages))}
        able = set(self.repeatable)
        pairs = pairwise(range(len(self._blocks)))
        return [(one, other) for one, other in pairs if {one, other} <= able and other not in firsts]

    @property
    def has_paths(self) -> bool:
        """Whether each block adds a shortcut and a branch, so that there are paths to be told apart."""
        return all(isinstance(block.join, Add | GatedJoin) for block in self._blocks)

    @contextmanager
    def rearranged(self, arrangement: Arrangement) -> Iterator[Network]:
        """Put the blocks into another arrangement, for as long as the context lasts.

        ``[[0], [], [2, 2], [4], [3]]`` removes block 1, repeats block 2 and exchanges blocks 3 and 4.
        """
        yield from self._with(
            [
                Removed(block) if not numbers else nn.Sequential(*(self._blocks[n] for n in numbers))
                for block, numbers in zip(self._blocks, arrangement, strict=True)
            ]
        )

    @contextmanager
    def open_to_path(self, through: Collection[int]) -> Iterator[Network]:
        """Let gradients pass one path alone: the branches of some blocks, the shortcuts of all others.

        What the network gives out stays the same. Gates count as constants.
        """
        yield from self._with(
            [PathBlock(block, through_branch=number in through) for number, block in enumerate(self._blocks)]
        )

    def _with(self, modules: Sequence[nn.Module]) -> Iterator[Network]:
        try:
            self._put(modules)
            yield self.network
        finally:
            self._put(self._blocks)

    def _put(self, modules: Sequence[nn.Module]) -> None:
        for (stage, index), module in zip(self._places, modules, strict=True):
            stage[index] = module


class Removed(nn.Module):
    """What is left of a block whose branch gives nothing."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """Return the shortcut, past the activation that follows the join."""
        block: Any = self.block
        if isinstance(block.join, NoJoin):
            return x
        entered = _enter(block, x)
        if isinstance(block.join, Concatenate):
            concatenated: Tensor = block.join(x, entered, torch.zeros_like(block.branch(entered)))
            return concatenated
        y: Tensor = _leave(block, block.join.shortcut(x, entered))
        return y


class PathBlock(nn.Module):
    """A block whose gradient passes either its branch or its shortcut."""

    def __init__(self, block: Any, *, through_branch: bool) -> None:
        super().__init__()
        self.block = block
        self.through_branch = through_branch

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        block: Any = self.block
        join = block.join
        entered = _enter(block, x)
        carried, branch = join.shortcut(x, entered), block.branch(entered)
        carried, branch = (carried.detach(), branch) if self.through_branch else (carried, branch.detach())
        if isinstance(join, GatedJoin):
            opening = join.gate(x).detach()
            joined = (1 - opening) * carried + opening * branch
        else:
            joined = torch.add(carried, branch, alpha=join.branch_factor)
        y: Tensor = _leave(block, joined)
        return y


def _enter(block: Any, x: Tensor) -> Any:
    entry = getattr(block, "entry", None)
    return x if entry is None else entry(x)


def _leave(block: Any, joined: Tensor) -> Any:
    activation = getattr(block, "activation", None)
    # it may overwrite its input, which here can be the input of the block itself
    return joined if activation is None else activation(joined.clone())
