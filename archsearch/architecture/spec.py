"""Architecture: the frozen description of one network."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One network, every field resolved; made by `resolve_architecture`.

    A field that this block and layout do not use is None. `blocks` and `depth` are always both there. `width`
    and `group_width` may be real: stage i then has ``round(width * 2**i)`` channels.

    Attributes:
        depth: Weighted layers on the main path; projections are never counted.
        blocks: Blocks of each stage.
        initialization_std: Standard deviation of ``initialization: normal``.
    """

    block: str
    layout: str
    depth: int
    blocks: tuple[int, ...]
    width: float
    stem_width: int | None = None
    bottleneck: bool | None = None
    preactivation: bool | None = None
    shortcut: str | None = None
    cardinality: int | None = None
    group_width: float | None = None
    compression: float | None = None
    gate_bias: float | None = None
    norm: str = "batch"
    activation: str = "relu"
    initialization: str = "he"
    initialization_std: float | None = None
    drop_path: float | None = None
    stride_in: str | None = None

    @cached_property
    def id(self) -> str:
        """Canonical id: networks that are built the same have the same one, whatever their fields say."""
        from archsearch.architecture.normal_form import canonical_id

        return canonical_id(self)

    @property
    def name(self) -> str:
        """Short and readable, not unique: ``residual-56 w16 pad``."""
        words = [f"{self.block}-{self.depth}"]
        if self.layout != "cifar":
            words.append(self.layout)
        if self.cardinality is not None:
            words.append(f"{self.cardinality}x{self.group_width:g}")
        words.append(f"w{self.width:g}")
        if self.shortcut is not None:
            words.append(self.shortcut)
        return " ".join(words)

    def to_mapping(self) -> dict[str, Any]:
        """Return the used fields, ready for JSON and YAML; resolving them gives an equal architecture."""
        mapping = {field.name: getattr(self, field.name) for field in fields(self)}
        mapping["blocks"] = list(self.blocks)
        return {name: value for name, value in mapping.items() if value is not None}
