"""What a network is and costs, from a published name or a file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archsearch.architecture import Architecture, natural_input, published_architecture, published_names
from archsearch.errors import ArchitectureError, InputError
from archsearch.study import read_architecture

if TYPE_CHECKING:
    from archsearch.models import Cost


@dataclass(frozen=True)
class Description:
    """A network and its cost for one image.

    Attributes:
        name: As it was asked for.
        input_shape: (channels, height, width), or (features,).
    """

    name: str
    architecture: Architecture
    input_shape: tuple[int, ...]
    classes: int
    cost: Cost

    def to_mapping(self) -> dict[str, Any]:
        """The description as JSON's values."""
        return {
            "name": self.name,
            "depth": self.architecture.depth,
            **asdict(self.cost),
            "id": self.architecture.id,
            "input": list(self.input_shape),
            "classes": self.classes,
            "architecture": self.architecture.to_mapping(),
        }


def describe(network: str, shape: str | None = None, classes: int | None = None) -> Description:
    """Count a network.

    Args:
        network: A published name, or a YAML file with an ``architecture:`` mapping.
        shape: Input as ``3x32x32`` or ``784``; None takes the layout's usual one.
        classes: None takes the layout's usual number.

    Raises:
        InputError: The network is neither, the shape is none, or the network does not fit the input.
    """
    is_file = network not in published_names() and ("." in network or Path(network).exists())
    architecture = read_architecture(network) if is_file else published_architecture(network)
    # Not at the top: torch takes seconds, and what is wrong with a file can be said at once.
    from archsearch.models import count_cost

    usual_shape, usual_classes = natural_input(architecture)
    input_shape = parse_shape(shape) if shape is not None else usual_shape
    try:
        cost = count_cost(architecture, input_shape, classes or usual_classes)
    except ArchitectureError as error:
        raise error.at(where=network) from error
    return Description(network, architecture, input_shape, classes or usual_classes, cost)


def parse_shape(text: str) -> tuple[int, ...]:
    """Read ``3x32x32`` or ``784``.

    Raises:
        InputError: It is neither.
    """
    parts = text.lower().split("x")
    if len(parts) not in (1, 3) or not all(part.isdecimal() and int(part) > 0 for part in parts):
        fix = "Write 3x32x32, or 784 for flat inputs."
        raise InputError("must be channels x height x width", path="--input", got=text, fix=fix)
    return tuple(int(part) for part in parts)
