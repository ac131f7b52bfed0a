"""K networks packed into one compute what each computes alone, for every block the registries know."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from archsearch.architecture import BLOCKS, FIELDS, resolve_architecture
from archsearch.errors import ArchitectureError, PackingError
from archsearch.models import build_network
from archsearch.models.memory_format import is_channels_last
from archsearch.models.packed import pack_networks
from tests.architecture.random_fields import small_input
from tests.models.contract import CLASSES, settings_of_block

COUNT = 3
IMAGES = 4


def every_architecture() -> list[object]:
    """Every block, layout, form, order and shortcut with every norm; one norm each of the small every day."""
    rows = []
    for block in BLOCKS:
        for number, fields in enumerate(settings_of_block(block)):
            used = {name: value for name, value in fields.items() if value is not None}
            words = [str(value) for name, value in used.items() if name not in ("blocks", "width")]
            for turn, norm in enumerate(FIELDS["norm"].choices):
                today = turn == number % 4 and used["layout"] in ("cifar", "mlp")
                marks = () if today else pytest.mark.slow
                rows.append(pytest.param({**used, "norm": norm}, id="-".join([*words, norm]), marks=marks))
    return rows


def build(fields: dict[str, object], count: int = COUNT) -> tuple[list[nn.Module], tuple[int, ...]]:
    architecture = resolve_architecture(fields)
    shape = small_input(architecture)
    networks = []
    for seed in range(count):
        torch.manual_seed(seed)
        network = build_network(architecture, shape, CLASSES).double()
        # what begins as zero would hide what is mixed up
        for parameter in network.parameters():
            nn.init.uniform_(parameter, -0.3, 0.3)
        networks.append(network)
    return networks, shape


def side_by_side(batches: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat(batches, 1)


def loss_of(logits: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(logits, torch.arange(IMAGES) % CLASSES)


def check_step(networks: list[nn.Module], shape: tuple[int, ...]) -> None:
    """Logits, gradients, running statistics and evaluation are those of each network alone."""
    packed = pack_networks(networks)
    images = [torch.randn(IMAGES, *shape, dtype=torch.float64) for _ in networks]
    packed.seed(range(len(networks)))

    together = packed.train()(side_by_side(images))
    sum(loss_of(together[:, index]) for index in range(len(networks))).backward()

    gradients = {name: parameter.grad for name, parameter in packed.network.named_parameters()}
    buffers = dict(packed.network.named_buffers())
    for index, network in enumerate(networks):
        torch.manual_seed(index)
        alone = network.train()(images[index])
        loss_of(alone).backward()
        torch.testing.assert_close(together[:, index], alone, rtol=1e-9, atol=1e-11)
        for name, parameter in network.named_parameters():
            own = gradients[name].chunk(len(networks))[index]
            torch.testing.assert_close(own, parameter.grad, rtol=1e-9, atol=1e-11, msg=name)
        for name, buffer in network.named_buffers():
            own = buffers[name].chunk(len(networks))[index] if buffer.ndim else buffers[name]
            torch.testing.assert_close(own, buffer, rtol=1e-9, atol=1e-11, msg=name)
    evaluated = packed.eval()(side_by_side(images))
    for index, network in enumerate(networks):
        torch.testing.assert_close(evaluated[:, index], network.eval()(images[index]), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("fields", every_architecture())
def test_every_network_computes_packed_what_it_computes_alone(fields, monkeypatch):
    # 4,096 of them take a quarter of a minute
    monkeypatch.setattr("archsearch.models.network._HIDDEN_UNITS", 32)
    try:
        networks, shape = build(fields)
    except ArchitectureError:
        pytest.skip("this norm makes no sense here")
    check_step(networks, shape)


OTHERS = {
    "fixup": {"initialization": "fixup", "norm": "none"},
    "drop_path": {"drop_path": 0.5},
    "drop_path mlp": {"layout": "mlp", "drop_path": 0.5},
    "DenseNet-BC": {"block": "dense", "bottleneck": True, "compression": 0.5, "width": 4},
    **{name: {"activation": name} for name in FIELDS["activation"].choices},
}


@pytest.mark.parametrize("fields", OTHERS.values(), ids=OTHERS)
def test_so_do_the_other_fields(fields):
    blocks = [2] if fields.get("layout") == "mlp" else [2, 1, 1]
    check_step(*build({"block": "residual", "layout": "cifar", "width": 4, "blocks": blocks, **fields}))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_dropout_draws_what_it_draws_alone(memory_format):
    torch.manual_seed(0)
    networks = [nn.Sequential(nn.Conv2d(2, 5, 3), nn.Dropout(0.3)) for _ in range(COUNT)]
    packed = pack_networks(networks)
    packed.seed([7, 8, 9])
    images = [torch.randn(IMAGES, 2, 6, 6) for _ in networks]

    together = packed(side_by_side(images).contiguous(memory_format=memory_format)).flatten(1, 2)

    for index, (network, own) in enumerate(zip(networks, images, strict=True)):
        torch.manual_seed(7 + index)
        alone = network(own.contiguous(memory_format=memory_format))
        assert torch.equal(together.chunk(COUNT, 1)[index] == 0, alone == 0)


def test_packing_and_unpacking_give_back_every_bit():
    networks, shape = build({"depth": 8, "width": 4, "shortcut": "gate"})
    for index, network in enumerate(networks):
        for _ in range(3):
            network(torch.randn(IMAGES, *shape, dtype=torch.float64) + index)
    before = [{name: tensor.clone() for name, tensor in one.state_dict().items()} for one in networks]
    others = build({"depth": 8, "width": 4, "shortcut": "gate"})[0]

    pack_networks(networks).share(others)

    for expected, network in zip(before, others, strict=True):
        state = network.state_dict()
        assert list(state) == list(expected)
        assert all(torch.equal(state[name], expected[name]) for name in expected)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_shared_networks_are_trained_along(memory_format):
    networks, shape = build({"depth": 8, "width": 4, "shortcut": "projection"})
    networks = [network.to(memory_format=memory_format) for network in networks]
    packed = pack_networks(networks)
    packed.share(networks)
    images = [torch.randn(IMAGES, *shape, dtype=torch.float64) for _ in networks]

    packed(side_by_side(images)).square().sum().backward()
    torch.optim.SGD(packed.parameters(), lr=0.1).step()

    evaluated = packed.eval()(side_by_side(images))
    for index, network in enumerate(networks):
        torch.testing.assert_close(evaluated[:, index], network.eval()(images[index]), rtol=1e-9, atol=1e-11)
        assert int(network.state_dict()["stem.1.num_batches_tracked"]) == 1


# not bfloat16, where some kernels multiply a neighbour's NaN by zero: see the training of packs
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("fields", [{}, {"shortcut": "projection", "width": 3}, {"layout": "mlp"}], ids=str)
def test_a_network_that_is_not_a_number_leaves_its_neighbours_alone(fields, memory_format, dtype):
    depth = {} if fields.get("layout") == "mlp" else {"depth": 8}
    networks, shape = build({"width": 4, **depth, **fields})
    for network in networks:
        network.to(dtype=dtype, memory_format=memory_format)
    with torch.no_grad():
        for parameter in networks[1].parameters():
            parameter.fill_(torch.nan)
    packed = pack_networks(networks)
    images = torch.randn(IMAGES, COUNT * shape[0], *shape[1:]).to(dtype)
    if images.ndim == 4:
        images = images.contiguous(memory_format=memory_format)

    logits = packed(images)
    logits.sum().backward()

    assert logits[:, 1].isnan().all()
    assert logits[:, [0, 2]].isfinite().all()
    for name, parameter in packed.network.named_parameters():
        first, _, third = parameter.grad.chunk(COUNT)
        assert first.isfinite().all(), name
        assert third.isfinite().all(), name


class _Swapping(nn.Conv2d):
    def forward(self, images):
        return super().forward(images.flip(1))


class _Arranging(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU())


def test_a_plugins_arrangement_of_known_parts_is_packed_and_its_own_layer_refused():
    assert pack_networks([_Arranging(), _Arranging()])(torch.randn(2, 6, 4, 4)).shape == (2, 2, 4, 4, 4)
    networks = [nn.Sequential(nn.ReLU(), _Swapping(3, 4, 1)) for _ in range(2)]
    with pytest.raises(PackingError, match=r"network\.1 is a _Swapping, which is not known to work packed"):
        pack_networks(networks)


def test_what_would_see_or_mix_several_networks_is_refused():
    hooked = nn.Sequential(nn.Linear(3, 4))
    hooked[0].register_forward_hook(lambda *_: None)
    with pytest.raises(PackingError, match=r"network\.0 has hooks, which would see 2 networks at once"):
        pack_networks([hooked, hooked])
    flat = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(0))
    with pytest.raises(PackingError, match="a Flatten of other dimensions"):
        pack_networks([flat, flat])


class _MixedFormats(TorchDispatchMode):
    """Collects operations on images of which some have channels last and some have not."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, result)) if isinstance(x, torch.Tensor) and x.ndim == 4]
        # a view computes nothing, and one pixel or channel is of both formats
        plain = [x for x in tensors if x.is_contiguous() and not is_channels_last(x) and x.shape[1] > 1]
        if plain and not func.is_view and "view" not in str(func):
            self.found.add(str(func))
        return result


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"shortcut": "projection"},
        {"preactivation": True},
        {"shortcut": "scaled"},
        {"drop_path": 0.2},
        {"block": "plain"},
        {"block": "highway"},
        {"block": "dense", "depth": 10},
        {"block": "grouped", "depth": 11, "cardinality": 2},
        {"norm": "none"},
    ],
)
def test_channels_that_are_last_stay_last_forward_and_backward(fields, count):
    architecture = resolve_architecture({"depth": 8, "width": 4} | fields)
    networks = [
        build_network(architecture, (3, 16, 16), 10).to(memory_format=torch.channels_last)
        for _ in range(count)
    ]
    network = networks[0] if count == 1 else pack_networks(networks)
    network.to(memory_format=torch.channels_last)
    images = torch.rand(8, 3 * count, 16, 16).contiguous(memory_format=torch.channels_last)
    mixed = _MixedFormats()

    with mixed:
        network(images).sum().backward()

    assert not mixed.found
