"""The channels and strides of every block, worked out from an architecture without torch.

The builders in `archsearch.models` follow a plan; the normal form compares plans.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from archsearch.architecture.definitions import BLOCKS
from archsearch.architecture.depth import STAGES
from archsearch.architecture.spec import Architecture

_MULTIPLES: Mapping[str, tuple[int, ...]] = {
    "cifar": (1, 2, 4),
    "imagenet": (1, 2, 4, 8),
    "vgg": (1, 2, 4, 8, 8),
    "mlp": (1,),
}


@dataclass(frozen=True)
class BlockPlan:
    """Dimensions of one block.

    Attributes:
        in_channels: Channels that come in.
        inner_channels: Channels of the 3x3 convolution.
        out_channels: Channels that the branch gives out; for dense only the new ones.
        stride: Stride of the block.
        groups: Groups of the 3x3 convolution.
    """

    in_channels: int
    inner_channels: int
    out_channels: int
    stride: int = 1
    groups: int = 1

    @property
    def changes_dimensions(self) -> bool:
        """Whether an identity cannot go round the branch."""
        return self.stride != 1 or self.in_channels != self.out_channels


@dataclass(frozen=True)
class NetworkPlan:
    """Dimensions of a network.

    Attributes:
        stem_channels: Channels of the stem; 0 where there is none (vgg).
        stages: The blocks of each stage.
        transitions: Channels that each transition of a dense network keeps.
        out_channels: Channels that reach the head.
    """

    stem_channels: int
    stages: tuple[tuple[BlockPlan, ...], ...]
    transitions: tuple[int, ...]
    out_channels: int

    @property
    def blocks(self) -> tuple[BlockPlan, ...]:
        """All blocks, first to last."""
        return tuple(block for stage in self.stages for block in stage)

    @property
    def size(self) -> int:
        """How many blocks there are."""
        return sum(map(len, self.stages))

    @property
    def kinds(self) -> tuple[BlockPlan, ...]:
        """The different blocks, each once as a rule, in the order in which they come first."""
        return tuple({id(block): block for block in self.blocks}.values())


# few: a plan of a dense network of thousands of blocks takes a megabyte
@lru_cache(maxsize=8)
def plan_network(architecture: Architecture, *, input_channels: int = 0) -> NetworkPlan:
    """Work out every block's dimensions; `input_channels` matters to vgg alone, which has no stem."""
    join = BLOCKS[architecture.block].join
    if join == "concatenate":
        return _plan_dense(architecture)
    stem = _stem_channels(architecture)
    channels = stem or input_channels
    stages = []
    for index, count in enumerate(architecture.blocks):
        # the first stage keeps the resolution that the stem left; vgg pools and mlp has none
        strides = architecture.layout in ("cifar", "imagenet") and index > 0
        inner, out, groups = _stage_channels(architecture, index)
        first = BlockPlan(channels, inner, out, 2 if strides else 1, groups)
        # one value for all the others: a study may ask for thousands of them, in thousands of cells
        stages.append((first, *[BlockPlan(out, inner, out, 1, groups)] * (count - 1)))
        channels = out
    return NetworkPlan(stem, tuple(stages), (), channels)


def stage_width(architecture: Architecture, stage: int) -> int:
    """Channels of the 3x3 convolutions of a stage, before any grouping."""
    return round(architecture.width * _MULTIPLES[architecture.layout][stage])


def _stage_channels(architecture: Architecture, stage: int) -> tuple[int, int, int]:
    definition = BLOCKS[architecture.block]
    form = definition.forms[definition.form_name(architecture.layout, architecture.bottleneck)]
    inner = stage_width(architecture, stage)
    groups = 1
    if architecture.cardinality is not None and architecture.group_width is not None:
        groups = architecture.cardinality
        inner = groups * round(architecture.group_width * _MULTIPLES[architecture.layout][stage])
    return inner, form.expansion * stage_width(architecture, stage), groups


def _stem_channels(architecture: Architecture) -> int:
    if architecture.layout == "mlp":
        return round(architecture.width)
    return architecture.stem_width or 0


def _plan_dense(architecture: Architecture) -> NetworkPlan:
    growth = round(architecture.width)
    inner = 4 * growth if architecture.bottleneck else growth
    stem = channels = _stem_channels(architecture)
    stages, transitions = [], []
    for index, count in enumerate(architecture.blocks):
        stages.append(tuple(BlockPlan(channels + i * growth, inner, growth) for i in range(count)))
        channels += count * growth
        if index + 1 < STAGES[architecture.layout]:
            channels = math.floor((architecture.compression or 1.0) * channels)
            transitions.append(channels)
    return NetworkPlan(stem, tuple(stages), tuple(transitions), channels)
