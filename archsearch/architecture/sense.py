"""What makes no sense although each field by itself is right."""

from __future__ import annotations

from archsearch.architecture.definitions import BLOCKS, SHORTCUTS
from archsearch.architecture.plan import plan_network
from archsearch.architecture.spec import Architecture
from archsearch.errors import ArchitectureError


def check_sense(architecture: Architecture) -> None:
    """Check what only the resolved fields together can show.

    Raises:
        ArchitectureError: The fields make no sense together.
    """
    _check_initialization(architecture)
    shortcut = architecture.shortcut
    plan = plan_network(architecture)
    if shortcut is not None and SHORTCUTS[shortcut].pads:
        for block in plan.kinds:
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
