import pytest
import torch

from archsearch.architecture import resolve_architecture
from archsearch.errors import ArchitectureError
from archsearch.models import build_network
from archsearch.models.deepening import deepen

SHAPE, CLASSES = (3, 8, 8), 10


def train_a_little(fields):
    torch.manual_seed(0)
    network = build_network(resolve_architecture(fields), SHAPE, CLASSES)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
    for _ in range(3):
        loss = network(torch.randn(16, *SHAPE)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


@pytest.mark.parametrize(
    "fields",
    [
        {"block": "plain"},
        {"block": "plain", "norm": "none"},
        {"block": "residual"},
        {"block": "residual", "preactivation": True},
        {"block": "residual", "norm": "group"},
        {"block": "residual", "initialization": "fixup", "norm": "none"},
        {"block": "highway"},
        {"block": "grouped", "cardinality": 2},
    ],
    ids=lambda fields: " ".join(map(str, fields.values())),
)
def test_an_extended_network_computes_what_the_shallow_one_does(fields):
    shallow_depth, deep_depth = (11, 29) if fields["block"] == "grouped" else (8, 20)
    shallow = train_a_little({**fields, "width": 4, "depth": shallow_depth})
    architecture = resolve_architecture({**fields, "width": 4, "depth": deep_depth})
    images = torch.randn(8, *SHAPE)

    deep = deepen(shallow, architecture, images, CLASSES)

    count = sum(hasattr(module, "join") for module in deep.modules())
    assert count == sum(architecture.blocks)
    torch.testing.assert_close(deep(images), shallow(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"block": "plain", "norm": "group"}, "can copy their input"),
        ({"block": "plain", "activation": "tanh"}, "can copy their input"),
        ({"block": "residual", "activation": "gelu"}, "can copy their input"),
        ({"block": "residual", "shortcut": "projection_all"}, "can copy their input"),
        ({"block": "dense"}, "depth alone"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(map(str, value.values())),
)
def test_what_cannot_copy_is_refused(fields, rule):
    shallow_depth, deep_depth = (10, 16) if fields["block"] == "dense" else (8, 20)
    shallow = train_a_little({**fields, "width": 4, "depth": shallow_depth})

    with pytest.raises(ArchitectureError, match=rule):
        deepen(
            shallow,
            resolve_architecture({**fields, "width": 4, "depth": deep_depth}),
            torch.randn(8, *SHAPE),
            CLASSES,
        )


def test_a_network_is_not_deepened_to_a_shallower_one():
    shallow = train_a_little({"block": "plain", "width": 4, "depth": 20})

    with pytest.raises(ArchitectureError, match="at least the shallow network's blocks"):
        deepen(
            shallow,
            resolve_architecture({"block": "plain", "width": 4, "depth": 8}),
            torch.randn(2, *SHAPE),
            10,
        )
