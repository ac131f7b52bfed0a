"""Blocks against formulae of their papers, written out in plain functions of torch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from archsearch.architecture import BlockPlan, normal_form, plan_network, resolve_architecture
from archsearch.models import build_network
from archsearch.models.blocks import DropPath, build_block
from archsearch.models.layers import Layers
from archsearch.models.network import Network, Parts
from tests.architecture.random_fields import random_architectures, small_input

STRIDED = BlockPlan(4, 6, 6, stride=2)
SAME = BlockPlan(6, 6, 6)


def _block(plan: BlockPlan, **fields: object) -> nn.Module:
    torch.manual_seed(0)
    block = build_block(plan, Layers(resolve_architecture(fields)))
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.5)
    return block.eval()


def _weights(block: nn.Module) -> list[Tensor]:
    return [layer.weight for layer in block.modules() if isinstance(layer, nn.Conv2d)]


def _basic(x: Tensor, weights: list[Tensor], stride: int) -> Tensor:
    hidden = functional.relu(functional.conv2d(x, weights[0], stride=stride, padding=1))
    return functional.conv2d(hidden, weights[1], padding=1)


def _padded(x: Tensor, plan: BlockPlan) -> Tensor:
    taken = x[:, :, :: plan.stride, :: plan.stride]
    zeros = taken.new_zeros(taken.shape[0], plan.out_channels - plan.in_channels, *taken.shape[2:])
    return torch.cat((taken, zeros), 1)


@pytest.mark.parametrize("plan", [STRIDED, SAME])
@pytest.mark.parametrize(
    "shortcut", ["pad", "projection", "projection_all", "conv", "scaled", "gate", "dropout"]
)
def test_a_residual_block_adds_its_shortcut(plan, shortcut):
    block = _block(plan, norm="none", shortcut=shortcut)
    x = torch.randn(2, plan.in_channels, 6, 6)
    weights = _weights(block)
    branch = _basic(x, weights, plan.stride)
    if shortcut == "pad" or (shortcut == "projection" and plan is SAME) or shortcut == "dropout":
        expected = _padded(x, plan) + branch
    elif shortcut == "scaled":
        expected = 0.5 * _padded(x, plan) + 0.5 * branch
    elif shortcut == "gate":
        layer = block.join.shortcut.gate.layer
        gate = torch.sigmoid(functional.conv2d(x, layer.weight, layer.bias, stride=plan.stride))
        expected = (1 - gate) * _padded(x, plan) + branch
    else:
        expected = functional.conv2d(x, weights[2], stride=plan.stride) + branch

    torch.testing.assert_close(block(x), functional.relu(expected))


@pytest.mark.parametrize("plan", [STRIDED, SAME])
def test_a_highway_block_mixes_by_its_gate(plan):
    block = _block(plan, block="highway", norm="none", shortcut="pad")
    x = torch.randn(2, plan.in_channels, 6, 6)
    layer = block.join.gate.layer
    gate = torch.sigmoid(functional.conv2d(x, layer.weight, layer.bias, stride=plan.stride))

    expected = gate * _basic(x, _weights(block), plan.stride) + (1 - gate) * _padded(x, plan)

    torch.testing.assert_close(block(x), functional.relu(expected))


def test_a_highway_layer_of_an_mlp_is_the_papers():
    block = _block(BlockPlan(5, 5, 5), block="highway", layout="mlp", norm="none", activation="tanh")
    x = torch.randn(3, 5)
    layer, gate = block.branch[0], block.join.gate.layer
    carry = torch.sigmoid(x @ gate.weight.T + gate.bias)

    expected = torch.tanh(x @ layer.weight.T + layer.bias) * carry + x * (1 - carry)

    torch.testing.assert_close(block(x), expected)


def test_a_dense_block_appends_what_it_computes_of_the_normed_input():
    block = _block(BlockPlan(4, 3, 3), block="dense", width=3, norm="layer")
    x = torch.randn(2, 4, 6, 6)
    norm = block.entry[0]
    entered = functional.relu(functional.group_norm(x, 1, norm.weight, norm.bias))

    expected = torch.cat((x, functional.conv2d(entered, _weights(block)[0], padding=1)), 1)

    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("shortcut", ["pad", "projection", "conv"])
def test_under_preactivation_projections_see_the_activated_input_and_identities_the_raw_one(shortcut):
    block = _block(STRIDED, preactivation=True, norm="none", shortcut=shortcut)
    x = torch.randn(2, 4, 6, 6)
    weights = _weights(block)
    entered = functional.relu(x)
    carried = _padded(x, STRIDED)
    if shortcut != "pad":
        carried = functional.conv2d(entered, weights[2], stride=2)

    torch.testing.assert_close(block(x), carried + _basic(entered, weights, 2))


def test_a_grouped_branch_is_the_sum_of_its_paths():
    plan = BlockPlan(4, 6, 8, groups=3)
    block = _block(plan, block="grouped", norm="none", activation="tanh", cardinality=3, group_width=2)
    x = torch.randn(2, 4, 5, 5)
    first, second, third = _weights(block.branch)

    expected = torch.zeros(2, 8, 5, 5)
    for path in range(3):
        own = slice(2 * path, 2 * path + 2)
        hidden = torch.tanh(functional.conv2d(x, first[own]))
        hidden = torch.tanh(functional.conv2d(hidden, second[own], padding=1))
        expected += functional.conv2d(hidden, third[:, own])

    torch.testing.assert_close(block.branch(x), expected)


def test_dropped_paths_vanish_by_image_and_keep_their_mean():
    torch.manual_seed(0)
    drop = DropPath(0.25).train()

    dropped = drop(torch.ones(20_000, 3, 1, 1))

    assert (dropped.std((1, 2, 3)) == 0).all()
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(drop.eval()(dropped), dropped)


def test_drop_path_grows_linearly_to_the_last_block():
    network = build_network(resolve_architecture({"depth": 20, "drop_path": 0.45}), (3, 8, 8), 2)

    found = [1 - module.keep_frac for module in network.modules() if isinstance(module, DropPath)]

    assert found == pytest.approx([0.05 * index for index in range(1, 10)])


def test_a_dropped_shortcut_drops_half_in_training_alone():
    block = _block(SAME, shortcut="dropout", norm="none").train()
    x = torch.ones(50, 6, 4, 4)

    carried = block.join.shortcut(x, x)

    assert set(carried.unique().tolist()) == {0.0, 2.0}
    assert carried.mean().item() == pytest.approx(1, abs=0.1)
    assert torch.equal(block.eval().join.shortcut(x, x), x)


def test_the_normal_form_computes_what_the_description_says():
    """Equal ids are earned: both descriptions, built as they stand, are one function of the same weights."""
    compared = 0
    for architecture in random_architectures(400, seed=31):
        normal = normal_form(architecture)
        if normal == architecture or architecture.layout == "vgg":
            continue
        shape = small_input(architecture)
        networks = [_as_it_stands(described, shape) for described in (architecture, normal)]
        images = torch.randn(3, *shape)

        outputs = []
        for network in networks:
            torch.manual_seed(3)
            for parameter in network.parameters():
                nn.init.normal_(parameter, std=0.3)
            outputs.append(network(images))

        torch.testing.assert_close(outputs[0], outputs[1], msg=lambda text, a=architecture: f"{a}: {text}")
        compared += 1
    assert compared > 20


def _as_it_stands(architecture, shape) -> nn.Module:
    parts = Parts(architecture, plan_network(architecture, input_channels=shape[0]), shape, 2)
    stages, index = [], 0
    for stage, plans in enumerate(parts.plan.stages):
        blocks = [parts.block(plan, index + position) for position, plan in enumerate(plans)]
        index += len(plans)
        after = [parts.after_stage(stage)] if parts.has_after_stage(stage) else []
        stages.append(nn.Sequential(*blocks, *after))
    # evaluation: dropped paths and dropouts would differ by chance
    return Network(parts.stem(), nn.Sequential(*stages), parts.head()).eval()
