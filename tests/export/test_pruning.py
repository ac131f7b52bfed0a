"""Blocks that a network does not miss are found, together and not only one by one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from archsearch.architecture import resolve_architecture
from archsearch.data.dataset import Split
from archsearch.export.pruning import count_error, prune_by_lesion
from archsearch.models.surgery import Anatomy
from tests.export.networks import disturbed_network

SHAPE = (1, 8, 8)


def as_they_are(images: Tensor) -> Tensor:
    return images


def anatomy_with_idle_blocks(idle: set[int]) -> tuple[Anatomy, Split]:
    """A residual network of six blocks, some of whose branches give nothing; images that it gets right."""
    architecture = resolve_architecture({"depth": 14, "width": 4})
    network: Any = disturbed_network(architecture, SHAPE, 3, seed=2)
    blocks = [block for stage in network.stages for block in stage]
    for number in idle:
        nn.init.zeros_(blocks[number].branch[-1].weight)
        nn.init.zeros_(blocks[number].branch[-1].bias)
    images = torch.randn(300, *SHAPE)
    with torch.no_grad():
        # or it would name the same class whatever it sees
        network.head[-1].bias -= network(images).mean(0)
        labels = network(images).argmax(1)
    return Anatomy(network, architecture, SHAPE, 3), Split(images, labels)


def test_exactly_the_blocks_that_give_nothing_are_free() -> None:
    anatomy, split = anatomy_with_idle_blocks({1, 4})

    (strict, *_), why_not = prune_by_lesion(anatomy, split, as_they_are)

    assert (strict.dropped, strict.rule, why_not) == ((1, 4), "no larger validation error", "")
    assert strict.network_of(lambda network: count_error(network, split, as_they_are)) == 0


def test_a_network_that_needs_all_its_blocks_has_no_variant_and_stays_as_it_was() -> None:
    anatomy, split = anatomy_with_idle_blocks(set())
    before = count_error(anatomy.network, split, as_they_are)

    variants, why_not = prune_by_lesion(anatomy, split, as_they_are)

    assert (variants, why_not) == ([], "None of its blocks is free.")
    assert count_error(anatomy.network, split, as_they_are) == before


def test_lesions_that_would_take_too_long_are_left_out(monkeypatch: Any) -> None:
    anatomy, split = anatomy_with_idle_blocks({1})
    monkeypatch.setattr("archsearch.export.pruning._LONGEST_S", 1e-4)

    variants, why_not = prune_by_lesion(anatomy, split, as_they_are)

    assert variants == []
    assert why_not.startswith("Its 6 lesions would take")
