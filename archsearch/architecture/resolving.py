"""Given fields -> Architecture: checked, and the others filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from archsearch.architecture.definitions import BLOCKS
from archsearch.architecture.depth import STAGES, DepthRule, depth_rule
from archsearch.architecture.fields import FIELDS, check_fields
from archsearch.architecture.sense import check_sense
from archsearch.architecture.spec import Architecture
from archsearch.architecture.structure import decide_structure, unused_fields, used_fields
from archsearch.errors import ArchitectureError

# The deepest published ones have some 130.
_MOST_CONCATENATED = 1000
_DEFAULT_DEPTH = 20


def resolve_architecture(fields: Mapping[str, Any], *, strict: bool = True) -> Architecture:
    """Check the given fields, fill in the defaults, and return the architecture.

    Args:
        fields: By name, as in YAML; one that is None counts as not given.
        strict: Whether a field that the block and layout do not use is an error; otherwise it is dropped.

    Raises:
        ArchitectureError: A field is unknown, has a wrong value, or makes no sense beside the others.
    """
    given = check_fields(fields)
    resolved = decide_structure(given)
    unused = unused_fields(given, resolved)
    if strict and unused:
        _refuseunused_fields(unused[0], given, resolved)
    given = {name: value for name, value in given.items() if name not in unused}
    resolved |= {name: value for name, value in given.items() if name not in resolved}
    _fill_defaults(resolved)
    architecture = Architecture(**_with_depth(resolved, given))
    check_sense(architecture)
    return architecture


def dropped_fields(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the given fields that this block and layout do not use, in the order given.

    Raises:
        ArchitectureError: A field is unknown or holds what it may not.
    """
    given = check_fields(fields)
    return unused_fields(given, decide_structure(given))


def nearest_depths(fields: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the valid depths nearest to ``fields["depth"]`` (20 where it is missing), nearest first.

    Two at most; of two as near the smaller comes first. Empty where a form has no published depth.
    `blocks` is ignored.

    Raises:
        ArchitectureError: A field is unknown or holds what it may not.
    """
    given = check_fields(fields)
    return _rule(decide_structure(given)).nearest(given.get("depth", _DEFAULT_DEPTH))


def _refuseunused_fields(name: str, given: Mapping[str, Any], resolved: Mapping[str, Any]) -> NoReturn:
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
    used = used_fields(resolved)
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
        most = FIELDS["depth"].maximum
        if most is not None and counted > most:
            raise ArchitectureError(f"must make a depth of at most {most:g}", path="blocks", got=counted)
        if depth is not None and depth != counted:
            raise ArchitectureError(
                f"must agree with blocks, which make {counted}",
                path="depth",
                got=depth,
                fix="Give one of the two.",
            )
        _check_growth(resolved, blocks, "blocks", list(blocks))
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
    _check_growth(resolved, found, "depth", depth)
    return resolved | {"depth": depth, "blocks": found}


def _check_growth(resolved: Mapping[str, Any], blocks: tuple[int, ...], path: str, got: Any) -> None:
    """Refuse what could hardly be counted: where blocks concatenate, no two of them have the same input."""
    block = resolved["block"]
    if BLOCKS[block].join == "concatenate" and sum(blocks) > _MOST_CONCATENATED:
        raise ArchitectureError(
            f"must make at most {_MOST_CONCATENATED:,} {block} blocks, not {sum(blocks):,}: each adds "
            "channels to the input of all that follow",
            path=path,
            got=got,
            fix="Choose a smaller depth, or another block.",
        )


def _check_blocks(blocks: tuple[int, ...], layout: str) -> None:
    stages = STAGES[layout]
    if len(blocks) != stages:
        plural = "entry" if stages == 1 else "entries"
        raise ArchitectureError(
            f"must have {stages} {plural} in layout {layout}, one a stage", path="blocks", got=list(blocks)
        )
