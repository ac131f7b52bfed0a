"""Stem, stages and head of one network as text."""

from __future__ import annotations

import math

from archsearch.architecture import BLOCKS, NetworkPlan
from archsearch.export.source.block import BlockText
from archsearch.export.source.pieces import LINE, Pieces, indent, sequential, signature

_HIDDEN_UNITS = 4096


class NetworkText:
    """Writes the function ``stage`` and the class ``Network``.

    Args:
        pieces: Of the network.
        plan: Of the network.
        block: Of the network.
        input_shape: (channels, height, width), or (features,).
        classes: Number of logits.
    """

    def __init__(
        self,
        pieces: Pieces,
        plan: NetworkPlan,
        block: BlockText,
        *,
        input_shape: tuple[int, ...],
        classes: int,
    ) -> None:
        self.pieces, self.plan, self.block = pieces, plan, block
        self.layout = pieces.architecture.layout
        self.input_shape, self.classes = input_shape, classes

    def write_stage(self) -> list[str]:
        """Write the function that makes the blocks of one resolution."""
        names = self.block.parameters
        if self.block.dense:
            return self._write_dense_stage()
        arguments = ", ".join(f"{name}: int" for name in ["blocks", *names])
        lines = signature("stage", arguments, "nn.Sequential")
        if names == ["units"]:
            return [
                *lines,
                '    """Blocks one after the other."""',
                "    return nn.Sequential(*[Block(units) for _ in range(blocks)])",
            ]
        does = "strides and brings the channels" if "stride" in names else "brings the channels"
        pool = ", nn.MaxPool2d(2)" if self.layout == "vgg" else ""
        following = ["out_channels", *(["channels"] if "channels" in names else []), "out_channels"]
        following += ["stride=1"] if "stride" in names else []
        made, times = f"Block({', '.join(following)})", "for _ in range(blocks - 1)"
        others = [f"    others = [{made} {times}]"]
        if len(others[0]) > LINE:
            others = ["    others = [", f"        {made} {times}", "    ]"]
        return [
            *lines,
            f'    """Blocks of one resolution; the first one {does}."""',
            f"    first = Block({', '.join(names)})",
            *others,
            f"    return nn.Sequential(first, *others{pool})",
        ]

    def _write_dense_stage(self) -> list[str]:
        growth = self.plan.stages[0][0].out_channels
        made = f"layers = [Block(in_channels + {growth} * number) for number in range(blocks)]"
        if not self.plan.transitions:
            added = f"{growth} {'units' if self.pieces.flat else 'channels'}"
            return [
                "def stage(blocks: int, in_channels: int) -> nn.Sequential:",
                f'    """Blocks, each of which adds {added}."""',
                f"    {made}",
                "    return nn.Sequential(*layers)",
            ]
        pieces = self.pieces
        transition = [*pieces.normed_activation("channels"), pieces.weighted("channels", "kept")]
        return [
            "def stage(blocks: int, in_channels: int, kept: int = 0) -> nn.Sequential:",
            f'    """Blocks, each of which adds {growth} channels; then a transition that keeps some."""',
            f"    {made}",
            "    if kept:",
            f"        channels = in_channels + {growth} * blocks",
            *indent(sequential("transition =", [*transition, "nn.AvgPool2d(2)"]), 8),
            "        layers.append(transition)",
            "    return nn.Sequential(*layers)",
        ]

    def write_network(self) -> list[str]:
        """Write the class of the network."""
        stem = self._stem()
        through = "self.stages(self.stem(x))" if stem else "self.stages(x)"
        return [
            "class Network(nn.Module):",
            '    """Normalised images to logits."""',
            "",
            "    def __init__(self) -> None:",
            "        super().__init__()",
            *indent(sequential("self.stem =", stem) if stem else [], 8),
            *indent(sequential("self.stages =", self._stages()), 8),
            *indent(sequential("self.head =", self.head()), 8),
            "",
            "    def forward(self, x: Tensor) -> Tensor:",
            f"        return self.head({through})",
        ]

    def _stages(self) -> list[str]:
        calls = []
        for index, blocks in enumerate(self.plan.stages):
            first = blocks[0]
            words = [str(len(blocks))]
            if self.block.dense:
                kept = self.plan.transitions[index : index + 1]
                words += [str(first.in_channels), *map(str, kept)]
            elif self.pieces.flat:
                words += [str(first.out_channels)]
            else:
                inner = [first.inner_channels] if self.pieces.architecture.bottleneck else []
                words += map(str, [first.in_channels, *inner, first.out_channels])
                words += [f"stride={first.stride}"] if self.block.strides else []
            calls.append(f"stage({', '.join(words)})")
        return calls

    def _stem(self) -> list[str]:
        pieces, channels = self.pieces, self.plan.stem_channels
        if self.layout == "vgg":
            return []
        if self.layout == "mlp":
            features = math.prod(self.input_shape)
            return ["nn.Flatten()", pieces.weighted(features, channels), *self._after_stem()]
        if self.layout == "imagenet":
            convolution = pieces.weighted(self.input_shape[0], channels, 7, stride=2)
            return [convolution, *self._after_stem(), "nn.MaxPool2d(3, 2, padding=1)"]
        return [pieces.weighted(self.input_shape[0], channels, 3), *self._after_stem()]

    def _after_stem(self) -> list[str]:
        pieces = self.pieces
        if pieces.fixup:
            return ["Bias()", pieces.activation]
        dense = BLOCKS[pieces.architecture.block].join == "concatenate"
        if pieces.preactivation and not (dense and self.layout == "imagenet"):
            return []
        return pieces.normed_activation(self.plan.stem_channels)

    @property
    def averages(self) -> bool:
        """Whether the head takes the mean over all pixels."""
        return self.layout in ("cifar", "imagenet")

    def head(self) -> list[str]:
        """List the layers of the head."""
        pieces, channels = self.pieces, self.plan.out_channels
        if self.layout == "vgg":
            height, width = (size // 2**5 for size in self.input_shape[1:])
            layers = ["nn.Flatten()"]
            for units in (channels * height * width, _HIDDEN_UNITS):
                layers += [f"nn.Linear({units}, {_HIDDEN_UNITS})", pieces.activation, "nn.Dropout(0.5)"]
            return [*layers, f"nn.Linear({_HIDDEN_UNITS}, {self.classes})"]
        layers = pieces.normed_activation(channels) if pieces.preactivation else []
        layers += ["GlobalAverage()"] if self.averages else []
        layers += ["Bias()"] if pieces.fixup else []
        return [*layers, f"nn.Linear({channels}, {self.classes})"]
