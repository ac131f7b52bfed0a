from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from archsearch.architecture import resolve_architecture
from archsearch.models import build_network
from archsearch.models.layers import Gate

SHAPE = (3, 8, 8)


def _network(**fields: object) -> nn.Module:
    torch.manual_seed(0)
    return build_network(resolve_architecture(fields), SHAPE, 10)


def _convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


@pytest.mark.parametrize(
    ("name", "std"),
    [
        ("he", lambda inputs, outputs: math.sqrt(2 / (9 * outputs))),
        ("xavier", lambda inputs, outputs: math.sqrt(2 / (9 * (inputs + outputs)))),
        ("normal", lambda inputs, outputs: 0.01),
    ],
)
def test_convolutions_are_drawn_with_the_published_spread(name, std):
    network = _network(width=64, initialization=name)

    for convolution in _convolutions(network)[1:]:
        expected = std(convolution.in_channels, convolution.out_channels)
        assert convolution.weight.std().item() == pytest.approx(expected, rel=0.05)
        assert abs(convolution.weight.mean().item()) < 0.05 * expected


def test_linear_layers_are_drawn_by_their_inputs():
    network = _network(layout="mlp", width=200, depth=4)

    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    for layer in layers[:-1]:
        assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / layer.in_features), rel=0.05)
        assert not layer.bias.any()


@pytest.mark.parametrize(
    "fields", [{"block": "highway"}, {"shortcut": "gate"}, {"block": "highway", "layout": "mlp"}]
)
def test_every_gate_begins_with_its_bias(fields):
    network = _network(**fields, gate_bias=-3.5)

    gates = [module for module in network.modules() if isinstance(module, Gate)]
    assert gates
    assert all((gate.layer.bias == -3.5).all() for gate in gates)


@pytest.mark.parametrize("fields", [{}, {"bottleneck": True}, {"block": "grouped"}, {"layout": "mlp"}])
def test_zero_gamma_makes_every_branch_begin_at_zero(fields):
    network = _network(**fields, initialization="zero_gamma").eval()

    seen = []
    for module in network.modules():
        if hasattr(module, "branch"):
            module.branch.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    network(torch.randn(2, *SHAPE))

    assert len(seen) > 5
    assert not any(output.any() for output in seen)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert sum(not norm.weight.any().item() for norm in norms) == len(seen)


@pytest.mark.parametrize("bottleneck", [True, False])
def test_zero_gamma_touches_the_last_norm_of_a_branch_alone(bottleneck):
    network = _network(bottleneck=bottleneck, initialization="zero_gamma")

    for block in (module for module in network.modules() if hasattr(module, "branch")):
        *inner, last = [module for module in block.branch if isinstance(module, nn.BatchNorm2d)]
        assert not last.weight.any()
        assert all((norm.weight == 1).all() for norm in inner)


def test_identity_passes_the_input_and_leaves_no_channel_dead():
    network = _network(block="plain", initialization="identity", norm="none", width=4)
    first, *others = _convolutions(network)

    x = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(first(x)[:, :3], x)
    for convolution in (first, *others):
        assert (convolution.weight.flatten(1).abs().sum(1) > 0).all()


def test_identity_copies_within_each_group():
    network = _network(block="grouped", initialization="identity", cardinality=2, group_width=4, width=8)
    grouped = next(convolution for convolution in _convolutions(network) if convolution.groups == 2)

    x = torch.randn(2, grouped.in_channels, 5, 5)

    torch.testing.assert_close(grouped(x), x)


@pytest.mark.parametrize(
    ("fields", "power"), [({"depth": 26}, -1 / 2), ({"depth": 29, "bottleneck": True}, -1 / 4)]
)
def test_fixup_begins_at_zero_and_shrinks_inner_layers_by_depth(fields, power):
    network = _network(**fields, initialization="fixup", norm="none", width=32)
    blocks = [module for module in network.modules() if hasattr(module, "branch")]

    assert not network(torch.randn(2, *SHAPE)).any()
    for block in blocks:
        *inner, last = _convolutions(block.branch)
        assert not last.weight.any()
        for convolution in inner:
            fan_out = convolution.out_channels * convolution.kernel_size[0] ** 2
            expected = math.sqrt(2 / fan_out) * len(blocks) ** power
            assert convolution.weight.std().item() == pytest.approx(expected, rel=0.1)


def test_fixup_learns_from_zero():
    network = _network(initialization="fixup", norm="none", depth=8)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    images, labels = torch.randn(16, *SHAPE), torch.arange(16) % 4

    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    assert losses[-1] < losses[0] - 0.3
