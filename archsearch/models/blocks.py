"""A block: branch, shortcut and join."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any

import torch
from torch import Tensor, nn

from archsearch.architecture import BLOCKS, SHORTCUTS, BlockPlan
from archsearch.errors import ArchitectureError
from archsearch.models.joins import build_join
from archsearch.models.layers import Layers


class Block(nn.Module):
    """One block in the original order: activation after the join (He et al. 2015, 1512.03385)."""

    def __init__(self, branch: nn.Module, join: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.join = join
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        y: Tensor = self.activation(self.join(x, x, self.branch(x)))
        return y


class OpenBlock(nn.Module):
    """One block without an activation after the join (highway in an mlp, 1507.06228)."""

    def __init__(self, branch: nn.Module, join: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        y: Tensor = self.join(x, x, self.branch(x))
        return y


class PreactivatedBlock(nn.Module):
    """One block with norm and activation before each weighted layer (He et al. 2016, 1603.05027)."""

    def __init__(self, entry: nn.Module, branch: nn.Module, join: nn.Module) -> None:
        super().__init__()
        self.entry = entry
        self.branch = branch
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        entered = self.entry(x)
        y: Tensor = self.join(x, entered, self.branch(entered))
        return y


class FixupBlock(nn.Module):
    """One block in the original order with a bias before its branch (Zhang et al. 2019, 1901.09321)."""

    def __init__(self, entry: nn.Module, branch: nn.Module, join: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.entry = entry
        self.branch = branch
        self.join = join
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        entered = self.entry(x)
        y: Tensor = self.activation(self.join(x, entered, self.branch(entered)))
        return y


class DropPath(nn.Module):
    """Stochastic depth: drops the whole branch of some images in training (Huang et al. 2016, 1603.09382).

    Departure: a branch that is kept is divided by the probability of keeping it, so that nothing need be
    scaled in evaluation; and each image is drawn for itself, not the whole batch at once.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.keep_frac = 1 - probability

    def forward(self, x: Tensor) -> Tensor:
        """Return the branch, zero for the dropped images."""
        if not self.training:
            return x
        kept = torch.empty((x.shape[0],) + (1,) * (x.ndim - 1), dtype=x.dtype, device=x.device)
        return x * kept.bernoulli_(self.keep_frac).div_(self.keep_frac)


def build_block(plan: BlockPlan, layers: Layers, drop_path: float = 0.0) -> nn.Module:
    """Build one block; `drop_path` is the probability that its branch is dropped.

    Raises:
        ArchitectureError: A plugin's branch or shortcut cannot be imported.
    """
    architecture = layers.architecture
    definition = BLOCKS[architecture.block]
    form = definition.forms[definition.form_name(architecture.layout, architecture.bottleneck)]
    branch = _load(form.path, "block")(plan, layers)
    if drop_path > 0:
        branch = nn.Sequential(branch, DropPath(drop_path))
    shortcut = None
    if architecture.shortcut is not None:
        shortcut = _load(SHORTCUTS[architecture.shortcut].path, "shortcut")(plan, layers)
    join = build_join(definition.join, shortcut, plan, layers)
    if layers.fixup:
        entry = nn.Sequential(*layers.entry(plan.in_channels))
        return FixupBlock(entry, branch, join, layers.activation(overwrite=True))
    if layers.preactivation:
        return PreactivatedBlock(nn.Sequential(*layers.entry(plan.in_channels)), branch, join)
    if layers.flat and definition.join == "gate":
        return OpenBlock(nn.Sequential(*branch, layers.activation(overwrite=True)), join)
    # without a join this reads the branch's own output, which its last layer may need for its gradient
    return Block(branch, join, layers.activation(overwrite=definition.join != "none"))


def _load(path: str, field: str) -> Any:
    try:
        return resolve_name(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise ArchitectureError(
            f"must lead to a class that can be imported ({error})", path=field, got=path
        ) from error
