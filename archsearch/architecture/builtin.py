"""The blocks and shortcuts that come with archsearch, registered the way a plugin's are."""

from __future__ import annotations

from archsearch.architecture.definitions import (
    BlockDefinition,
    BranchForm,
    ShortcutDefinition,
    register_block,
    register_shortcut,
)

_BRANCHES = "archsearch.models.branches"
_SHORTCUTS = "archsearch.models.shortcuts"

_BASIC = BranchForm(f"{_BRANCHES}:Basic", layers=2)
_BOTTLENECK = BranchForm(f"{_BRANCHES}:Bottleneck", layers=3, expansion=4)
_SINGLE = BranchForm(f"{_BRANCHES}:Single", layers=1)
_LINEAR = BranchForm(f"{_BRANCHES}:Linear", layers=1)

BUILTIN_BLOCKS = (
    BlockDefinition(
        name="plain",
        join="none",
        forms={"basic": _BASIC, "bottleneck": _BOTTLENECK, "single": _SINGLE, "linear": _LINEAR},
        fields=frozenset({"preactivation", "stride_in"}),
    ),
    BlockDefinition(
        name="residual",
        join="add",
        forms={"basic": _BASIC, "bottleneck": _BOTTLENECK, "linear": _LINEAR},
        fields=frozenset({"preactivation", "drop_path", "stride_in"}),
    ),
    BlockDefinition(
        name="dense",
        join="concatenate",
        forms={
            "basic": BranchForm(f"{_BRANCHES}:Dense", layers=1),
            "bottleneck": BranchForm(f"{_BRANCHES}:DenseBottleneck", layers=2),
            "linear": _LINEAR,
        },
        fields=frozenset({"compression"}),
        fixed={"preactivation": True},
    ),
    BlockDefinition(
        name="highway",
        join="gate",
        forms={"basic": _BASIC, "bottleneck": _BOTTLENECK, "linear": _LINEAR},
        fields=frozenset({"preactivation", "stride_in"}),
    ),
    BlockDefinition(
        name="grouped",
        join="add",
        forms={"bottleneck": _BOTTLENECK},
        fields=frozenset({"preactivation", "cardinality", "group_width", "drop_path", "stride_in"}),
        fixed={"bottleneck": True},
    ),
)

BUILTIN_SHORTCUTS = (
    ShortcutDefinition("pad", f"{_SHORTCUTS}:pad", joins=("add", "gate"), pads=True),
    ShortcutDefinition("projection", f"{_SHORTCUTS}:projection", joins=("add", "gate")),
    ShortcutDefinition("projection_all", f"{_SHORTCUTS}:projection_all", joins=("add", "gate")),
    ShortcutDefinition("scaled", f"{_SHORTCUTS}:Scaled", pads=True),
    ShortcutDefinition("gate", f"{_SHORTCUTS}:Gated", fields=frozenset({"gate_bias"}), pads=True),
    ShortcutDefinition("conv", f"{_SHORTCUTS}:convolution"),
    ShortcutDefinition("dropout", f"{_SHORTCUTS}:DroppedOut", pads=True),
)


def register_builtin() -> None:
    """Register all of them."""
    for block in BUILTIN_BLOCKS:
        register_block(block)
    for shortcut in BUILTIN_SHORTCUTS:
        register_shortcut(shortcut)
