"""The branches F of the blocks: weighted layers one after the other, norms and activations between them.

A branch is built as ``Branch(plan, layers)`` from a block's dimensions and the factory of layers. A plugin's
is any module that is built so and gives out ``plan.out_channels`` at ``plan.stride``.
"""

from __future__ import annotations

from torch import nn

from archsearch.architecture import BlockPlan
from archsearch.models.layers import Layers


class Basic(nn.Sequential):
    """Two 3x3 convolutions (He et al. 2015, 1512.03385, figure 5 left); the first one strides."""

    def __init__(self, plan: BlockPlan, layers: Layers) -> None:
        super().__init__(
            *layers.arrange(
                layers.weighted(plan.in_channels, plan.inner_channels, 3, stride=plan.stride),
                layers.weighted(plan.inner_channels, plan.out_channels, 3),
            )
        )


class Bottleneck(nn.Sequential):
    """1x1, 3x3 and 1x1 convolutions (1512.03385, figure 5 right).

    With groups in the 3x3 it is the branch of ResNeXt (Xie et al. 2016, 1611.05431, figure 3c).
    """

    def __init__(self, plan: BlockPlan, layers: Layers) -> None:
        first, second = (plan.stride, 1) if layers.stride_in_first else (1, plan.stride)
        inner = plan.inner_channels
        super().__init__(
            *layers.arrange(
                layers.weighted(plan.in_channels, inner, stride=first),
                layers.weighted(inner, inner, 3, stride=second, groups=plan.groups),
                layers.weighted(inner, plan.out_channels),
            )
        )


class Dense(nn.Sequential):
    """One 3x3 convolution that adds `width` channels (Huang et al. 2016, 1608.06993)."""

    def __init__(self, plan: BlockPlan, layers: Layers) -> None:
        super().__init__(*layers.arrange(layers.weighted(plan.in_channels, plan.out_channels, 3)))


class DenseBottleneck(nn.Sequential):
    """A 1x1 convolution to four times the growth before the 3x3 (1608.06993, DenseNet-B)."""

    def __init__(self, plan: BlockPlan, layers: Layers) -> None:
        super().__init__(
            *layers.arrange(
                layers.weighted(plan.in_channels, plan.inner_channels),
                layers.weighted(plan.inner_channels, plan.out_channels, 3),
            )
        )


class Single(nn.Sequential):
    """One 3x3 convolution (Simonyan and Zisserman 2014, 1409.1556)."""

    def __init__(self, plan: BlockPlan, layers: Layers) -> None:
        super().__init__(*layers.arrange(layers.weighted(plan.in_channels, plan.out_channels, 3)))


class Linear(nn.Sequential):
    """One fully connected layer."""

    def __init__(self, plan: BlockPlan, layers: Layers) -> None:
        super().__init__(*layers.arrange(layers.weighted(plan.in_channels, plan.out_channels)))
