"""The fields of an architecture: what each may hold, for validation, search spaces and JSON Schema."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from archsearch.architecture.definitions import BLOCKS, SHORTCUTS
from archsearch.errors import ArchitectureError

Kind = Literal["choice", "integer", "number", "boolean", "integers"]


@dataclass(frozen=True)
class Field:
    """One field: its kind, its bounds (inclusive), and what it means.

    Attributes:
        named: The choices, where they are fixed.
        registry: Where the choices come from otherwise, so that a plugin's appear once it is loaded.
    """

    name: str
    kind: Kind
    doc: str
    named: tuple[str, ...] = ()
    registry: Mapping[str, Any] | None = None
    minimum: float | None = None
    maximum: float | None = None

    @property
    def choices(self) -> tuple[str, ...]:
        """The values of a choice; empty for the other kinds."""
        return self.named if self.registry is None else tuple(self.registry)

    def check(self, value: Any) -> Any:
        """Return the value in its canonical type.

        Raises:
            ArchitectureError: It is not one that this field may hold.
        """
        if self.kind == "choice":
            return self._choice(value)
        if self.kind == "boolean":
            if not isinstance(value, bool):
                raise self._wrong("must be true or false", value)
            return value
        if self.kind == "integers":
            if isinstance(value, (str, bytes)) or not isinstance(value, (list, tuple)) or not value:
                raise self._wrong("must be a list of whole numbers", value)
            return tuple(self._number(entry, whole=True) for entry in value)
        return self._number(value, whole=self.kind == "integer")

    def _choice(self, value: Any) -> str:
        if isinstance(value, str) and value in self.choices:
            return value
        close = difflib.get_close_matches(str(value), self.choices, n=1)
        fix = f"Did you mean {close[0]}?" if close else ""
        raise self._wrong(f"must be one of {', '.join(self.choices)}", value, fix)

    def _number(self, value: Any, *, whole: bool) -> float:
        allowed = int if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, allowed):
            raise self._wrong("must be a whole number" if whole else "must be a number", value)
        if isinstance(value, float) and not math.isfinite(value):
            raise self._wrong("must be a finite number", value)
        if self.minimum is not None and value < self.minimum:
            raise self._wrong(f"must be at least {self.minimum:g}", value)
        if self.maximum is not None and value > self.maximum:
            raise self._wrong(f"must be at most {self.maximum:g}", value)
        # 16 and 16.0 are one width: equal architectures must be equal as text, too
        return int(value) if value == int(value) else float(value)

    def _wrong(self, rule: str, got: Any, fix: str = "") -> ArchitectureError:
        return ArchitectureError(rule, path=self.name, got=got, fix=fix)


_ALL = (
    Field("block", "choice", "Kind of block.", registry=BLOCKS),
    Field(
        "layout",
        "choice",
        "cifar: 3 stages; imagenet: 4 after a 7x7 stem; vgg: plain, with pooling; mlp: fully connected.",
        named=("cifar", "imagenet", "vgg", "mlp"),
    ),
    Field(
        "depth",
        "integer",
        "Weighted layers on the main path, projections not counted; instead of blocks.",
        minimum=2,
        # as deep as networks have been trained: Xiao et al. 2018, 1806.05393
        maximum=10_000,
    ),
    Field("blocks", "integers", "Blocks of each stage; instead of depth.", minimum=1, maximum=10_000),
    Field(
        "width",
        "number",
        "Channels of the first stage's 3x3 convolutions; growth rate of dense; units of an mlp's layers.",
        minimum=1,
        maximum=65_536,
    ),
    Field("stem_width", "integer", "Channels of the stem.", minimum=1, maximum=65_536),
    Field(
        "bottleneck", "boolean", "Blocks of 1x1, 3x3, 1x1 convolutions that give out four times their width."
    ),
    Field("preactivation", "boolean", "Norm and activation before each convolution (He et al. 2016)."),
    Field("shortcut", "choice", "What happens to the input on its way round the branch.", registry=SHORTCUTS),
    Field("cardinality", "integer", "grouped: number of groups.", minimum=1, maximum=65_536),
    Field(
        "group_width",
        "number",
        "grouped: channels of each group in the first stage.",
        minimum=1,
        maximum=65_536,
    ),
    Field(
        "compression",
        "number",
        "dense: share of the channels that a transition keeps.",
        minimum=0.01,
        maximum=1,
    ),
    Field("gate_bias", "number", "Initial bias of every gate.", minimum=-100, maximum=100),
    Field("norm", "choice", "Normalisation.", named=("batch", "group", "layer", "none")),
    Field("activation", "choice", "Nonlinearity.", named=("relu", "gelu", "silu", "tanh")),
    Field(
        "initialization",
        "choice",
        "How weights begin.",
        named=("he", "xavier", "normal", "identity", "zero_gamma", "fixup"),
    ),
    Field(
        "initialization_std",
        "number",
        "normal initialization: standard deviation.",
        minimum=1e-6,
        maximum=100,
    ),
    Field(
        "drop_path",
        "number",
        "Stochastic depth: probability that the last block is dropped, linear from 0.",
        minimum=0,
        maximum=0.99,
    ),
    Field(
        "stride_in",
        "choice",
        "imagenet bottleneck: the convolution that strides.",
        named=("1x1", "3x3"),
    ),
)

FIELDS: Mapping[str, Field] = MappingProxyType({field.name: field for field in _ALL})


def check_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return all given fields in their canonical types; a field that is None counts as not given.

    Raises:
        ArchitectureError: A field does not exist, or holds what it may not.
    """
    checked = {}
    for name, value in fields.items():
        if name not in FIELDS:
            close = difflib.get_close_matches(str(name), FIELDS, n=1)
            fix = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(FIELDS)}."
            raise ArchitectureError("must be a field of an architecture", path=str(name), got=name, fix=fix)
        if value is not None:
            checked[name] = FIELDS[name].check(value)
    return checked
