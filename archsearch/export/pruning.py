"""Variants of a trained network without the blocks that it does not miss.

Lesions (Veit, Wilber and Belongie 2016, 1605.06431) show which: a block is free where the validation error
without it is no larger. Several free ones need not be free together, so they are dropped one by one, that of
the smallest damage first, as long as the error stays within what is allowed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from archsearch.data.dataset import Split
from archsearch.models.surgery import Anatomy
from archsearch.statistics.intervals import share_interval

_LONGEST_S = 60.0
_FEWEST_IMAGES = 200
_BATCH = 256
_Z95 = 1.959963984540054

Normalise = Callable[[Tensor], Tensor]
"""From raw images to what the network takes."""


@dataclass(frozen=True)
class Pruned:
    """A variant.

    Attributes:
        rule: What its validation error had to stay within.
        dropped: Numbers of the blocks that it lacks, from 0.
        network_of: Calls a function with the network as it then stands, and returns what that returns.
    """

    rule: str
    dropped: tuple[int, ...]
    network_of: Callable[[Callable[[nn.Module], Any]], Any]


def prune_by_lesion(anatomy: Anatomy, split: Split, normalise: Normalise) -> tuple[list[Pruned], str]:
    """Find the variants of a trained network; the validation images choose the blocks.

    Returns:
        The variants that lack anything, and why there are none where they were not looked for.
    """
    removable = anatomy.removable
    if not removable:
        return [], "It has no block round which anything could go."
    start = time.perf_counter()
    error = count_error(anatomy.network, split, normalise)
    seconds = time.perf_counter() - start
    # each block once, and each free one once more for each rule
    affordable = int(len(split) * _LONGEST_S / (3 * len(removable) * seconds))
    if affordable < min(_FEWEST_IMAGES, len(split)):
        return [], f"Its {len(removable)} lesions would take {len(removable) * seconds:.0f} s and more."
    if affordable < len(split):
        split = Split(split.images[:affordable], split.labels[:affordable])
        error = count_error(anatomy.network, split, normalise)
    alone = {number: _error_without(anatomy, (number,), split, normalise) for number in removable}
    low, high = share_interval(error, len(split))
    rules = {
        "no larger validation error": error,
        "validation error within one standard error": error + (high - low) / 2 / _Z95,
    }
    found: dict[tuple[int, ...], str] = {}
    for rule, limit in rules.items():
        dropped = _drop(anatomy, alone, limit, split, normalise)
        if dropped:
            found.setdefault(dropped, rule)
    variants = [Pruned(rule, dropped, _keeper(anatomy, dropped)) for dropped, rule in found.items()]
    return variants, "" if variants else "None of its blocks is free."


def count_error(network: nn.Module, split: Split, normalise: Normalise) -> float:
    """Count the share of images that are classified wrongly."""
    pieces = zip(torch.split(split.images, _BATCH), torch.split(split.labels, _BATCH), strict=True)
    with torch.inference_mode():
        wrong = [int((network(normalise(some)).argmax(1) != right).sum()) for some, right in pieces]
    return sum(wrong) / len(split)


def _drop(
    anatomy: Anatomy, alone: dict[int, float], limit: float, split: Split, normalise: Normalise
) -> tuple[int, ...]:
    dropped: tuple[int, ...] = ()
    for number in sorted(alone, key=lambda number: (alone[number], number)):
        more = tuple(sorted((*dropped, number)))
        if alone[number] <= limit and _error_without(anatomy, more, split, normalise) <= limit:
            dropped = more
    return dropped


def _error_without(anatomy: Anatomy, dropped: tuple[int, ...], split: Split, normalise: Normalise) -> float:
    with anatomy.rearranged(_arrange(anatomy, dropped)) as network:
        return count_error(network, split, normalise)


def _keeper(anatomy: Anatomy, dropped: tuple[int, ...]) -> Callable[[Callable[[nn.Module], Any]], Any]:
    def call(use: Callable[[nn.Module], Any]) -> Any:
        with anatomy.rearranged(_arrange(anatomy, dropped)) as network:
            return use(network)

    return call


def _arrange(anatomy: Anatomy, dropped: tuple[int, ...]) -> list[list[int]]:
    return [[] if number in dropped else [number] for number in range(len(anatomy.plans))]
