"""What a block and a shortcut are, as torch-free values, and the registries that hold them.

A study is validated from these alone; the classes behind the dotted paths are imported when a network is
built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from archsearch.errors import ArchitectureError

JoinName = Literal["none", "add", "gate", "concatenate"]
FormName = Literal["basic", "bottleneck", "single", "linear"]

_FORMS_OF_LAYOUT: Mapping[str, tuple[FormName, ...]] = {
    "cifar": ("basic", "bottleneck"),
    "imagenet": ("basic", "bottleneck"),
    "vgg": ("single",),
    "mlp": ("linear",),
}


@dataclass(frozen=True)
class BranchForm:
    """One form of a block's branch.

    Attributes:
        path: Dotted path of the branch class, ``package.module:Class``; called with (plan, layers).
        layers: Weighted layers of one block, by which depth is counted.
        expansion: Channels that the branch gives out, in multiples of its stage's width.
    """

    path: str
    layers: int
    expansion: int = 1


@dataclass(frozen=True)
class BlockDefinition:
    """A kind of block: its branch, its join, and the fields that it uses.

    Attributes:
        name: The value of the field `block`.
        join: How shortcut and branch meet; blocks with ``add`` or ``gate`` have a shortcut.
        forms: ``basic`` and ``bottleneck`` serve the layouts cifar and imagenet, ``single`` (one convolution)
            vgg, ``linear`` mlp. A form that is missing cannot be asked for.
        fields: Used among preactivation, cardinality, group_width, compression, drop_path and stride_in.
        fixed: Fields that have one value only in this block, as preactivation in dense.
    """

    name: str
    join: JoinName
    forms: Mapping[FormName, BranchForm]
    fields: frozenset[str] = frozenset()
    fixed: Mapping[str, bool] = field(default_factory=dict)

    @property
    def layouts(self) -> tuple[str, ...]:
        """The layouts for which there is a form."""
        return tuple(name for name, forms in _FORMS_OF_LAYOUT.items() if any(f in self.forms for f in forms))

    @property
    def has_shortcut(self) -> bool:
        """Whether something goes round the branch that the field `shortcut` chooses."""
        return self.join in ("add", "gate")

    def form_name(self, layout: str, bottleneck: bool | None) -> FormName:
        """Name the form that a layout takes; `bottleneck` chooses where there are two."""
        basic, *rest = _FORMS_OF_LAYOUT[layout]
        return rest[0] if rest and bottleneck else basic


@dataclass(frozen=True)
class ShortcutDefinition:
    """What happens to the input on its way round the branch.

    Attributes:
        name: The value of the field `shortcut`.
        path: Dotted path of a class or function, ``package.module:name``; called with (plan, layers).
        joins: The joins with which it makes sense.
        fields: Fields that it uses: ``gate_bias`` or none.
        pads: Whether it adapts dimensions by adding zero channels, and so cannot reduce them.
    """

    name: str
    path: str
    joins: tuple[JoinName, ...] = ("add",)
    fields: frozenset[str] = frozenset()
    pads: bool = False


_blocks: dict[str, BlockDefinition] = {}
_shortcuts: dict[str, ShortcutDefinition] = {}
BLOCKS: Mapping[str, BlockDefinition] = MappingProxyType(_blocks)
SHORTCUTS: Mapping[str, ShortcutDefinition] = MappingProxyType(_shortcuts)


def register_block(definition: BlockDefinition) -> None:
    """Make a block known by its name; repeating the same definition changes nothing.

    Raises:
        ArchitectureError: Another block has this name, or the definition has no form.
    """
    if not definition.layouts:
        raise ArchitectureError("must have at least one form", path="block", got=definition.name)
    if _blocks.setdefault(definition.name, definition) != definition:
        raise ArchitectureError(
            "must have a name of its own",
            path="block",
            got=definition.name,
            fix="Rename one of the two blocks.",
        )


def register_shortcut(definition: ShortcutDefinition) -> None:
    """Make a shortcut known by its name; repeating the same definition changes nothing.

    Raises:
        ArchitectureError: Another shortcut has this name.
    """
    if _shortcuts.setdefault(definition.name, definition) != definition:
        raise ArchitectureError(
            "must have a name of its own",
            path="shortcut",
            got=definition.name,
            fix="Rename one of the two shortcuts.",
        )
