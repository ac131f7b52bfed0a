from __future__ import annotations

import subprocess
import sys

import pytest

from archsearch.architecture import (
    natural_input,
    published_architecture,
    published_names,
    published_paper,
    resolve_architecture,
)
from archsearch.errors import ArchitectureError


@pytest.mark.parametrize("name", published_names())
def test_every_published_network_resolves_and_names_its_paper(name):
    architecture, paper = published_architecture(name), published_paper(name)

    assert resolve_architecture(architecture.to_mapping()) == architecture
    assert paper.authors
    assert 2014 <= paper.year <= 2016
    assert len(paper.arxiv) in (9, 10)
    shape, classes = natural_input(architecture)
    assert classes in (10, 1000)
    assert len(shape) == (1 if architecture.layout == "mlp" else 3)


@pytest.mark.parametrize(
    ("name", "depth", "blocks"),
    [
        ("resnet1202", 1202, (200, 200, 200)),
        ("preresnet1001", 1001, (111, 111, 111)),
        ("wrn-28-10", 26, (4, 4, 4)),
        ("wrn-40-4", 38, (6, 6, 6)),
        ("wrn-16-8", 14, (2, 2, 2)),
        ("densenet-bc-190-40", 190, (31, 31, 31)),
        ("resnet152", 152, (3, 8, 36, 3)),
        ("densenet161", 161, (6, 12, 36, 24)),
        ("vgg16-bn", 16, (2, 2, 3, 3, 3)),
        ("highway-mlp-100", 100, (99,)),
    ],
)
def test_depth_and_blocks_are_as_published(name, depth, blocks):
    architecture = published_architecture(name)

    assert (architecture.depth, architecture.blocks) == (depth, blocks)


def test_names_are_unique_networks():
    ids = [published_architecture(name).id for name in published_names()]

    assert len(set(ids)) == len(ids)


def test_an_unknown_name_is_an_error_that_suggests_near_ones():
    with pytest.raises(
        ArchitectureError, match=r"must be the name of a published network.*Did you mean resnet"
    ):
        published_architecture("resnet57")


def test_architectures_are_resolved_without_torch():
    code = (
        "import sys, archsearch.architecture as a; a.published_architecture('resnet50').id;"
        "a.resolve_architecture({}); assert 'torch' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
