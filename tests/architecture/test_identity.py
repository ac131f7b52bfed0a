from __future__ import annotations

import random
from dataclasses import fields as fields_of

import pytest

from archsearch.architecture import (
    FIELDS,
    normal_form,
    plan_network,
    published_architecture,
    resolve_architecture,
)
from archsearch.errors import ArchitectureError
from tests.architecture.random_fields import random_architectures


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet20", "v1:891d4a9e5c716433"),
        ("resnet50", "v1:db5ce3d603cc78d2"),
        ("densenet-bc-100-12", "v1:1054898296636942"),
        ("resnext29-8x64d", "v1:adc8e96ad2f306b1"),
        ("highway-mlp-50", "v1:64494b4ea5399229"),
        ("vgg19-bn", "v1:40b5f39ed07836a6"),
    ],
)
def test_ids_stay_as_journals_have_them(name, expected):
    assert published_architecture(name).id == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"depth": 20}, {"blocks": [3, 3, 3]}),
        ({"width": 16}, {"width": 16.05}),
        (
            {"block": "grouped", "cardinality": 1, "group_width": 16},
            {"block": "residual", "bottleneck": True},
        ),
        ({"layout": "mlp", "shortcut": "projection"}, {"layout": "mlp", "shortcut": "pad"}),
        (
            {"blocks": [1, 1, 1], "bottleneck": True, "shortcut": "projection_all"},
            {"blocks": [1, 1, 1], "bottleneck": True, "shortcut": "projection"},
        ),
        ({"shortcut": "conv", "norm": "none"}, {"shortcut": "projection_all", "norm": "none"}),
        ({"shortcut": "conv", "preactivation": True}, {"shortcut": "projection_all", "preactivation": True}),
        ({"block": "plain", "preactivation": True}, {"block": "plain"}),
        (
            {"layout": "mlp", "width": 5, "norm": "group"},
            {"layout": "mlp", "width": 5, "norm": "layer"},
        ),
        (
            {"block": "dense", "bottleneck": True, "compression": 0.5, "stem_width": 32},
            {"block": "dense", "bottleneck": True, "compression": 0.501},
        ),
        (
            {"norm": "none", "shortcut": "projection_all", "preactivation": True},
            {"norm": "none", "shortcut": "projection_all"},
        ),
        ({"shortcut": "gate", "gate_bias": -2.0}, {"shortcut": "gate"}),
    ],
)
def test_one_network_described_twice_has_one_id(one, other):
    assert resolve_architecture(one).id == resolve_architecture(other).id


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"shortcut": "conv"}, {"shortcut": "projection_all"}),
        ({"shortcut": "pad"}, {"shortcut": "projection"}),
        ({"preactivation": True}, {}),
        (
            {"block": "plain", "layout": "imagenet", "preactivation": True},
            {"block": "plain", "layout": "imagenet"},
        ),
        ({"blocks": [2, 3, 4]}, {"blocks": [4, 3, 2]}),
        ({"width": 16}, {"width": 16.3}),
        ({"norm": "group"}, {"norm": "layer"}),
        ({"block": "grouped", "cardinality": 1, "group_width": 32}, {"bottleneck": True}),
        ({"drop_path": 0.1}, {}),
        ({"block": "highway", "gate_bias": -3}, {"block": "highway"}),
        ({"initialization": "normal"}, {"initialization": "normal", "initialization_std": 0.02}),
    ],
)
def test_different_networks_have_different_ids(one, other):
    assert resolve_architecture(one).id != resolve_architecture(other).id


def test_the_normal_form_is_its_own_normal_form_and_keeps_id_and_depth():
    for architecture in random_architectures(300, seed=2):
        normal = normal_form(architecture)

        assert normal_form(normal) == normal
        assert normal.id == architecture.id
        assert normal.depth == architecture.depth
        assert plan_network(normal) == plan_network(architecture)


def test_a_change_of_one_field_changes_the_id_unless_the_normal_form_is_the_same():
    rng = random.Random(3)
    changed_count = 0
    for architecture in random_architectures(150, seed=3):
        field = FIELDS[rng.choice([f.name for f in fields_of(architecture)])]
        if field.kind == "choice" and getattr(architecture, field.name) is not None:
            value = rng.choice(field.choices)
            mapping = architecture.to_mapping() | {field.name: value}
            try:
                changed = resolve_architecture(mapping, strict=False)
            except ArchitectureError:
                continue
            changed_count += changed != architecture
            assert (changed.id == architecture.id) == (normal_form(changed) == normal_form(architecture)), (
                architecture,
                changed,
            )
    assert changed_count > 10
