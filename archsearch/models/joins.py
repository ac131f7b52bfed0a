"""How a block's input and its branch meet: none, add, gate, concatenate.

A join is called with the raw input, the input as it entered the branch, and what the branch gave out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archsearch.architecture import BlockPlan
from archsearch.models.layers import Gate, Layers


class NoJoin(nn.Module):
    """F(x): the branch alone."""

    def forward(self, _raw: Tensor, _entered: Tensor, branch: Tensor) -> Tensor:
        """Return the branch."""
        return branch


class Add(nn.Module):
    """S(x) + F(x); a shortcut with a `branch_factor` has the branch multiplied by it."""

    def __init__(self, shortcut: nn.Module) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.branch_factor = float(getattr(shortcut, "branch_factor", 1.0))

    def forward(self, raw: Tensor, entered: Tensor, branch: Tensor) -> Tensor:
        """Add shortcut and branch."""
        return torch.add(self.shortcut(raw, entered), branch, alpha=self.branch_factor)


class GatedJoin(nn.Module):
    """T(x) F(x) + (1 - T(x)) S(x) (Srivastava et al. 2015, 1507.06228)."""

    def __init__(self, shortcut: nn.Module, gate: Gate) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.gate = gate

    def forward(self, raw: Tensor, entered: Tensor, branch: Tensor) -> Tensor:
        """Mix shortcut and branch."""
        carried = self.shortcut(raw, entered)
        # the same value with one product less, so that autograd keeps two tensors and not four
        mixed: Tensor = carried + self.gate(raw) * (branch - carried)
        return mixed


class Concatenate(nn.Module):
    """[x, F(x)]: the branch's channels after the input's (Huang et al. 2016, 1608.06993)."""

    def forward(self, raw: Tensor, _entered: Tensor, branch: Tensor) -> Tensor:
        """Concatenate input and branch."""
        return self.gather(raw, branch)

    def gather(self, *pieces: Tensor) -> Tensor:
        """Concatenate the input of a stage and what its blocks have added so far."""
        return torch.cat(pieces, 1)


def build_join(name: str, shortcut: nn.Module | None, plan: BlockPlan, layers: Layers) -> nn.Module:
    """Build the join of a block; `shortcut` where the join has one."""
    if name == "add":
        assert shortcut is not None
        return Add(shortcut)
    if name == "gate":
        assert shortcut is not None
        return GatedJoin(shortcut, layers.gate(plan.in_channels, plan.out_channels, stride=plan.stride))
    return Concatenate() if name == "concatenate" else NoJoin()
