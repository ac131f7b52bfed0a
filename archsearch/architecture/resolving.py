"""Given fields -> Architecture: which are used, what the others default to, and what makes no sense."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from archsearch.architecture.definitions import BLOCKS, SHORTCUTS, BlockDefinition
from archsearch.architecture.depth import STAGES, DepthRule, depth_rule
from archsearch.architecture.fields import check_fields
from archsearch.architecture.plan import plan_network
from archsearch.architecture.spec import Architecture
from archsearch.errors import ArchitectureError

_DEFAULT_DEPTH = 20
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


def resolve_architecture(fields: Mapping[str, Any], *, strict: bool = True) -> Architecture:
    """Check the given fields, fill in the defaults, and return the architecture.

    Args:
        fields: By name, as in YAML; one that is None counts as not given.
        strict: Whether a field that the block and layout do not use is an error; otherwise it is dropped.

    Raises:
        ArchitectureError: A field is unknown, has a wrong value, or makes no sense beside the others.
    """
    given = check_fields(fields)
    resolved = _with_structure(given)
    unused = _unused(given, resolved)
    if strict and unused:
        _refuse_unused(unused[0], given, resolved)
    given = {name: value for name, value in given.items() if name not in unused}
    resolved |= {name: value for name, value in given.items() if name not in resolved}
    _fill_defaults(resolved)
    architecture = Architecture(**_with_depth(resolved, given))
    _check_sense(architecture)
    return architecture


def dropped_fields(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the given fields that this block and layout do not use, in the order given.

    Raises:
        ArchitectureError: A field is unknown or holds what it may not.
    """
    given = check_fields(fields)
    return _unused(given, _with_structure(given))


