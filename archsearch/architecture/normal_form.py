"""The normal form: one description for all architectures that build the same network, and its hash."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from archsearch.architecture.definitions import BLOCKS
from archsearch.architecture.plan import NetworkPlan, plan_network
from archsearch.architecture.spec import Architecture

_SMALLEST_GROUP = 4
_MOST_GROUPS = 32


def norm_groups(channels: int) -> int:
    """Groups of a group norm: the most that divide the channels, up to 32, of at least 4 channels each."""
    return max(
        groups
        for groups in range(1, min(_MOST_GROUPS, channels) + 1)
        if channels % groups == 0 and (groups == 1 or channels // groups >= _SMALLEST_GROUP)
    )


def normal_form(architecture: Architecture) -> Architecture:
    """Return the architecture that stands for all those that build the same network.

    Networks are built from it, so that an equal id means equal names of weights, too.
    """
    normal, plan = architecture, plan_network(architecture)
    if normal.block == "grouped" and _is_residual(normal, plan):
        normal = replace(normal, block="residual", cardinality=None, group_width=None)
    if normal.shortcut is not None:
        normal = replace(normal, shortcut=_normal_shortcut(normal, plan))
    if normal.preactivation and _is_order_indifferent(normal, plan):
        normal = replace(normal, preactivation=False)
    if normal.norm == "group" and all(
        norm_groups(channels) == 1 for channels in _normed_channels(normal, plan)
    ):
        normal = replace(normal, norm="layer")
    return normal


def canonical_id(architecture: Architecture) -> str:
    """Hash the normal form: ``v1:`` and 16 hexadecimal digits.

    What only serves to compute channels (width, compression) is replaced by the channels. A field that a
    later version adds must be left out here while it is neutral, or old journals would lose their ids.
    """
    normal = normal_form(architecture)
    plan = plan_network(normal)
    mapping = normal.to_mapping()
    for name in ("depth", "width", "stem_width", "group_width", "compression"):
        mapping.pop(name, None)
    mapping["stem"] = plan.stem_channels
    mapping["stages"] = [_stage_summary(plan, index) for index in range(len(plan.stages))]
    text = json.dumps(mapping, sort_keys=True, separators=(",", ":"))
    return "v1:" + hashlib.sha256(text.encode()).hexdigest()[:16]


def _stage_summary(plan: NetworkPlan, index: int) -> list[Any]:
    last = plan.stages[index][-1]
    kept = plan.transitions[index] if index < len(plan.transitions) else 0
    return [last.inner_channels, last.out_channels, kept]


def _is_residual(architecture: Architecture, plan: NetworkPlan) -> bool:
    if architecture.cardinality != 1:
        return False
    ungrouped = plan_network(replace(architecture, block="residual", cardinality=None, group_width=None))
    return ungrouped == plan


def _is_order_indifferent(architecture: Architecture, plan: NetworkPlan) -> bool:
    """Whether pre-activation builds what the original order builds.

    Norm and activation then only move from the end of one block to the start of the next, which nothing else
    reads in between: there is no shortcut, or there is no norm and every shortcut is projected.
    """
    if architecture.layout == "imagenet" and not (
        # the stem's pooling lies in between; it commutes with what never falls
        architecture.norm == "none" and architecture.activation in ("relu", "tanh")
    ):
        return False
    if architecture.block == "plain":
        return True
    changes_always = all(block.changes_dimensions for block in plan.kinds)
    projected = architecture.shortcut == "projection_all" or (
        architecture.shortcut == "projection" and changes_always
    )
    return BLOCKS[architecture.block].join == "add" and architecture.norm == "none" and projected


def _normal_shortcut(architecture: Architecture, plan: NetworkPlan) -> str | None:
    shortcut = architecture.shortcut
    changes = [block.changes_dimensions for block in plan.kinds]
    no_norm_follows = architecture.norm == "none" or architecture.preactivation
    if shortcut == "conv" and no_norm_follows:
        shortcut = "projection_all"
    if shortcut == "projection_all" and all(changes):
        shortcut = "projection"
    if shortcut == "projection" and not any(changes):
        shortcut = "pad"
    return shortcut


def _normed_channels(architecture: Architecture, plan: NetworkPlan) -> set[int]:
    channels = {plan.out_channels, *plan.transitions}
    if plan.stem_channels:
        channels.add(plan.stem_channels)
    for block in plan.kinds:
        channels |= {block.inner_channels, block.out_channels}
        if BLOCKS[architecture.block].join == "concatenate" or architecture.preactivation:
            channels.add(block.in_channels)
    return channels - {0}
