import pytest
import torch
from torch import nn
from torch.nn import functional

from archsearch.architecture import resolve_architecture
from archsearch.models import build_network
from archsearch.models.packed import pack_networks
from archsearch.training.signals import POSITIONS, Profiler, gradient_ratio, pool

SHAPE, CLASSES = (1, 8, 8), 10
FAMILIES = {
    "plain": {"block": "plain"},
    "residual": {"block": "residual", "shortcut": "projection"},
    "preactivated": {"block": "residual", "preactivation": True, "drop_path": 0.2},
    "grouped": {"block": "grouped", "cardinality": 2, "depth": 11},
    "highway": {"block": "highway"},
    "dense": {"block": "dense", "depth": 10},
    "no norm": {"block": "plain", "norm": "none"},
    "mlp": {"block": "highway", "layout": "mlp"},
}


def build(fields, seed=0):
    torch.manual_seed(seed)
    return build_network(resolve_architecture({"depth": 8, "width": 4, **fields}), SHAPE, CLASSES).train()


def make_batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(16, *SHAPE, generator=generator), torch.arange(16) % CLASSES


def watch_step(network, images, labels, count=1, rate=0.1):
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    profiler = Profiler(network, count)
    with profiler.watching(optimizer):
        torch.manual_seed(1)
        logits = network(images)
        losses = functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none")
        losses.view_as(labels).mean(0).sum().backward()
        optimizer.step()
    return profiler.read()


def branch_layers(network):
    return [
        module
        for name, module in network.named_modules()
        if ".branch" in name and isinstance(module, nn.Conv2d | nn.Linear)
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_each_weighted_layer_of_the_branches_has_a_value(family):
    network = build(FAMILIES[family])

    (profile,) = watch_step(network, *make_batch())

    count = len(branch_layers(network))
    assert {len(profile[name]) for name in ("gradient_norm", "response_std", "update_ratio")} == {count}
    assert all(value > 0 for name in ("gradient_norm", "response_std") for value in profile[name])
    assert ("gate_openness" in profile) == (family in ("highway", "mlp"))


def test_gradients_and_responses_are_those_of_the_layers():
    images, labels = make_batch()
    (profile,) = watch_step(build({"block": "plain", "norm": "none"}), images, labels)

    network = build({"block": "plain", "norm": "none"})
    responses = []
    x = network.stem(images)
    for stage in network.stages:
        for block in stage:
            for layer in block.branch:
                x = layer(x)
                if isinstance(layer, nn.Conv2d):
                    x.retain_grad()
                    responses.append(x)
                    # what follows overwrites its input
                    x = x.clone()
            x = functional.relu(x)
    functional.cross_entropy(network.head(x), labels).backward()
    assert profile["gradient_norm"] == pytest.approx([r.grad.norm().item() for r in responses], rel=1e-3)
    assert profile["response_std"] == pytest.approx([r.std(correction=0).item() for r in responses], rel=1e-3)


def test_a_response_is_seen_behind_its_norm():
    (profile,) = watch_step(build({"block": "plain"}), *make_batch())

    # batch norm gives every response a standard deviation of 1, but for its eps
    assert profile["response_std"] == pytest.approx([1.0] * 6, rel=0.1)


def test_updates_are_relative_to_the_weights():
    images, labels = make_batch()
    network = build({"block": "residual"})
    before = [layer.weight.detach().clone() for layer in branch_layers(network)]

    (profile,) = watch_step(network, images, labels, rate=0.5)

    after = [layer.weight.detach() for layer in branch_layers(network)]
    expected = [((new - old).norm() / old.norm()).item() for new, old in zip(after, before, strict=True)]
    assert profile["update_ratio"] == pytest.approx(expected, rel=1e-3)


def test_dead_channels_are_counted():
    network = build({"block": "plain"})
    norm = network.stages[0][0].branch[1]
    norm.bias.data[:3] = -100.0

    (profile,) = watch_step(network, *make_batch())

    assert profile["dead_frac"][:2] == (0.75, 0.0)


def test_gates_are_as_open_as_their_bias_lets_them():
    network = build({"block": "highway", "gate_bias": -3.0})
    for name, module in network.named_modules():
        if name.endswith("gate.layer"):
            module.weight.data.zero_()

    (profile,) = watch_step(network, *make_batch())

    assert profile["gate_openness"] == pytest.approx([torch.sigmoid(torch.tensor(-3.0)).item()] * 3, rel=1e-3)


@pytest.mark.parametrize("family", ["plain", "highway", "grouped", "no norm", "mlp"])
def test_packed_networks_are_told_apart(family):
    singles = [build(FAMILIES[family], seed) for seed in range(3)]
    batches = [make_batch(seed) for seed in range(3)]
    packed = pack_networks(singles).train()

    profiles = watch_step(
        packed,
        torch.cat([images for images, _ in batches], 1),
        torch.stack([labels for _, labels in batches], 1),
        count=3,
    )

    for profile, single, batch in zip(profiles, singles, batches, strict=True):
        (alone,) = watch_step(single, *batch)
        assert set(profile) == set(alone)
        for name, values in profile.items():
            assert values == pytest.approx(alone[name], rel=2e-3, abs=1e-7), name


def test_nothing_stays_behind():
    network = build({"block": "highway"})
    images, labels = make_batch()
    watch_step(network, images, labels)

    assert not any(module._forward_hooks for module in network.modules())
    expected = network.eval()(images)
    torch.testing.assert_close(network(images), expected)


def test_vanishing_gradients_have_a_ratio_far_below_one():
    small = {"layout": "mlp", "block": "plain", "norm": "none", "depth": 20, "width": 32}
    vanishing = {**small, "initialization": "normal", "initialization_std": 0.05}
    batch = make_batch()

    (bad,), (good,) = (watch_step(build(fields), *batch) for fields in (vanishing, {"block": "residual"}))

    assert gradient_ratio(bad) < 1e-6
    assert 0.1 < gradient_ratio(good) < 10
    assert gradient_ratio({}) is None
    assert gradient_ratio({"gradient_norm": (1.0, 2.0, 3.0, 4.0, 8.0, 4.0, 2.0, 2.0)}) == 3 / 4


@pytest.mark.parametrize(
    ("values", "expected"), [([], []), ([1.0], [1.0]), ([1.0, 3.0, 5.0], [1.0, 4.0])], ids=str
)
def test_neighbours_are_averaged(values, expected):
    assert pool(values, most=2) == expected


def test_a_profile_never_has_more_positions_than_it_may():
    assert len(pool([1.0] * 1000)) == POSITIONS
    assert pool([float(i) for i in range(64)])[:2] == [0.5, 2.5]