def nearest_depths(fields: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the valid depths nearest to ``fields["depth"]`` (20 where it is missing), nearest first.

    Two at most; of two as near the smaller comes first. Empty where a form has no published depth.
    `blocks` is ignored.

    Raises:
        ArchitectureError: A field is unknown or holds what it may not.
    """
    given = check_fields(fields)
    return _rule(_with_structure(given)).nearest(given.get("depth", _DEFAULT_DEPTH))


def _with_structure(given: Mapping[str, Any]) -> dict[str, Any]:
    """Decide the fields on which the use of other fields depends."""
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


def _used(resolved: Mapping[str, Any]) -> set[str]:
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


def _unused(given: Mapping[str, Any], resolved: Mapping[str, Any]) -> tuple[str, ...]:
    used = _used(resolved)
    fixed = {"bottleneck", *BLOCKS[resolved["block"]].fixed}
    return tuple(
        name
        for name, value in given.items()
        if name not in used or (name in fixed and value != resolved.get(name, value))
    )


def _refuse_unused(name: str, given: Mapping[str, Any], resolved: Mapping[str, Any]) -> NoReturn:
    block, layout = resolved["block"], resolved["layout"]
    if resolved.get(name) is not None:
        only = str(resolved[name]).lower()
        raise ArchitectureError(f"must be {only} for {block}, which has one form", path=name, got=given[name])
    needs = {
        "stride_in": "imagenet bottlenecks",
        "gate_bias": "highway and shortcut: gate",
        "initialization_std": "initialization: normal",
    }.get(name)
    reason = f"it belongs to {needs}" if needs else f"{block} in layout {layout} does not use it"
    raise ArchitectureError(
        f"must be left out: {reason}",
        path=name,
        got=given[name],
        fix=f"Remove {name}, or choose another block.",
    )


def _fill_defaults(resolved: dict[str, Any]) -> None:
    defaults: dict[str, Any] = {
        "width": 16,
        "norm": "batch",
        "activation": "relu",
        "preactivation": False,
        "cardinality": 8,
        "compression": 1,
        "gate_bias": -2,
        "initialization_std": 0.01,
        "drop_path": 0,
        "stride_in": "3x3",
    }
    used = _used(resolved)
    for name, value in defaults.items():
        if name in used:
            resolved.setdefault(name, value)
    if "group_width" in used and "group_width" not in resolved:
        resolved["group_width"] = _default_group_width(resolved)
    if "stem_width" in used and "stem_width" not in resolved:
        resolved["stem_width"] = default_stem_width(resolved)


def _default_group_width(resolved: Mapping[str, Any]) -> int:
    width, cardinality = resolved["width"], resolved["cardinality"]
    group_width = 2 * width / cardinality
    if group_width != int(group_width):
        raise ArchitectureError(
            f"must divide twice the width ({2 * width:g})",
            path="cardinality",
            got=cardinality,
            fix="Choose another cardinality, or give group_width.",
        )
    return int(group_width)


def default_stem_width(fields: Mapping[str, Any]) -> int:
    """Channels of the stem as published for the family: the width, or for dense 16 or twice the growth."""
    width: float = fields["width"]
    if BLOCKS[fields["block"]].join != "concatenate":
        return round(width)
    # Huang et al. 2016: 16 channels, but 2k in DenseNet-BC and on ImageNet
    compressed = fields["bottleneck"] and fields["compression"] < 1
    return 2 * round(width) if compressed or fields["layout"] == "imagenet" else 16


def _rule(resolved: Mapping[str, Any]) -> DepthRule:
    return depth_rule(BLOCKS[resolved["block"]], resolved["layout"], resolved["bottleneck"])


def _with_depth(resolved: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    rule = _rule(resolved)
    depth, blocks = given.get("depth"), given.get("blocks")
    if blocks is not None:
        _check_blocks(blocks, resolved["layout"])
        counted = rule.depth(blocks)
        if depth is not None and depth != counted:
            raise ArchitectureError(
                f"must agree with blocks, which make {counted}",
                path="depth",
                got=depth,
                fix="Give one of the two.",
            )
        return resolved | {"depth": counted, "blocks": blocks}
    if depth is None:
        nearest = rule.nearest(_DEFAULT_DEPTH)
        if not nearest:
            raise ArchitectureError(
                f"must be given for {rule.described} blocks, which have no published depth",
                path="blocks",
                fix=f"Give {rule.stages} numbers.",
            )
        depth = nearest[0]
    found = rule.blocks(depth)
    if found is None:
        near = ", ".join(map(str, sorted(rule.nearest(depth))))
        fix = f"Nearest: {near}." if near else f"Give blocks: {rule.stages} numbers."
        raise ArchitectureError(rule.text, path="depth", got=depth, fix=fix)
    return resolved | {"depth": depth, "blocks": found}


def _check_blocks(blocks: tuple[int, ...], layout: str) -> None:
    stages = STAGES[layout]
    if len(blocks) != stages:
        plural = "entry" if stages == 1 else "entries"
        raise ArchitectureError(
            f"must have {stages} {plural} in layout {layout}, one a stage", path="blocks", got=list(blocks)
        )


def _check_sense(architecture: Architecture) -> None:
    _check_initialization(architecture)
    shortcut = architecture.shortcut
    plan = plan_network(architecture)
    if shortcut is not None and SHORTCUTS[shortcut].pads:
        for block in plan.blocks:
            if block.in_channels > block.out_channels:
                raise ArchitectureError(
                    f"must not be {shortcut} here: it cannot reduce {block.in_channels} channels to "
                    f"{block.out_channels}",
                    path="shortcut",
                    got=shortcut,
                    fix="Choose projection, or a smaller stem_width.",
                )
    if 0 in plan.transitions:
        raise ArchitectureError(
            "must keep at least one channel", path="compression", got=architecture.compression
        )


def _check_initialization(architecture: Architecture) -> None:
    name = architecture.initialization
    if name not in ("zero_gamma", "fixup"):
        return
    adds = BLOCKS[architecture.block].join == "add"
    rule = ""
    if not adds:
        able = " or ".join(other for other, definition in BLOCKS.items() if definition.join == "add")
        rule = f"must not be {name} for {architecture.block}: only {able} can begin at 0"
    elif architecture.preactivation:
        rule = f"must not be {name} with preactivation"
    elif name == "zero_gamma" and architecture.norm == "none":
        rule = "must not be zero_gamma without a norm"
    elif name == "fixup" and architecture.norm != "none":
        rule = "must not be fixup with a norm, which it replaces (norm: none)"
    elif name == "fixup" and architecture.layout == "mlp":
        rule = "must not be fixup in an mlp, whose branches have a single layer"
    if rule:
        raise ArchitectureError(rule, path="initialization", got=name, fix="The default is he.")
