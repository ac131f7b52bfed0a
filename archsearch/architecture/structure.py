"""Which fields a block and layout use, and the fields on which that depends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archsearch.architecture.definitions import BLOCKS, SHORTCUTS, BlockDefinition
from archsearch.errors import ArchitectureError

_ALWAYS_USED = frozenset(
    {"block", "layout", "depth", "blocks", "width", "norm", "activation", "initialization"}
)
_CONVOLUTIONAL = frozenset(
    {"preactivation", "drop_path", "cardinality", "group_width", "compression", "stride_in"}
)
_FIELDS_OF_LAYOUT = {
    "cifar": _CONVOLUTIONAL - {"stride_in"},
    "imagenet": _CONVOLUTIONAL,
    "vgg": frozenset[str](),
    "mlp": frozenset({"preactivation", "drop_path"}),
}


def decide_structure(given: Mapping[str, Any]) -> dict[str, Any]:
    """Decide the fields on which the use of other fields depends.

    Raises:
        ArchitectureError: The layout has no such block, or the block no such shortcut.
    """
    block, layout = given.get("block", "residual"), given.get("layout", "cifar")
    definition = BLOCKS[block]
    if layout not in definition.layouts:
        able = ", ".join(name for name, other in BLOCKS.items() if layout in other.layouts)
        raise ArchitectureError(
            f"must be one of {able} in layout {layout}",
            path="block",
            got=block,
            fix="Or choose another layout.",
        )
    resolved: dict[str, Any] = {"block": block, "layout": layout}
    resolved["bottleneck"] = _bottleneck(definition, given, layout)
    resolved["initialization"] = given.get("initialization", "he")
    if definition.has_shortcut:
        resolved["shortcut"] = given.get("shortcut", _default_shortcut(resolved))
        _check_join(definition, resolved["shortcut"])
    fixed = {name: value for name, value in definition.fixed.items() if name in _FIELDS_OF_LAYOUT[layout]}
    return resolved | fixed


def _bottleneck(definition: BlockDefinition, given: Mapping[str, Any], layout: str) -> bool | None:
    if layout not in ("cifar", "imagenet"):
        return None
    if not {"basic", "bottleneck"} <= set(definition.forms):
        return "bottleneck" in definition.forms
    # dense networks for imagenet have been published with bottlenecks only
    only_published = layout == "imagenet" and definition.join == "concatenate"
    chosen: bool = given.get("bottleneck", only_published)
    return chosen


def _default_shortcut(resolved: Mapping[str, Any]) -> str:
    # as published: A in the basic cifar networks (and no choice in an mlp), B elsewhere
    basic_cifar = resolved["layout"] == "cifar" and not resolved["bottleneck"]
    return "pad" if basic_cifar or resolved["layout"] == "mlp" else "projection"


def _check_join(definition: BlockDefinition, shortcut: str) -> None:
    if definition.join not in SHORTCUTS[shortcut].joins:
        able = ", ".join(name for name, other in SHORTCUTS.items() if definition.join in other.joins)
        raise ArchitectureError(f"must be one of {able} for {definition.name}", path="shortcut", got=shortcut)


def used_fields(resolved: Mapping[str, Any]) -> set[str]:
    """Name the fields that a decided structure uses."""
    definition, layout = BLOCKS[resolved["block"]], resolved["layout"]
    used = set(_ALWAYS_USED) | (definition.fields & _FIELDS_OF_LAYOUT[layout])
    if layout in ("cifar", "imagenet"):
        used |= {"stem_width", "bottleneck"}
    if not resolved["bottleneck"]:
        used -= {"stride_in"}
    if definition.has_shortcut:
        used |= {"shortcut"} | SHORTCUTS[resolved["shortcut"]].fields
    if definition.join == "gate":
        used |= {"gate_bias"}
    if resolved["initialization"] == "normal":
        used |= {"initialization_std"}
    return used | (set(definition.fixed) & set(resolved))


def unused_fields(given: Mapping[str, Any], resolved: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the given fields that are not used, or that have another value than the only one."""
    used = used_fields(resolved)
    fixed = {"bottleneck", *BLOCKS[resolved["block"]].fixed}
    return tuple(
        name
        for name, value in given.items()
        if name not in used or (name in fixed and value != resolved.get(name, value))
    )
