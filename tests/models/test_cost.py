from __future__ import annotations

import time

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from archsearch.architecture import natural_input, published_architecture, resolve_architecture
from archsearch.models import build_network, count_cost
from tests.architecture.random_fields import random_architectures, small_input
from tests.models.reference import reference_counts

CIFAR = (3, 32, 32), 10
IMAGENET = (3, 224, 224), 1000
_IMAGENET_BOTTLENECK = {"layout": "imagenet", "width": 64, "bottleneck": True, "stride_in": "1x1"}


@pytest.mark.parametrize(
    ("fields", "parameters", "macs"),
    [
        ({"depth": 8}, 75_290, 12_239_488),
        ({"depth": 8, "block": "plain"}, 75_290, 12_239_488),
        ("resnet20", 269_722, 40_551_040),
        ("plain20", 269_722, 40_551_040),
        ({"shortcut": "projection"}, 272_474, None),
        ({"shortcut": "projection_all"}, 283_962, None),
        ({"shortcut": "projection", "preactivation": True}, 272_282, None),
        ("resnet32", 464_154, 68_862_592),
        ("resnet110", 1_727_962, 252_887_680),
        ({"depth": 164, "bottleneck": True}, 1_704_154, 247_646_720),
        ("densenet-40-12", 1_019_722, 264_812_928),
        ("densenet-bc-100-12", 769_162, 287_929_692),
        ("resnext29-8x64d", 34_426_698, 5_387_266_048),
        ("wrn-28-10", 36_479_194, 5_243_328_768),
        ("highway-mlp-10", 85_660, None),
        ("highway-mlp-50", 289_660, None),
        ("plain-mlp-10", 102_463, None),
        ("plain-mlp-50", 306_943, None),
    ],
)
def test_published_counts_are_met_exactly(fields, parameters, macs):
    is_name = isinstance(fields, str)
    architecture = published_architecture(fields) if is_name else resolve_architecture(fields)

    cost = count_cost(architecture, *natural_input(architecture))

    assert cost.parameters == parameters
    assert macs in (None, cost.macs)


@pytest.mark.parametrize(
    ("fields", "parameters", "billion_macs"),
    [
        ("resnet18", 11_689_512, 1.814),
        ("resnet50", 25_557_032, 4.089),
        (_IMAGENET_BOTTLENECK | {"depth": 50}, 25_557_032, 3.858),
        ("resnet152", 60_192_808, 11.514),
        (_IMAGENET_BOTTLENECK | {"depth": 152}, 60_192_808, 11.282),
        ("resnext50-32x4d", 25_028_904, 4.230),
        ("densenet121", 7_978_856, 2.834),
        ("vgg19", 143_667_240, 19.632),
        ("vgg19-bn", 143_678_248, None),
    ],
)
def test_published_imagenet_counts_are_met(fields, parameters, billion_macs):
    is_name = isinstance(fields, str)
    architecture = published_architecture(fields) if is_name else resolve_architecture(fields)

    cost = count_cost(architecture, *IMAGENET)

    assert cost.parameters == parameters
    assert billion_macs in (None, round(cost.macs / 1e9, 3))


def test_random_networks_cost_what_pencil_and_paper_say():
    for architecture in random_architectures(70, seed=11):
        shape = small_input(architecture)

        cost = count_cost(architecture, shape, 7)

        assert (cost.parameters, cost.macs) == reference_counts(architecture.to_mapping(), shape, 7), (
            architecture
        )


def test_odd_and_oblong_images_are_counted():
    for architecture in random_architectures(15, seed=12):
        shape = (1, 37, 51)

        cost = count_cost(architecture, shape, 2)

        assert (cost.parameters, cost.macs) == reference_counts(architecture.to_mapping(), shape, 2), (
            architecture
        )


def test_random_networks_cost_what_a_real_forward_pass_shows():
    shown = 0
    for architecture in random_architectures(40, seed=13):
        # the 4096 units of vgg's head make it slow to build
        if architecture.layout != "vgg":
            shape = small_input(architecture)

            cost = count_cost(architecture, shape, 3)

            parameters, macs, activation_mib = _measure(build_network(architecture, shape, 3), shape)
            assert (cost.parameters, cost.macs) == (parameters, macs), architecture
            assert cost.activation_mib == pytest.approx(activation_mib, rel=0.02), architecture
            shown += 1
    assert shown > 25


def test_a_plain_mlp_keeps_one_tensor_a_layer_and_its_input():
    architecture = resolve_architecture(
        {"layout": "mlp", "block": "plain", "depth": 5, "width": 7, "norm": "none"}
    )

    cost = count_cost(architecture, (11,), 3)

    assert cost.activation_mib * 2**20 == 4 * (11 + 5 * 7)


def test_counting_needs_no_gradients_switched_on_and_draws_no_random_numbers():
    # another number of classes than the other tests', lest a cached count be returned
    architecture = resolve_architecture({"depth": 8, "shortcut": "dropout", "drop_path": 0.5})
    expected = count_cost(architecture, (3, 32, 32), 10)
    state = torch.get_rng_state()

    with torch.inference_mode():
        counted = count_cost(architecture, (3, 32, 32), 11)

    assert counted.activation_mib == expected.activation_mib > 0.5
    assert torch.equal(torch.get_rng_state(), state)


def test_deep_networks_are_counted_in_a_moment_and_without_memory():
    started = time.perf_counter()
    for name in ("resnet1202", "resnet152"):
        architecture = published_architecture(name)
        shape, classes = natural_input(architecture)
        # another shape than the other tests', lest a cached count be timed
        count_cost(architecture, (shape[0], shape[1] + 4, shape[2]), classes)

    assert time.perf_counter() - started < 10


def _measure(network: nn.Module, shape: tuple[int, ...]) -> tuple[int, int, float]:
    """Count with hooks on the layers of a real network, and from what autograd really keeps."""
    macs = 0

    def count(layer: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        nonlocal macs
        macs += output[0].numel() * layer.weight[0].numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    kept: dict[int, torch.Tensor] = {}

    def keep(saved: torch.Tensor) -> torch.Tensor:
        kept[saved.untyped_storage().data_ptr()] = saved
        return saved

    with saved_tensors_hooks(keep, lambda saved: saved):
        network.train()(torch.randn(2, *shape))
    owned = {state.untyped_storage().data_ptr() for state in (*network.parameters(), *network.buffers())}
    kept_bytes = sum(saved.untyped_storage().nbytes() for key, saved in kept.items() if key not in owned)
    return sum(parameter.numel() for parameter in network.parameters()), macs, kept_bytes / 2 / 2**20
