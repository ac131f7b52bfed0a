from __future__ import annotations

import json

import pytest

from archsearch.architecture import FIELDS, dropped_fields, nearest_depths, resolve_architecture
from archsearch.errors import ArchitectureError
from tests.architecture.random_fields import random_architectures


def test_defaults_are_resnet_20_with_option_a():
    architecture = resolve_architecture({})

    assert architecture.to_mapping() == {
        "block": "residual",
        "layout": "cifar",
        "depth": 20,
        "blocks": [3, 3, 3],
        "width": 16,
        "stem_width": 16,
        "bottleneck": False,
        "preactivation": False,
        "shortcut": "pad",
        "norm": "batch",
        "activation": "relu",
        "initialization": "he",
        "drop_path": 0,
    }
    assert architecture.name == "residual-20 w16 pad"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"bottleneck": True}, {"shortcut": "projection", "depth": 20}),
        ({"layout": "imagenet"}, {"shortcut": "projection", "depth": 18}),
        ({"layout": "imagenet", "bottleneck": True}, {"depth": 50, "stride_in": "3x3"}),
        ({"block": "grouped"}, {"cardinality": 8, "group_width": 4, "bottleneck": True, "depth": 20}),
        ({"block": "grouped", "width": 64, "cardinality": 32}, {"group_width": 4, "stem_width": 64}),
        ({"block": "dense"}, {"depth": 19, "stem_width": 16, "preactivation": True, "compression": 1}),
        ({"block": "dense", "bottleneck": True}, {"depth": 22, "stem_width": 16}),
        ({"block": "dense", "bottleneck": True, "compression": 0.5, "width": 12}, {"stem_width": 24}),
        ({"block": "dense", "layout": "imagenet", "width": 32}, {"depth": 121, "stem_width": 64}),
        ({"block": "highway"}, {"gate_bias": -2, "shortcut": "pad", "drop_path": None}),
        ({"shortcut": "gate"}, {"gate_bias": -2}),
        ({"initialization": "normal"}, {"initialization_std": 0.01}),
        ({"block": "plain", "layout": "vgg"}, {"depth": 19, "stem_width": None, "preactivation": None}),
        ({"layout": "mlp"}, {"depth": 20, "blocks": (19,), "shortcut": "pad", "bottleneck": None}),
    ],
)
def test_defaults_follow_the_family(fields, expected):
    architecture = resolve_architecture(fields)

    assert {name: getattr(architecture, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"depth": 21}, r"depth: must be 6n\+2 for basic cifar blocks, got 21. Nearest: 20, 26."),
        ({"depth": 21, "bottleneck": True}, r"must be 9n\+2 for bottleneck cifar blocks"),
        (
            {"depth": 30, "block": "grouped"},
            r"must be 9n\+2 for grouped cifar blocks, got 30. Nearest: 29, 38.",
        ),
        ({"depth": 41, "block": "dense"}, r"must be 3n\+4 for dense cifar blocks, got 41. Nearest: 40, 43."),
        ({"depth": 41, "block": "dense", "bottleneck": True}, r"must be 6n\+4 for dense bottleneck cifar"),
        ({"depth": 50, "layout": "imagenet"}, "must be 18 or 34 for basic imagenet blocks"),
        ({"depth": 20, "layout": "vgg", "block": "plain"}, "must be 11, 13, 16 or 19 for vgg blocks"),
        ({"block": "dense", "layout": "imagenet", "bottleneck": False}, "Give 4 numbers"),
        ({"depth": 1}, "must be at least 2"),
        ({"depth": 20.5}, "depth: must be a whole number"),
        ({"depth": True}, "depth: must be a whole number"),
        ({"width": "16"}, "width: must be a number"),
        ({"width": float("nan")}, "width: must be a finite number"),
        ({"width": 0.5}, "width: must be at least 1"),
        ({"width": 10**400}, "width: must be at most 65536"),
        ({"bottleneck": 1}, "bottleneck: must be true or false"),
        ({"blocks": "333"}, "blocks: must be a list of whole numbers"),
        ({"blocks": [1, 0, 1]}, "blocks: must be at least 1"),
        ({"blocks": [1, 2]}, "blocks: must have 3 entries in layout cifar"),
        ({"blocks": [1, 2, 3], "depth": 20}, "depth: must agree with blocks, which make 14"),
        ({"dept": 20}, "dept: must be a field of an architecture.*Did you mean depth"),
        ({"block": "resdual"}, "block: must be one of plain, .*Did you mean residual"),
        ({"layout": "vgg"}, "block: must be one of plain in layout vgg"),
        (
            {"block": "grouped", "layout": "mlp"},
            "must be one of plain, residual, dense, highway in layout mlp",
        ),
        ({"block": "plain", "drop_path": 0.1}, "drop_path: must be left out: plain in layout cifar"),
        ({"block": "plain", "shortcut": "pad"}, "shortcut: must be left out"),
        ({"block": "plain", "initialization": "zero_gamma"}, "must not be zero_gamma for plain"),
        (
            {"preactivation": True, "initialization": "zero_gamma"},
            "must not be zero_gamma with preactivation",
        ),
        ({"norm": "none", "initialization": "zero_gamma"}, "must not be zero_gamma without a norm"),
        ({"initialization": "fixup"}, "must not be fixup with a norm"),
        ({"initialization": "fixup", "norm": "none", "layout": "mlp"}, "must not be fixup in an mlp"),
        (
            {"block": "highway", "shortcut": "conv"},
            "must be one of pad, projection, projection_all for highway",
        ),
        ({"stem_width": 32}, "cannot reduce 32 channels to 16.*Choose projection"),
        ({"block": "grouped", "cardinality": 5}, "cardinality: must divide twice the width"),
        ({"block": "grouped", "bottleneck": False}, "bottleneck: must be true for grouped"),
        ({"block": "dense", "preactivation": False}, "preactivation: must be true for dense"),
        ({"stride_in": "1x1", "bottleneck": True}, "belongs to imagenet bottlenecks"),
        ({"initialization_std": 0.1}, "belongs to initialization: normal"),
        ({"gate_bias": -1}, "belongs to highway and shortcut: gate"),
    ],
)
def test_what_cannot_be_is_an_error_that_says_why(fields, message):
    with pytest.raises(ArchitectureError, match=message) as caught:
        resolve_architecture(fields)

    assert caught.value.path in {*FIELDS, *fields}


