"""Variants without blocks are measured as the networks that they are, on validation and on test images."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from archsearch.application import measuring_export
from archsearch.application.measuring_export import describe_pruned
from archsearch.architecture import resolve_architecture
from archsearch.data.dataset import Dataset, Split
from archsearch.export import ExportedNetwork
from tests.export.networks import disturbed_network

ARCHITECTURE = resolve_architecture({"depth": 14, "width": 4})
SHAPE = (1, 8, 8)
CLASSES = ("0", "1", "2")
# Each of two convolutions with as many inputs as outputs, of the first stage and of the second.
DROPPED = (1, 3)
FLOPS_OF_DROPPED = 2 * (2 * 9 * 4 * 4 * 8 * 8) + 2 * (2 * 9 * 8 * 8 * 4 * 4)


def trained_network(*, weak: float) -> Any:
    """Two of its blocks add as much as is told, the others all of theirs."""
    network: Any = disturbed_network(ARCHITECTURE, SHAPE, len(CLASSES), seed=2)
    blocks = [block for stage in network.stages for block in stage]
    with torch.no_grad():
        for number in DROPPED:
            blocks[number].branch[-1].weight *= weak
            blocks[number].branch[-1].bias *= weak
    return network


def count_flops(network: nn.Module, image: Tensor) -> dict[str, float]:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    return {"median": float(counter.get_total_flops())}


def test_a_variant_has_the_accuracy_and_the_latency_of_the_network_without_its_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measuring_export, "measure_latency", count_flops)
    # a block whose branch adds nothing is one that is not there
    whole, without = trained_network(weak=0.2), trained_network(weak=0.0)
    images = torch.randn(900, *SHAPE)
    with torch.no_grad():
        # or they would name the same class whatever they see
        shift = without(images).mean(0)
        for network in (whole, without):
            network.head[-1].bias -= shift
        by_whole, by_variant = whole(images).argmax(1), without(images).argmax(1)
    # of the validation images the blocks make some wrong, of the test images they make all right
    val, test = Split(images[:300], by_variant[:300]), Split(images[300:], by_whole[300:])
    agree = by_whole == by_variant
    dataset = Dataset("noise", val, val, test, CLASSES, (0.0,), (1.0,), "")
    exported = ExportedNetwork(ARCHITECTURE, SHAPE, CLASSES, (0.0,), (1.0,), 1, whole.state_dict())

    assert not agree[:300].all()

    found = describe_pruned(exported, dataset)

    first, variant = found["variants"]
    assert (first["dropped_blocks"], variant["dropped_blocks"]) == ([], list(DROPPED))
    assert first["val_accuracy"] == pytest.approx(agree[:300].double().mean().item())
    assert (first["test_accuracy"], variant["val_accuracy"]) == (1, 1)
    assert variant["test_accuracy"] == pytest.approx(agree[300:].double().mean().item())
    assert variant["test_accuracy_low"] < variant["test_accuracy"] < variant["test_accuracy_high"] < 1
    assert first["latency_ms"] - variant["latency_ms"] == FLOPS_OF_DROPPED
