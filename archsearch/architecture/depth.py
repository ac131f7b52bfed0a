"""Depth and blocks per stage: which depths each layout and form has, and what they stand for.

Depth counts weighted layers on the main path as the papers do: stem, branches, transitions of dense, and the
softmax layer (not in an mlp). Projections are never counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archsearch.architecture.definitions import BlockDefinition

STAGES: Mapping[str, int] = {"cifar": 3, "imagenet": 4, "vgg": 5, "mlp": 1}

# He et al. 2015, 1512.03385, table 1; 200 layers: He et al. 2016, 1603.05027
_IMAGENET_BASIC = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
_IMAGENET_BOTTLENECK = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}
# Huang et al. 2016, 1608.06993, table 1, whose DenseNet-264 has 265 layers as the others are counted
_IMAGENET_DENSE = {
    121: (6, 12, 24, 16),
    161: (6, 12, 36, 24),
    169: (6, 12, 32, 32),
    201: (6, 12, 48, 32),
    264: (6, 12, 64, 48),
}
_IMAGENET: Mapping[tuple[bool, str, int], Mapping[int, tuple[int, ...]]] = {
    (False, "basic", 2): _IMAGENET_BASIC,
    (False, "bottleneck", 3): _IMAGENET_BOTTLENECK,
    (True, "bottleneck", 2): _IMAGENET_DENSE,
}
# Simonyan and Zisserman 2014, 1409.1556, table 1, columns A, B, D, E
_VGG = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


@dataclass(frozen=True)
class DepthRule:
    """The depths that one layout has for one form of a block.

    Attributes:
        layers: Weighted layers of one block.
        outside: Weighted layers outside the blocks.
        stages: Number of stages.
        listed: Blocks by depth, where only published ones are valid; None where depth = step·n + outside.
        described: The form, for messages: ``basic cifar``.
    """

    layers: int
    outside: int
    stages: int
    listed: Mapping[int, tuple[int, ...]] | None
    described: str

    @property
    def step(self) -> int:
        """Layers that one more block in each stage adds."""
        return self.layers * self.stages

    @property
    def text(self) -> str:
        """The rule as a sentence that begins with a verb."""
        if self.listed:
            *most, last = map(str, self.listed)
            named = f"{', '.join(most)} or {last}" if most else last
            return f"must be {named} for {self.described} blocks"
        if self.listed is not None:
            return f"must be left out for {self.described} blocks, which have no published depth"
        if self.step == 1:
            return f"must be at least {self.outside + 1} for {self.described} blocks"
        return f"must be {self.step}n+{self.outside} for {self.described} blocks"

    def blocks(self, depth: int) -> tuple[int, ...] | None:
        """Blocks per stage of this depth; None where it is not valid."""
        if self.listed is not None:
            return self.listed.get(depth)
        count, rest = divmod(depth - self.outside, self.step)
        return (count,) * self.stages if rest == 0 and count >= 1 else None

    def depth(self, blocks: Sequence[int]) -> int:
        """Depth of these blocks: the published one, where it has a name, else counted."""
        for depth, listed in (self.listed or {}).items():
            if listed == tuple(blocks):
                return depth
        return self.layers * sum(blocks) + self.outside

    def nearest(self, depth: int, count: int = 2) -> tuple[int, ...]:
        """Return the valid depths nearest to this one, nearest first, the smaller first of two as near."""
        if self.listed is None:
            middle = (depth - self.outside) // self.step
            found = [
                self.step * n + self.outside
                for n in range(max(1, middle - count), max(1, middle) + count + 1)
            ]
        else:
            found = list(self.listed)
        return tuple(sorted(found, key=lambda valid: (abs(valid - depth), valid))[:count])


def depth_rule(block: BlockDefinition, layout: str, bottleneck: bool | None) -> DepthRule:
    """Return the rule for a block in a layout; `bottleneck` chooses between its forms where it has both."""
    form = block.form_name(layout, bottleneck)
    layers = block.forms[form].layers
    stages = STAGES[layout]
    if layout == "mlp":
        return DepthRule(layers, 1, stages, None, "mlp")
    if layout == "vgg":
        return DepthRule(layers, 3, stages, _VGG, "vgg")
    dense = block.join == "concatenate"
    outside = 2 + (stages - 1 if dense else 0)
    kind: str = ("dense bottleneck" if form == "bottleneck" else "dense") if dense else form
    if block.name == "grouped":
        kind = "grouped"
    listed: Mapping[int, tuple[int, ...]] | None = None
    if layout == "imagenet":
        # a plugin's block of other layers has no published depths
        listed = _IMAGENET.get((dense, form, layers), {})
    return DepthRule(layers, outside, stages, listed, f"{kind} {layout}")
