"""The shortcuts S: what happens to a block's input on its way round the branch.

A shortcut is built as ``shortcut(plan, layers)`` from a block's dimensions and the factory of layers, and
called with the block's raw input and with the input as it enters the branch: identities take the raw one,
projections the other, which differs under pre-activation (He et al. 2016, 1603.05027) and fixup.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from archsearch.architecture import BlockPlan
from archsearch.models.layers import Layers
from archsearch.models.memory_format import subsample

_HALF = 0.5


class Identity(nn.Module):
    """The input itself."""

    def forward(self, raw: Tensor, _entered: Tensor) -> Tensor:
        """Return the raw input."""
        return raw


class ZeroPadding(nn.Module):
    """Every other pixel where the block strides, and zeros as further channels."""

    def __init__(self, plan: BlockPlan) -> None:
        super().__init__()
        self.stride = plan.stride
        self.added_channels = plan.out_channels - plan.in_channels

    def forward(self, raw: Tensor, _entered: Tensor) -> Tensor:
        """Return the raw input, subsampled and padded."""
        return functional.pad(subsample(raw, self.stride), (0, 0, 0, 0, 0, self.added_channels))


class Projected(nn.Module):
    """Layers that bring the input to the branch's dimensions."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, _raw: Tensor, entered: Tensor) -> Tensor:
        """Project the input as it enters the branch."""
        projected: Tensor = self.layers(entered)
        return projected


class Scaled(nn.Module):
    """Half the input beside half the branch (1603.05027, table 1, constant scaling)."""

    branch_factor = _HALF

    def __init__(self, plan: BlockPlan, layers: Layers) -> None:
        super().__init__()
        self.adapted = pad(plan, layers)

    def forward(self, raw: Tensor, entered: Tensor) -> Tensor:
        """Return half the adapted input."""
        half: Tensor = self.adapted(raw, entered) * _HALF
        return half


class Gated(nn.Module):
    """(1 - g(x)) x, with the branch as it is (1603.05027, table 1, shortcut-only gating)."""

    def __init__(self, plan: BlockPlan, layers: Layers) -> None:
        super().__init__()
        self.adapted = pad(plan, layers)
        self.gate = layers.gate(plan.in_channels, plan.out_channels, stride=plan.stride)

    def forward(self, raw: Tensor, entered: Tensor) -> Tensor:
        """Return what the gate lets through of the adapted input."""
        passed: Tensor = (1 - self.gate(raw)) * self.adapted(raw, entered)
        return passed


class DroppedOut(nn.Module):
    """Dropout of one half on the input (1603.05027, table 1)."""

    def __init__(self, plan: BlockPlan, layers: Layers) -> None:
        super().__init__()
        self.adapted = pad(plan, layers)
        self.dropout = nn.Dropout(_HALF)

    def forward(self, raw: Tensor, entered: Tensor) -> Tensor:
        """Return the adapted input, half of it dropped in training."""
        dropped: Tensor = self.dropout(self.adapted(raw, entered))
        return dropped


def pad(plan: BlockPlan, _layers: Layers) -> nn.Module:
    """Option A (He et al. 2015, 1512.03385): no weights."""
    return ZeroPadding(plan) if plan.changes_dimensions else Identity()


def projection(plan: BlockPlan, layers: Layers) -> nn.Module:
    """Option B: a projection where dimensions change, else the input itself."""
    return projection_all(plan, layers) if plan.changes_dimensions else Identity()


def projection_all(plan: BlockPlan, layers: Layers) -> nn.Module:
    """Option C: a 1x1 convolution and norm on every shortcut; under pre-activation without the norm."""
    norm = [] if layers.preactivation else layers.norm(plan.out_channels)
    return Projected(layers.weighted(plan.in_channels, plan.out_channels, stride=plan.stride), *norm)


def convolution(plan: BlockPlan, layers: Layers) -> nn.Module:
    """A 1x1 convolution alone on every shortcut (1603.05027, table 1)."""
    return Projected(layers.weighted(plan.in_channels, plan.out_channels, stride=plan.stride))
