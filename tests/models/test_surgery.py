from itertools import chain, combinations

import pytest
import torch
from torch.nn import functional

from archsearch.architecture import resolve_architecture
from archsearch.models import build_network
from archsearch.models.surgery import Anatomy

SHAPE, CLASSES = (3, 8, 8), 10
KINDS = {
    "plain": {"block": "plain"},
    "residual": {"block": "residual"},
    "preactivated": {"block": "residual", "preactivation": True},
    "scaled": {"block": "residual", "shortcut": "scaled"},
    "gated shortcut": {"block": "residual", "shortcut": "gate"},
    "bottleneck": {"block": "residual", "bottleneck": True, "depth": 20},
    "grouped": {"block": "grouped", "cardinality": 2, "depth": 20},
    "highway": {"block": "highway"},
    "dense": {"block": "dense", "depth": 10, "width": 4},
    "fixup": {"block": "residual", "norm": "none", "initialization": "fixup"},
}


def make(fields):
    torch.manual_seed(0)
    architecture = resolve_architecture({"depth": 14, "width": 4, **fields})
    network = build_network(architecture, SHAPE, CLASSES).double()
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    # running statistics other than the initial ones
    network(torch.randn(16, *SHAPE, dtype=torch.float64))
    return network.eval(), Anatomy(network, architecture, SHAPE, CLASSES)


@pytest.fixture(params=KINDS, ids=list(KINDS))
def kind(request):
    return request.param


@pytest.fixture
def images():
    return torch.randn(6, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def blocks_of(network):
    return [module for stage in network.stages for module in stage if hasattr(module, "join")]


def whole(anatomy):
    return [[number] for number in range(len(anatomy.plans))]


def zero_branch(block):
    """Make a branch give zeros, by its weights alone."""
    last = [m for m in block.branch.modules() if getattr(m, "weight", None) is not None]
    for module in last[-1:]:
        module.weight.data.zero_()
        if module.bias is not None:
            module.bias.data.zero_()
    for module in block.branch.modules():
        if type(module).__name__ == "Scale":
            module.scale.data.zero_()
    if type(list(block.branch.modules())[-1]).__name__ == "Bias":
        list(block.branch.modules())[-1].bias.data.zero_()


class TestRemoval:
    def test_leaves_what_the_network_gives_when_the_branch_gives_zeros(self, kind, images):
        if kind in ("plain", "highway"):
            pytest.skip("has no branch that is added")
        network, anatomy = make(KINDS[kind])
        for number in anatomy.removable:
            with anatomy.rearranged([[] if n == number else [n] for n in range(len(anatomy.plans))]):
                removed = network(images)
            reference, _ = make(KINDS[kind])
            zero_branch(blocks_of(reference)[number])
            torch.testing.assert_close(removed, reference(images))

    def test_of_a_highway_block_carries_its_input(self, images):
        network, anatomy = make(KINDS["highway"])
        for number in anatomy.removable:
            arrangement = whole(anatomy)
            arrangement[number] = []
            with anatomy.rearranged(arrangement):
                removed = network(images)
            reference, _ = make(KINDS["highway"])
            gate = blocks_of(reference)[number].join.gate.layer
            gate.weight.data.zero_()
            gate.bias.data.fill_(-100.0)
            torch.testing.assert_close(removed, reference(images))

    def test_of_a_plain_block_is_the_network_without_it(self, images):
        network, anatomy = make({"block": "plain", "depth": 20})
        arrangement = whole(anatomy)
        arrangement[1] = []
        with anatomy.rearranged(arrangement):
            removed = network(images)
        blocks = blocks_of(network)
        x = network.stem(images)
        for block in (blocks[0], *blocks[2:]):
            x = block(x)
        torch.testing.assert_close(removed, network.head(x))

    def test_is_impossible_where_nothing_would_go_round(self):
        _, plain = make({"block": "plain", "depth": 20})
        _, residual = make({"block": "residual", "depth": 20})

        assert plain.removable == [0, 1, 2, 4, 5, 7, 8]
        assert residual.removable == list(range(9))


def test_exchanged_neighbours_are_blocks_with_exchanged_weights(images):
    network, anatomy = make({"block": "residual", "depth": 20})
    assert anatomy.exchangeable == [(0, 1), (1, 2), (4, 5), (7, 8)]

    arrangement = whole(anatomy)
    arrangement[4], arrangement[5] = [5], [4]
    with anatomy.rearranged(arrangement):
        exchanged = network(images)

    reference, _ = make({"block": "residual", "depth": 20})
    one, other = blocks_of(reference)[4:6]
    states = {name: value.clone() for name, value in one.state_dict().items()}
    one.load_state_dict(other.state_dict())
    other.load_state_dict(states)
    torch.testing.assert_close(exchanged, reference(images))
    assert not torch.allclose(exchanged, network(images))


def test_a_repeated_block_is_applied_twice(images):
    network, anatomy = make({"block": "highway"})
    assert anatomy.repeatable == [0, 1, 3, 5]
    arrangement = whole(anatomy)
    arrangement[1] = [1, 1]

    with anatomy.rearranged(arrangement):
        repeated = network(images)

    blocks = blocks_of(network)
    x = network.stem(images)
    for block in (*blocks[:2], *blocks[1:]):
        x = block(x)
    torch.testing.assert_close(repeated, network.head(x))


def test_a_network_is_whole_again_afterwards_whatever_happens(kind, images):
    network, anatomy = make(KINDS[kind])
    names, expected = list(network.state_dict()), network(images)

    with pytest.raises(ZeroDivisionError), anatomy.rearranged([[] for _ in anatomy.plans]):
        raise ZeroDivisionError

    assert list(network.state_dict()) == names
    torch.testing.assert_close(network(images), expected, rtol=0, atol=0)


def test_a_dense_block_cannot_be_exchanged_or_repeated():
    _, anatomy = make(KINDS["dense"])

    assert (anatomy.exchangeable, anatomy.repeatable) == ([], [])


class TestPaths:
    @pytest.mark.parametrize("name", ["residual", "preactivated", "scaled", "gated shortcut", "fixup"])
    def test_gradients_of_all_paths_add_up_to_the_gradient(self, name, images):
        fields = {**KINDS[name], "depth": 8}
        network, anatomy = make(fields)
        labels = torch.arange(len(images)) % CLASSES

        def gradient():
            entering = network.stem(images).detach().requires_grad_()
            loss = functional.cross_entropy(network.head(network.stages(entering)), labels)
            return torch.autograd.grad(loss, entering)[0]

        expected = gradient()
        paths = chain.from_iterable(combinations(range(3), length) for length in range(4))
        total = torch.zeros_like(expected)
        for through in paths:
            with anatomy.open_to_path(set(through)):
                total += gradient()

        assert anatomy.has_paths
        torch.testing.assert_close(total, expected)

    def test_do_not_change_what_the_network_gives(self, images):
        network, anatomy = make(KINDS["highway"])
        expected = network(images)

        with anatomy.open_to_path({1, 2}):
            torch.testing.assert_close(network(images), expected)

    @pytest.mark.parametrize("name", ["plain", "dense"])
    def test_there_are_none_without_added_shortcuts(self, name):
        _, anatomy = make(KINDS[name])

        assert not anatomy.has_paths
