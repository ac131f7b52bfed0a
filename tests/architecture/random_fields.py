"""Random valid architectures, small enough to be built, of every block, layout and shortcut."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from archsearch.architecture import BLOCKS, FIELDS, SHORTCUTS, Architecture, resolve_architecture
from archsearch.errors import ArchitectureError

STAGES = {"cifar": 3, "imagenet": 4, "vgg": 5, "mlp": 1}


def random_fields(rng: random.Random) -> dict[str, Any]:
    """Every field at random; most are used, and some combinations make no sense."""
    block = rng.choice(list(BLOCKS))
    layout = rng.choice(BLOCKS[block].layouts)
    cardinality = rng.choice([1, 2, 4])
    return {
        "block": block,
        "layout": layout,
        "blocks": [rng.randint(1, 3 if layout == "mlp" else 2) for _ in range(STAGES[layout])],
        "width": rng.choice([1, 2, 3, 4, 5, 6.3, 8]),
        "stem_width": rng.choice([None, None, 2, 4, 5]),
        "bottleneck": rng.choice([True, False]),
        "preactivation": rng.choice([True, False]),
        "shortcut": rng.choice(list(SHORTCUTS)),
        "cardinality": cardinality,
        "group_width": rng.choice([1, 2, 3.4, 4]),
        "compression": rng.choice([0.3, 0.5, 0.99, 1]),
        "gate_bias": rng.choice([-3, -2, 0.5]),
        "norm": rng.choice(FIELDS["norm"].choices),
        "activation": rng.choice(FIELDS["activation"].choices),
        "initialization": rng.choice(FIELDS["initialization"].choices),
        "initialization_std": rng.choice([0.01, 0.1]),
        "drop_path": rng.choice([0, 0.3]),
        "stride_in": rng.choice(["1x1", "3x3"]),
    }


def random_architectures(count: int, seed: int) -> Iterator[Architecture]:
    """Yield valid architectures; fields that are not used are dropped, senseless ones drawn again."""
    rng = random.Random(seed)
    while count:
        try:
            yield resolve_architecture(random_fields(rng), strict=False)
        except ArchitectureError:
            continue
        count -= 1


def small_input(architecture: Architecture) -> tuple[int, ...]:
    """The shape of a small image that suits the layout."""
    side = {"cifar": 8, "imagenet": 32, "vgg": 32, "mlp": 4}[architecture.layout]
    return (3, side, side)
