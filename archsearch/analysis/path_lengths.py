"""How much of the gradient the paths of each length carry.

A network of n blocks with shortcuts has 2^n paths, C(n, k) of them through k branches (Veit, Wilber and
Belongie 2016, 1605.06431, section 5 and figure 6): most paths are of middle length, while the gradient
comes along the short ones.
"""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from archsearch.models.surgery import Anatomy

# A share of some of the lengths alone would depend on which they are.
_MOST_LENGTHS = 64


@dataclass(frozen=True)
class PathLength:
    """The paths through as many branches as `length`.

    Attributes:
        length: Branches that the path goes through.
        paths_frac: Share of all paths that are of this length.
        gradient_norm: Median over sampled paths of the norm of the loss's gradient at the input of the first
            block that came along this path alone.
        gradient_frac: `gradient_norm` x number of such paths, as a share of the sum over the lengths
            measured.
    """

    length: int
    paths_frac: float
    gradient_norm: float
    gradient_frac: float


def measure_path_lengths(
    anatomy: Anatomy, images: Tensor, labels: Tensor, *, draws: int = 8, seed: int = 0
) -> list[PathLength]:
    """Measure the gradients that come along randomly drawn paths of each length.

    All lengths are measured up to 64 blocks, about twenty of them, spread evenly, beyond.

    Args:
        anatomy: Of a trained network in evaluation mode whose blocks all have shortcuts.
        images: A batch, normalised.
        labels: Its classes.
        draws: Paths drawn of each length.
        seed: Of the draws.
    """
    randomness = random.Random(seed)
    count = len(anatomy.plans)
    lengths = list(range(count + 1)) if count <= _MOST_LENGTHS else [0, *spread_counts(count, steps=20)]
    norms = {
        length: statistics.median(
            _measure_gradient(anatomy, randomness.sample(range(count), length), images, labels)
            for _ in range(draws if 0 < length < count else 1)
        )
        for length in lengths
    }
    # logarithms, for C(n, k) of a deep network is no float
    logs = {k: _log_paths(count, k) + math.log(norm) for k, norm in norms.items() if norm > 0}
    largest = max(logs.values(), default=0.0)
    weights = {k: math.exp(value - largest) for k, value in logs.items()}
    total = sum(weights.values())
    return [
        PathLength(
            length,
            math.exp(_log_paths(count, length) - count * math.log(2)),
            norms[length],
            weights.get(length, 0.0) / total if total else 0.0,
        )
        for length in lengths
    ]


def spread_counts(largest: int, steps: int = 10) -> list[int]:
    """Numbers from 1 to `largest`, all of them or about `steps` spread evenly."""
    if largest <= steps:
        return list(range(1, largest + 1))
    return sorted({1 + round(i * (largest - 1) / (steps - 1)) for i in range(steps)})


def _log_paths(count: int, length: int) -> float:
    return math.lgamma(count + 1) - math.lgamma(length + 1) - math.lgamma(count - length + 1)


def _measure_gradient(anatomy: Anatomy, through: list[int], images: Tensor, labels: Tensor) -> float:
    network = anatomy.network
    with torch.no_grad():
        entering = network.stem(images)
    entering.requires_grad_()
    with anatomy.open_to_path(set(through)):
        loss = F.cross_entropy(network.head(network.stages(entering)), labels)
    (gradient,) = torch.autograd.grad(loss, entering)
    return float(gradient.norm())
