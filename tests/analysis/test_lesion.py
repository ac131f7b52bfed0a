import math

import pytest
import torch

from archsearch.analysis.lesion import study_lesions
from archsearch.analysis.path_lengths import measure_path_lengths, spread_counts
from archsearch.architecture import resolve_architecture
from archsearch.models import build_network
from archsearch.models.surgery import Anatomy

SHAPE, CLASSES = (1, 8, 8), 10


@pytest.fixture
def anatomy():
    torch.manual_seed(0)
    architecture = resolve_architecture({"block": "residual", "width": 4, "depth": 20})
    network = build_network(architecture, SHAPE, CLASSES).eval()
    return Anatomy(network, architecture, SHAPE, CLASSES)


def count_wrappers(network):
    """An error that depends on what stands where alone: the share of places whose block is missing."""
    return sum(type(module).__name__ == "Removed" for module in network.modules()) / 100


def test_every_kind_of_lesion_is_made_and_named(anatomy):
    study = study_lesions(anatomy, count_wrappers, draws=3, pairs=5)

    assert [lesion.blocks for lesion in study.of("remove")] == [(number,) for number in range(9)]
    assert {lesion.error for lesion in study.of("remove")} == {0.01}
    assert len(study.of("pair")) == 5
    assert all(lesion.error == 0.02 for lesion in study.of("pair"))
    assert all(lesion.error == len(lesion.blocks) / 100 for lesion in study.of("random"))
    assert {len(lesion.blocks) for lesion in study.of("random")} == set(range(1, 10))
    assert [lesion.blocks for lesion in study.of("exchange")] == [(0, 1), (1, 2), (4, 5), (7, 8)]
    assert [lesion.blocks for lesion in study.of("repeat")] == [(0,), (1,), (2,), (4,), (5,), (7,), (8,)]
    assert (study.blocks, study.changing, study.error) == (9, (3, 6), 0.0)
    assert study.damage("pair") == [0.02] * 5


def test_the_same_seed_draws_the_same_lesions(anatomy):
    one, same, other = (study_lesions(anatomy, count_wrappers, seed=seed) for seed in (1, 1, 2))

    assert one == same
    assert one.of("random") != other.of("random")


@pytest.mark.parametrize(
    ("largest", "expected"),
    [(0, []), (1, [1]), (4, [1, 2, 3, 4]), (28, [1, 4, 7, 10, 13, 16, 19, 22, 25, 28])],
)
def test_counts_are_spread_from_one_to_the_largest(largest, expected):
    assert spread_counts(largest) == expected


def test_path_lengths_weigh_gradients_by_the_number_of_paths(anatomy):
    images, labels = torch.randn(8, *SHAPE), torch.arange(8)

    paths = measure_path_lengths(anatomy, images, labels, draws=3)

    assert [path.length for path in paths] == list(range(10))
    assert [path.paths_frac for path in paths] == pytest.approx([math.comb(9, k) / 2**9 for k in range(10)])
    weights = [math.comb(9, path.length) * path.gradient_norm for path in paths]
    assert [path.gradient_frac for path in paths] == pytest.approx([w / sum(weights) for w in weights])
    assert all(path.gradient_norm > 0 for path in paths)


@pytest.mark.parametrize(("blocks", "measured"), [(30, 31), (64, 65), (65, 21)])
def test_paths_of_all_lengths_are_followed_up_to_64_blocks(blocks, measured):
    torch.manual_seed(0)
    architecture = resolve_architecture(
        {"layout": "mlp", "block": "residual", "width": 4, "depth": blocks + 1}
    )
    network = build_network(architecture, (4,), 3).eval()
    anatomy = Anatomy(network, architecture, (4,), 3)

    paths = measure_path_lengths(anatomy, torch.randn(2, 4), torch.arange(2), draws=1)

    assert len(anatomy.plans) == blocks
    assert len(paths) == measured
    assert (paths[0].length, paths[-1].length) == (0, blocks)
    assert (sum(path.paths_frac for path in paths) == pytest.approx(1)) == (measured == blocks + 1)


@pytest.mark.slow
def test_paths_of_a_very_deep_network_are_counted_without_overflow():
    torch.manual_seed(0)
    architecture = resolve_architecture({"layout": "mlp", "block": "residual", "width": 4, "depth": 1201})
    network = build_network(architecture, (4,), 3).eval()
    anatomy = Anatomy(network, architecture, (4,), 3)

    paths = measure_path_lengths(anatomy, torch.randn(2, 4), torch.arange(2), draws=1)

    assert max(path.length for path in paths) == len(anatomy.plans) > 1000
    assert all(math.isfinite(path.gradient_frac) for path in paths)
