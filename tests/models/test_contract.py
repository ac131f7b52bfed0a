from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor, nn

from archsearch.architecture import (
    BLOCKS,
    FIELDS,
    Architecture,
    BlockDefinition,
    BranchForm,
    ShortcutDefinition,
    definitions,
    register_block,
    register_shortcut,
    resolve_architecture,
)
from archsearch.errors import ArchitectureError
from archsearch.models import build_network, count_cost
from archsearch.models.layers import Layers
from tests.architecture.random_fields import random_architectures, small_input
from tests.models.contract import check_network, settings_of_block


class Depthwise(nn.Sequential):
    """A small block as a plugin would bring it: a depthwise and a pointwise convolution."""

    def __init__(self, plan, layers: Layers) -> None:
        channels = plan.in_channels
        super().__init__(
            *layers.arrange(
                layers.weighted(channels, channels, 5, stride=plan.stride, groups=channels),
                layers.weighted(channels, plan.out_channels),
            )
        )


class Averaged(nn.Module):
    """A small shortcut as a plugin would bring it: pooled, and the mean of all channels."""

    def __init__(self, plan, layers: Layers) -> None:
        super().__init__()
        self.channels = plan.out_channels
        self.pool = nn.Identity() if layers.flat else nn.AvgPool2d(plan.stride, ceil_mode=True)

    def forward(self, raw: Tensor, entered: Tensor) -> Tensor:
        mean = self.pool(raw).mean(1, keepdim=True)
        return mean.expand(-1, self.channels, *mean.shape[2:])


@pytest.fixture
def plugin():
    depthwise = BranchForm(f"{__name__}:Depthwise", layers=2)
    register_block(
        BlockDefinition(
            "depthwise", "add", {"basic": depthwise}, fields=frozenset({"preactivation", "drop_path"})
        )
    )
    register_shortcut(ShortcutDefinition("averaged", f"{__name__}:Averaged"))
    yield
    definitions._blocks.pop("depthwise")
    definitions._shortcuts.pop("averaged")


def _short(fields: dict[str, object]) -> str:
    return "-".join(str(v) for k, v in fields.items() if k not in ("blocks", "width", "cardinality") and v)


@pytest.mark.parametrize(
    "fields", [fields for block in BLOCKS for fields in settings_of_block(block)], ids=_short
)
def test_every_block_trains_in_every_layout_form_order_and_shortcut(fields):
    check_network(fields)


def test_a_registered_block_and_shortcut_pass_the_same_contract(plugin):
    settings = settings_of_block("depthwise")

    assert {"averaged", "pad"} <= {fields["shortcut"] for fields in settings}
    for fields in settings:
        check_network(fields)
    # residual networks gain the new shortcut, too
    assert any(fields["shortcut"] == "averaged" for fields in settings_of_block("residual"))
    assert count_cost(resolve_architecture({"block": "depthwise"}), (3, 32, 32), 10).parameters > 0


def test_a_branch_that_cannot_be_imported_is_an_error(plugin):
    register_block(BlockDefinition("lost", "add", {"basic": BranchForm("no_such_module:X", layers=2)}))
    try:
        with pytest.raises(ArchitectureError, match="block: must lead to a class that can be imported"):
            build_network(resolve_architecture({"block": "lost"}), (3, 8, 8), 2)
    finally:
        definitions._blocks.pop("lost")


def test_random_networks_train_a_step():
    for architecture in random_architectures(60, seed=21):
        shape = small_input(architecture)
        # the 4096 units of vgg's head make it slow to train; the contract above has it
        if architecture.layout != "vgg":
            network = build_network(architecture, shape, 2).train()

            loss = nn.functional.cross_entropy(network(torch.randn(3, *shape)), torch.tensor([0, 1, 1]))
            loss.backward()

            assert loss.isfinite(), architecture
            for name, parameter in network.named_parameters():
                assert parameter.grad is not None, (name, architecture)
                assert parameter.grad.isfinite().all(), (name, architecture)


def test_one_id_means_one_set_of_weights_and_one_cost():
    """Change one field at a time; where the id stays, so must names and shapes of weights, and the cost."""
    rng, twins = random.Random(22), 0
    for architecture in random_architectures(150, seed=22):
        field = FIELDS[rng.choice(["shortcut", "norm", "preactivation", "width", "stride_in", "compression"])]
        value = rng.choice(
            field.choices or (True, False) if field.kind != "number" else (0.51, 1, 6.26, 6.32)
        )
        try:
            changed = resolve_architecture(architecture.to_mapping() | {field.name: value}, strict=False)
        except ArchitectureError:
            continue
        if changed != architecture and changed.id == architecture.id and changed.layout != "vgg":
            shape = small_input(architecture)
            assert _shapes(changed, shape) == _shapes(architecture, shape), (architecture, changed)
            assert count_cost(changed, shape, 2) == count_cost(architecture, shape, 2)
            twins += 1
    assert twins > 3


def _shapes(architecture: Architecture, shape: tuple[int, ...]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in build_network(architecture, shape, 2).state_dict().items()}


@pytest.mark.parametrize(
    ("fields", "shape", "message"),
    [
        ({"block": "plain", "layout": "vgg"}, (3, 31, 40), "must be at least 32x32 pixels .* got '31x40'"),
        ({"block": "dense"}, (3, 8, 3), "must be at least 4x4 pixels"),
        ({"block": "dense", "layout": "imagenet"}, (3, 28, 28), "must be at least 29x29 pixels"),
        ({}, (784,), r"must be \(channels, height, width\) in layout cifar.*Choose layout: mlp"),
        ({"layout": "mlp"}, (3, 4), r"must be \(features,\) or \(channels, height, width\) in layout mlp"),
        ({}, (3, 0, 8), "must be .channels, height, width."),
    ],
)
@pytest.mark.parametrize("verb", [build_network, count_cost])
def test_an_input_that_does_not_fit_is_an_error(fields, shape, message, verb):
    with pytest.raises(ArchitectureError, match=message):
        verb(resolve_architecture(fields), shape, 10)


@pytest.mark.parametrize(
    ("fields", "shape"),
    [
        ({"block": "dense", "depth": 7}, (3, 4, 4)),
        ({"block": "dense", "layout": "imagenet", "blocks": [1, 1, 1, 1]}, (3, 29, 29)),
        ({"layout": "imagenet", "width": 2}, (1, 1, 1)),
        ({"depth": 8}, (1, 1, 1)),
    ],
)
def test_the_smallest_input_that_fits_is_taken(fields, shape):
    network = build_network(resolve_architecture(fields), shape, 2).eval()

    assert network(torch.randn(1, *shape)).shape == (1, 2)


def test_classes_must_be_positive():
    with pytest.raises(ArchitectureError, match="classes: must be at least 1"):
        build_network(resolve_architecture({}), (3, 8, 8), 0)
