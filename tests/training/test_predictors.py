"""Predictors against pencil and paper, against a second implementation, and on every kind of network."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from archsearch.architecture import BLOCKS, Architecture, resolve_architecture
from archsearch.data import load_dataset
from archsearch.data.dataset import Dataset
from archsearch.models import build_network, count_cost
from archsearch.models.layers import Gate
from archsearch.study.settings import DataSettings
from archsearch.study.vocabulary import PREDICTORS
from archsearch.training import predictors
from archsearch.training.predictors import MEASURED, gradient_norm, naswot, score_network, synflow
from tests.architecture.random_fields import small_input
from tests.models.contract import settings_of_block

DIGITS = DataSettings(train_limit=200)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset(DIGITS)


def images_for(architecture: Architecture) -> Dataset:
    """Images of the smallest size that a layout takes."""
    return load_dataset(DataSettings(name="synthetic", samples=200, image_size=small_input(architecture)[1]))


def linear(*weights: list[list[float]]) -> nn.Sequential:
    layers = []
    for weight in weights:
        layer = nn.Linear(len(weight[0]), len(weight), bias=False)
        layer.weight.data = torch.tensor(weight, dtype=torch.float32)
        layers.append(layer)
    return nn.Sequential(*layers)


def build(fields: dict[str, Any], shape: tuple[int, ...], seed: int = 3) -> nn.Module:
    torch.manual_seed(seed)
    return build_network(resolve_architecture(fields), shape, 4)


# By hand.


def test_the_flow_of_two_linear_layers_is_that_of_pencil_and_paper() -> None:
    # ones -> (1 + 2, 3 + 4) = (3, 7) -> 5 * 3 + 6 * 7 = 57, and the sum over each layer's weights is that
    assert synflow(linear([[1, -2], [3, 4]], [[-5, 6]]), (2,)) == pytest.approx(math.log(2 * 57))


def test_a_flow_leaves_out_norms_and_activations() -> None:
    first, second = linear([[1, -2], [3, 4]], [[-5, 6]])

    assert synflow(nn.Sequential(first, nn.BatchNorm1d(2), nn.Tanh(), second), (2,)) == pytest.approx(
        math.log(2 * 57)
    )


def test_a_gate_stands_open_by_its_bias() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = linear([[2, 0], [0, -2]])[0]
            self.gate = Gate(nn.Linear(2, 2))
            nn.init.constant_(self.gate.layer.bias, -2.0)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.gate(x) * (self.layer(x) - x)

    # the two weights of size 2 alone flow: each gives 2 of its output, times the opening
    assert synflow(Gated(), (2,)) == pytest.approx(math.log(4 / (1 + math.exp(2))))


def test_the_kernel_of_known_codes_has_the_determinant_of_pencil_and_paper() -> None:
    network = nn.Sequential(linear([[1, 0], [0, 1]])[0], nn.ReLU(), nn.Linear(2, 2))
    # codes 11, 10, 01: two units agree with oneself, one with a neighbour, none between the last two
    images = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0]])

    assert naswot(network, images) == pytest.approx(math.log(4))  # of [[2, 1, 1], [1, 2, 0], [1, 0, 2]]


def test_two_images_of_one_code_make_the_kernel_singular() -> None:
    network = nn.Sequential(linear([[1, 0], [0, 1]])[0], nn.ReLU(), nn.Linear(2, 2))

    assert naswot(network, torch.tensor([[1.0, 1.0], [1.0, 2.0], [-1.0, 1.0]])) == -math.inf


def test_the_gradient_of_a_single_layer_is_that_of_pencil_and_paper() -> None:
    layer = nn.Linear(1, 2)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)

    # both classes at one half: ±0.5 for the biases, ±0.5 x 3 for the weights
    assert gradient_norm(layer, torch.tensor([[3.0]]), torch.tensor([0])) == pytest.approx(math.sqrt(5))


# A second implementation.


def flow_without_tricks(network: nn.Module, shape: tuple[int, ...]) -> float:
    """As published, on a network without norms: relu stays, nothing is scaled, the sum is taken as it is."""
    network = network.double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    network(torch.ones(1, *shape, dtype=torch.float64)).sum().backward()
    return math.log(sum(float((p.detach() * p.grad).abs().sum()) for p in network.parameters()))


@pytest.mark.parametrize("block", sorted(set(BLOCKS) - {"highway"}))
def test_the_flow_is_the_published_one(block: str) -> None:
    fields = {"block": block, "blocks": [2, 1, 1], "width": 4, "norm": "none"}
    fields |= {"cardinality": 2} if block == "grouped" else {}
    shape = (2, 8, 8)

    found = synflow(build(fields, shape), shape)

    assert found == pytest.approx(flow_without_tricks(build(fields, shape), shape), abs=1e-9)


def test_a_flow_does_not_depend_on_norm_activation_or_sign(digits: Dataset) -> None:
    scores = {
        score_network(
            resolve_architecture({"depth": 8, "width": 4, "norm": norm, "activation": activation}),
            digits,
            "synflow",
        )
        for norm, activation in [("batch", "relu"), ("group", "gelu"), ("layer", "silu"), ("none", "tanh")]
    }
    assert len(scores) == 1
    network, other = linear([[1, -2], [3, 4]], [[-5, 6]]), linear([[-1, 2], [3, -4]], [[5, -6]])
    assert synflow(network, (2,)) == synflow(other, (2,))


def test_a_kernel_does_not_depend_on_the_order_of_images_or_the_size_of_weights() -> None:
    shape = (1, 8, 8)
    network = build({"block": "plain", "depth": 8, "width": 4, "norm": "none"}, shape)
    images = torch.randn(12, *shape)
    found = naswot(network, images)

    assert naswot(network, images.flip(0)) == pytest.approx(found)
    for parameter in network.parameters():
        parameter.data.mul_(2)
    assert naswot(network, images) == pytest.approx(found)


# Every kind of network.


@pytest.mark.parametrize("step", [6, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("predictor", MEASURED)
def test_every_form_of_every_block_is_scored(block: str, predictor: str, step: int) -> None:
    for fields in settings_of_block(block)[::step]:
        # so wide that 64 images have different codes
        width = 64 if fields["layout"] == "mlp" else 8
        architecture = resolve_architecture({**fields, "width": width})
        score = score_network(architecture, images_for(architecture), predictor)
        assert score is not None, fields
        assert math.isfinite(score), fields


@pytest.mark.parametrize("norm", ["batch", "group", "layer", "none"])
@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "tanh"])
def test_every_norm_and_activation_is_scored(norm: str, activation: str, digits: Dataset) -> None:
    architecture = resolve_architecture({"depth": 8, "width": 4, "norm": norm, "activation": activation})

    assert all(score_network(architecture, digits, predictor) is not None for predictor in PREDICTORS)


def test_what_is_counted_is_the_count(digits: Dataset) -> None:
    architecture = resolve_architecture({"depth": 8, "width": 4})
    cost = count_cost(architecture, digits.input_shape, digits.num_classes)

    scores = [score_network(architecture, digits, predictor) for predictor in ("parameters", "macs")]
    assert scores == [cost.parameters, cost.macs]


@pytest.mark.parametrize("predictor", MEASURED)
def test_a_score_is_the_same_each_time_and_disturbs_nobody(predictor: str, digits: Dataset) -> None:
    # stochastic depth would draw random numbers
    architecture = resolve_architecture({"depth": 8, "width": 4, "drop_path": 0.5})
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with torch.inference_mode():
            first = score_network(architecture, digits, predictor)
        assert torch.equal(torch.random.get_rng_state(), state)
        assert torch.get_num_threads() == 2
        torch.manual_seed(2)
        assert score_network(architecture, digits, predictor) == first
    finally:
        torch.set_num_threads(threads)
    same = resolve_architecture({"depth": 8, "width": 4})
    assert score_network(same, digits, predictor) == first


def test_hundreds_of_layers_do_not_overflow(digits: Dataset) -> None:
    flows = [
        score_network(resolve_architecture({"depth": depth, "width": 4}), digits, "synflow")
        for depth in (20, 602)
    ]
    assert None not in flows
    # far beyond the largest number of 64 bits
    assert flows[0] < math.log(1e300) < flows[1]


# What cannot be ranked.


def test_what_no_flow_gets_through_cannot_be_ranked(digits: Dataset) -> None:
    fixup = resolve_architecture({"depth": 8, "width": 4, "norm": "none", "initialization": "fixup"})

    assert score_network(fixup, digits, "synflow") is None
    assert score_network(fixup, digits, "grad_norm") is not None


def test_fewer_units_than_images_cannot_be_ranked(digits: Dataset) -> None:
    tiny = resolve_architecture({"block": "plain", "layout": "mlp", "depth": 2, "width": 8})

    assert score_network(tiny, digits, "naswot") is None


def test_what_overflows_cannot_be_ranked(digits: Dataset) -> None:
    fields = {"depth": 20, "width": 4, "norm": "none", "initialization": "normal", "initialization_std": 100}
    large = resolve_architecture(fields)

    assert score_network(large, digits, "grad_norm") is None
    assert score_network(large, digits, "naswot") is None


def test_a_network_that_cannot_be_computed_here_cannot_be_ranked(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> nn.Module:
        raise MemoryError

    monkeypatch.setattr(predictors, "build_network", fail)

    assert score_network(resolve_architecture({"depth": 8}), digits, "naswot") is None