def test_unused_fields_are_dropped_when_not_strict():
    fields = {"block": "plain", "drop_path": 0.1, "shortcut": "pad", "depth": 20, "gate_bias": -1}

    assert resolve_architecture(fields, strict=False) == resolve_architecture({"block": "plain", "depth": 20})
    assert dropped_fields(fields) == ("drop_path", "shortcut", "gate_bias")


def test_a_field_with_one_value_may_be_given_and_is_dropped_otherwise():
    grouped = resolve_architecture({"block": "grouped", "bottleneck": True})

    assert grouped == resolve_architecture({"block": "grouped", "bottleneck": False}, strict=False)
    assert dropped_fields({"block": "grouped", "bottleneck": True}) == ()
    assert dropped_fields({"block": "grouped", "bottleneck": False}) == ("bottleneck",)


def test_mapping_is_json_and_resolves_to_an_equal_architecture():
    for architecture in random_architectures(300, seed=1):
        mapping = json.loads(json.dumps(architecture.to_mapping()))

        assert resolve_architecture(mapping) == architecture


@pytest.mark.parametrize(
    ("given", "path"), [({"layout": "mlp", "depth": 1002}, "depth"), ({"blocks": [400, 400, 201]}, "blocks")]
)
def test_blocks_that_all_differ_are_not_too_many(given, path):
    with pytest.raises(ArchitectureError, match=f"{path}: must make at most 1,000 dense blocks, not 1,001"):
        resolve_architecture({"block": "dense", **given})
    resolve_architecture({"block": "dense", "layout": "mlp", "depth": 1001})
    resolve_architecture({"block": "residual", "layout": "mlp", "depth": 5000})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"depth": 21}, (20, 26)),
        ({"depth": 23}, (20, 26)),
        ({"depth": 25}, (26, 20)),
        ({"depth": 20}, (20, 14)),
        ({"depth": 2}, (8, 14)),
        ({"depth": 50, "layout": "imagenet"}, (34, 18)),
        ({"depth": 3, "layout": "mlp"}, (3, 2)),
        ({"depth": 1000, "block": "dense", "layout": "imagenet"}, (264, 201)),
        ({"depth": 100, "block": "dense", "layout": "imagenet", "bottleneck": False}, ()),
    ],
)
def test_nearest_depths_come_nearest_first(fields, expected):
    assert nearest_depths(fields) == expected


@pytest.mark.parametrize(
    ("fields", "valid"),
    [
        ({}, [6 * n + 2 for n in range(1, 20)]),
        ({"block": "highway"}, [6 * n + 2 for n in range(1, 20)]),
        ({"bottleneck": True}, [9 * n + 2 for n in range(1, 14)]),
        ({"block": "grouped"}, [9 * n + 2 for n in range(1, 14)]),
        ({"block": "dense"}, [3 * n + 4 for n in range(1, 40)]),
        ({"block": "dense", "bottleneck": True}, [6 * n + 4 for n in range(1, 20)]),
        ({"block": "highway", "layout": "mlp"}, list(range(2, 120))),
        ({"block": "plain", "layout": "imagenet"}, [18, 34]),
        ({"block": "grouped", "layout": "imagenet"}, [50, 101]),
        ({"block": "plain", "layout": "vgg"}, [11, 13, 16, 19]),
    ],
)
def test_exactly_these_depths_are_valid(fields, valid):
    def is_valid(depth: int) -> bool:
        try:
            return resolve_architecture({**fields, "depth": depth}).depth == depth
        except ArchitectureError:
            return False

    assert [depth for depth in range(2, 118) if is_valid(depth)] == [d for d in valid if d < 118]
