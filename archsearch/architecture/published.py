"""Published networks by name, each with its paper.

Depth is as counted here, projections left out: WRN-28-10 is ``depth: 26``.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from archsearch.architecture.resolving import resolve_architecture
from archsearch.architecture.spec import Architecture
from archsearch.errors import ArchitectureError

_NATURAL_INPUT: Mapping[str, tuple[tuple[int, ...], int]] = {
    "cifar": ((3, 32, 32), 10),
    "imagenet": ((3, 224, 224), 1000),
    "vgg": ((3, 224, 224), 1000),
    "mlp": ((784,), 10),
}


@dataclass(frozen=True)
class Paper:
    """Where a network was published."""

    authors: str
    year: int
    arxiv: str


RESNET = Paper("He, Zhang, Ren, Sun", 2015, "1512.03385")
PRERESNET = Paper("He, Zhang, Ren, Sun", 2016, "1603.05027")
WIDE = Paper("Zagoruyko, Komodakis", 2016, "1605.07146")
DENSENET = Paper("Huang, Liu, van der Maaten, Weinberger", 2016, "1608.06993")
RESNEXT = Paper("Xie, Girshick, Dollár, Tu, He", 2016, "1611.05431")
HIGHWAY = Paper("Srivastava, Greff, Schmidhuber", 2015, "1507.06228")
VGG = Paper("Simonyan, Zisserman", 2014, "1409.1556")


def published_names() -> tuple[str, ...]:
    """Return the names that `published_architecture` knows."""
    return tuple(_networks())


def published_architecture(name: str) -> Architecture:
    """Return a published network.

    Raises:
        ArchitectureError: There is none of this name.
    """
    return resolve_architecture(_network(name)[0])


def published_paper(name: str) -> Paper:
    """Return the paper that a published network comes from.

    Raises:
        ArchitectureError: There is none of this name.
    """
    return _network(name)[1]


def natural_input(architecture: Architecture) -> tuple[tuple[int, ...], int]:
    """Return the input shape and the number of classes for which a layout was published."""
    return _NATURAL_INPUT[architecture.layout]


def _network(name: str) -> tuple[Mapping[str, Any], Paper]:
    networks = _networks()
    if name in networks:
        return networks[name]
    close = difflib.get_close_matches(str(name), networks, n=3)
    fix = f"Did you mean {' or '.join(close)}?" if close else f"There are: {', '.join(networks)}."
    raise ArchitectureError("must be the name of a published network", path="architecture", got=name, fix=fix)


@cache
def _networks() -> dict[str, tuple[Mapping[str, Any], Paper]]:
    return {**_cifar(), **_mlp(), **_imagenet()}


def _cifar() -> dict[str, tuple[Mapping[str, Any], Paper]]:
    found: dict[str, tuple[Mapping[str, Any], Paper]] = {}
    for depth in (20, 32, 44, 56, 110, 1202):
        found[f"resnet{depth}"] = {"block": "residual", "depth": depth}, RESNET
    for depth in (20, 32, 44, 56, 110, 1202):
        found[f"plain{depth}"] = {"block": "plain", "depth": depth}, RESNET
    found["preresnet110"] = {"depth": 110, "preactivation": True}, PRERESNET
    for depth in (164, 1001):
        found[f"preresnet{depth}"] = {"depth": depth, "preactivation": True, "bottleneck": True}, PRERESNET
    for depth, factor in ((16, 8), (28, 10), (40, 4)):
        # the paper counts the two projections
        wide = {"depth": depth - 2, "width": 16 * factor, "stem_width": 16}
        found[f"wrn-{depth}-{factor}"] = wide | {"preactivation": True, "shortcut": "projection"}, WIDE
    for depth in (40, 100):
        found[f"densenet-{depth}-12"] = {"block": "dense", "depth": depth, "width": 12}, DENSENET
    for depth, growth in ((100, 12), (190, 40)):
        compressed = {
            "block": "dense",
            "depth": depth,
            "width": growth,
            "bottleneck": True,
            "compression": 0.5,
        }
        found[f"densenet-bc-{depth}-{growth}"] = compressed, DENSENET
    for cardinality in (8, 16):
        grouped = {
            "block": "grouped",
            "depth": 29,
            "width": 64,
            "cardinality": cardinality,
            "group_width": 64,
        }
        found[f"resnext29-{cardinality}x64d"] = grouped, RESNEXT
    return found


def _mlp() -> dict[str, tuple[Mapping[str, Any], Paper]]:
    found: dict[str, tuple[Mapping[str, Any], Paper]] = {}
    # section 3.1: 50 units highway have about the parameters of 71 units plain
    for block, width in (("highway", 50), ("plain", 71)):
        for depth in (10, 20, 50, 100):
            flat = {"layout": "mlp", "norm": "none", "block": block, "depth": depth, "width": width}
            found[f"{block}-mlp-{depth}"] = flat, HIGHWAY
    return found


def _imagenet() -> dict[str, tuple[Mapping[str, Any], Paper]]:
    found: dict[str, tuple[Mapping[str, Any], Paper]] = {}
    shared = {"layout": "imagenet", "width": 64}
    for depth in (18, 34, 50, 101, 152):
        found[f"resnet{depth}"] = shared | {"depth": depth, "bottleneck": depth >= 50}, RESNET
    for depth in (18, 34):
        found[f"plain{depth}"] = shared | {"block": "plain", "depth": depth}, RESNET
    wide = {"block": "grouped", "depth": 50, "cardinality": 1, "group_width": 128}
    found["wide-resnet50-2"] = shared | wide, WIDE
    for depth, cardinality, group_width in ((50, 32, 4), (101, 32, 8)):
        grouped = {"block": "grouped", "depth": depth, "cardinality": cardinality, "group_width": group_width}
        found[f"resnext{depth}-{cardinality}x{group_width}d"] = shared | grouped, RESNEXT
    for depth, growth in ((121, 32), (161, 48), (169, 32), (201, 32)):
        dense = {"block": "dense", "layout": "imagenet", "depth": depth, "width": growth}
        found[f"densenet{depth}"] = dense | {"bottleneck": True, "compression": 0.5}, DENSENET
    for depth in (11, 13, 16, 19):
        for name, norm in ((f"vgg{depth}", "none"), (f"vgg{depth}-bn", "batch")):
            found[name] = {"block": "plain", "layout": "vgg", "depth": depth, "width": 64, "norm": norm}, VGG
    return found
