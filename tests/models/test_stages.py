"""Gradient checkpointing: the same training from less memory."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from archsearch.architecture import Architecture, resolve_architecture
from archsearch.models import build_network
from archsearch.models.packed import pack_networks
from archsearch.models.stages import recompute_blocks
from tests.architecture.random_fields import random_architectures, small_input

DENSE = {"block": "dense", "depth": 40, "width": 12}
IMAGES = 4


def build_twice(architecture: Architecture, shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    keeping = build_network(architecture, shape, 3)
    again = copy.deepcopy(keeping)
    recompute_blocks(again)
    return keeping.train(), again.train()


def train_step(network: nn.Module, shape: tuple[int, ...], *, bf16: bool = False) -> dict[str, torch.Tensor]:
    """One step's loss, gradients and running statistics, and the random number that comes after it."""
    torch.manual_seed(1)
    images, labels = torch.randn(IMAGES, *shape), torch.arange(IMAGES) % 3
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        logits = network(images)
    loss = functional.cross_entropy(logits.float().view(-1, 3), labels.repeat(logits.numel() // IMAGES // 3))
    loss.backward()
    found = {name: parameter.grad for name, parameter in network.named_parameters()}
    found |= {name: buffer.clone() for name, buffer in network.named_buffers()}
    return found | {"loss": loss.detach(), "next random number": torch.rand(1)}


def assert_equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], what: object) -> None:
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert torch.equal(found[name], value), (what, name)


def saved_bytes(network: nn.Module, shape: tuple[int, ...], images: int) -> int:
    """What autograd keeps of a forward pass, besides the network's own tensors."""
    kept: dict[int, torch.Tensor] = {}

    def keep(saved: torch.Tensor) -> torch.Tensor:
        kept[saved.untyped_storage().data_ptr()] = saved
        return saved

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        # the graph must live, or memory is given to a second tensor
        logits = network(torch.randn(images, *shape))
    own = {t.untyped_storage().data_ptr() for t in (*network.parameters(), *network.buffers())}
    assert logits.requires_grad
    return sum(saved.untyped_storage().nbytes() for at, saved in kept.items() if at not in own)


@pytest.mark.parametrize("bf16", [False, True])
def test_every_family_comes_to_the_same_bits(bf16):
    families = set()
    for architecture in random_architectures(16, seed=32):
        # the 4096 units of vgg's head make it slow to build
        if architecture.layout != "vgg":
            shape = small_input(architecture)
            keeping, again = build_twice(architecture, shape)

            expected, found = train_step(keeping, shape, bf16=bf16), train_step(again, shape, bf16=bf16)

            assert_equal(found, expected, architecture)
            families.add(architecture.block)
    assert len(families) == 5


def test_dropped_paths_and_values_are_drawn_alike_both_times():
    fields = {"depth": 14, "width": 4, "drop_path": 0.5, "shortcut": "dropout"}
    keeping, again = build_twice(resolve_architecture(fields), (3, 16, 16))
    expected = train_step(keeping, (3, 16, 16))

    assert_equal(train_step(again, (3, 16, 16)), expected, fields)
    # that the draws matter at all
    keeping.zero_grad()
    torch.manual_seed(2)
    functional.cross_entropy(keeping(torch.randn(IMAGES, 3, 16, 16)), torch.zeros(IMAGES).long()).backward()
    assert not torch.equal(keeping.stem[0].weight.grad, expected["stem.0.weight"])


def test_statistics_are_counted_once_a_step():
    _, again = build_twice(resolve_architecture(DENSE | {"depth": 10}), (3, 8, 8))

    train_step(again, (3, 8, 8))

    counts = [buffer for name, buffer in again.named_buffers() if "num_batches" in name]
    assert len(counts) > 3
    assert all(count == 1 for count in counts)


@pytest.mark.parametrize(
    "fields",
    [
        {"block": "dense"},
        {"shortcut": "dropout", "drop_path": 0.5},
        {"block": "highway", "norm": "layer"},
    ],
    ids=str,
)
def test_packed_networks_are_computed_again_with_the_draws_of_each(fields):
    architecture = resolve_architecture({"width": 4, "blocks": [1, 1, 1]} | fields)
    found = []
    for recomputing in (False, True):
        torch.manual_seed(0)
        packed = pack_networks([build_network(architecture, (2, 8, 8), 3) for _ in range(3)]).train()
        if recomputing:
            recompute_blocks(packed)
        packed.seed([5, 6, 7])
        step = train_step(packed, (6, 8, 8))
        states = {f"generator {i}": g.get_state() for i, g in enumerate(packed.place.generators)}
        found.append(step | states)

    assert_equal(found[1], found[0], fields)


def test_a_dense_network_keeps_less_than_half():
    keeping, again = build_twice(resolve_architecture(DENSE), (3, 32, 32))

    assert saved_bytes(again, (3, 32, 32), 2) < 0.5 * saved_bytes(keeping, (3, 32, 32), 2)


def test_what_a_dense_network_keeps_grows_with_its_depth_and_not_with_the_square():
    kept = []
    for depth in (22, 40):
        _, again = build_twice(resolve_architecture(DENSE | {"depth": depth}), (3, 16, 16))
        kept.append(saved_bytes(again, (3, 16, 16), 2))

    # 36 blocks for 18; kept whole, their concatenations alone would be nearly four times as much
    assert kept[1] < 2.2 * kept[0]


def test_nothing_is_computed_again_without_gradients():
    keeping, again = build_twice(resolve_architecture({"depth": 8, "width": 4}), (3, 8, 8))
    images = torch.randn(2, 3, 8, 8)
    calls = []
    again.stages[0][0].branch.register_forward_hook(lambda *_: calls.append(1))

    assert torch.equal(again.eval()(images), keeping.eval()(images))
    with torch.no_grad():
        assert torch.equal(again.train()(images), keeping.train()(images))
    assert len(calls) == 2
