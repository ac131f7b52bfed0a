"""Parameters and MACs by pencil and paper: a tally of layers that shares no code with the builders."""

from __future__ import annotations

import math
from typing import Any


class Tally:
    """Adds up layers while it follows the resolution of one image."""

    def __init__(self, fields: dict[str, Any], height: int, width: int) -> None:
        self.fields = fields
        self.height, self.width = height, width
        self.parameters = self.macs = 0

    def shrink(self, by: str) -> None:
        half = (lambda n: -(-n // 2)) if by == "up" else (lambda n: n // 2)
        self.height, self.width = half(self.height), half(self.width)

    def conv(self, inputs: int, outputs: int, kernel: int = 1, groups: int = 1, bias: bool = False) -> None:
        weights = kernel * kernel * inputs * outputs // groups
        self.parameters += weights + (outputs if bias else 0)
        self.macs += weights * self.height * self.width

    def linear(self, inputs: int, outputs: int) -> None:
        self.parameters += inputs * outputs + outputs
        self.macs += inputs * outputs

    def norm(self, channels: int) -> None:
        self.parameters += 0 if self.fields["norm"] == "none" else 2 * channels

    def scalars(self, count: int) -> None:
        self.parameters += count if self.fields["initialization"] == "fixup" else 0


def reference_counts(fields: dict[str, Any], shape: tuple[int, ...], classes: int) -> tuple[int, int]:
    """Count the network that these resolved fields describe."""
    image = shape if len(shape) == 3 else (shape[0], 1, 1)
    tally = Tally(fields, image[1], image[2])
    if fields["layout"] == "mlp":
        _mlp(tally, math.prod(shape), classes)
    elif fields["layout"] == "vgg":
        _vgg(tally, image[0], classes)
    elif fields["block"] == "dense":
        _dense(tally, image[0], classes)
    else:
        _convolutional(tally, image[0], classes)
    return tally.parameters, tally.macs


def _stem(tally: Tally, channels: int, normed: bool) -> int:
    stem = tally.fields["stem_width"]
    if tally.fields["layout"] == "imagenet":
        tally.shrink("up")
        tally.conv(channels, stem, 7)
        tally.shrink("up")
    else:
        tally.conv(channels, stem, 3)
    if normed:
        tally.norm(stem)
    tally.scalars(1)
    return stem


def _convolutional(tally: Tally, image_channels: int, classes: int) -> None:
    fields = tally.fields
    preactivation, shortcut = fields["preactivation"], fields.get("shortcut")
    channels = _stem(tally, image_channels, normed=not preactivation)
    for stage, count in enumerate(fields["blocks"]):
        plain_width = round(fields["width"] * 2**stage)
        inner, groups = plain_width, 1
        if fields["block"] == "grouped":
            groups = fields["cardinality"]
            inner = groups * round(fields["group_width"] * 2**stage)
        for block in range(count):
            out = 4 * plain_width if fields["bottleneck"] else plain_width
            strided = stage > 0 and block == 0
            changes = strided or channels != out
            if preactivation:
                tally.norm(channels)
            if fields["bottleneck"]:
                early = strided and fields.get("stride_in") == "1x1"
                if early:
                    tally.shrink("up")
                tally.conv(channels, inner)
                if strided and not early:
                    tally.shrink("up")
                tally.conv(inner, inner, 3, groups)
                tally.conv(inner, out)
                tally.norm(inner)
                tally.norm(inner)
                tally.scalars(4 + 3)
            else:
                if strided:
                    tally.shrink("up")
                tally.conv(channels, inner, 3)
                tally.conv(inner, out, 3)
                tally.norm(inner)
                tally.scalars(4 + 1)
            if not preactivation:
                tally.norm(out)
            gates = (fields["block"] == "highway") + (shortcut == "gate")
            for _ in range(gates):
                tally.conv(channels, out, bias=True)
            projected = shortcut in ("projection_all", "conv") or (shortcut == "projection" and changes)
            if projected:
                tally.conv(channels, out)
                if shortcut != "conv" and not preactivation:
                    tally.norm(out)
            channels = out
    if preactivation:
        tally.norm(channels)
    tally.scalars(1)
    tally.linear(channels, classes)


def _dense(tally: Tally, image_channels: int, classes: int) -> None:
    fields = tally.fields
    growth = round(fields["width"])
    channels = _stem(tally, image_channels, normed=fields["layout"] == "imagenet")
    for stage, count in enumerate(fields["blocks"]):
        for _ in range(count):
            tally.norm(channels)
            if fields["bottleneck"]:
                tally.conv(channels, 4 * growth)
                tally.norm(4 * growth)
                tally.conv(4 * growth, growth, 3)
            else:
                tally.conv(channels, growth, 3)
            channels += growth
        tally.norm(channels)
        if stage < len(fields["blocks"]) - 1:
            kept = math.floor(fields["compression"] * channels)
            tally.conv(channels, kept)
            channels = kept
            tally.shrink("down")
    tally.linear(channels, classes)


def _vgg(tally: Tally, channels: int, classes: int) -> None:
    for count, multiple in zip(tally.fields["blocks"], (1, 2, 4, 8, 8), strict=True):
        out = round(tally.fields["width"] * multiple)
        for _ in range(count):
            tally.conv(channels, out, 3, bias=True)
            tally.norm(out)
            channels = out
        tally.shrink("down")
    tally.linear(channels * tally.height * tally.width, 4096)
    tally.linear(4096, 4096)
    tally.linear(4096, classes)


def _mlp(tally: Tally, features: int, classes: int) -> None:
    fields = tally.fields
    units, block, shortcut = round(fields["width"]), fields["block"], fields.get("shortcut")
    tally.linear(features, units)
    tally.norm(units)
    inputs = units
    for _ in range(fields["blocks"][0]):
        tally.linear(inputs, units)
        # one norm a layer, before it or after it; dense norms all that came so far
        if block == "dense":
            inputs += units
        tally.norm(inputs)
        for _ in range((block == "highway") + (shortcut == "gate")):
            tally.linear(units, units)
        if shortcut in ("projection_all", "conv"):
            tally.linear(units, units)
            if shortcut == "projection_all" and not fields["preactivation"]:
                tally.norm(units)
    tally.linear(inputs, classes)
