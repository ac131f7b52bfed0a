"""A plain block for archsearch with dropout in between (Srivastava et al. 2014, JMLR 15)."""

from __future__ import annotations

from torch import nn

from archsearch.architecture import BlockDefinition, BlockPlan, BranchForm
from archsearch.models.layers import Layers

# As between the convolutions of wide residual networks (Zagoruyko and Komodakis 2016, 1605.07146).
_DROPPED = 0.3


class BasicWithDropout(nn.Sequential):
    """Two 3x3 convolutions, and dropout before the second one."""

    def __init__(self, plan: BlockPlan, layers: Layers) -> None:
        first = layers.weighted(plan.in_channels, plan.inner_channels, 3, stride=plan.stride)
        second = layers.weighted(plan.inner_channels, plan.out_channels, 3)
        arranged = layers.arrange(first, second)
        arranged.insert(arranged.index(second), nn.Dropout(_DROPPED))
        super().__init__(*arranged)


PLAIN_DROPOUT = BlockDefinition(
    name="plain_dropout",
    join="none",
    forms={"basic": BranchForm("plain_dropout:BasicWithDropout", layers=2)},
)
