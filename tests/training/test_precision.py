"""Results under bf16 stay within the noise of seeds."""

import random

import pytest

from archsearch.training.hardware import computes_bf16
from benchmarks.precision import NETWORKS, describe_pairs, judge, train_pairs


def pairs(shift, *, n=6, noise=0.01, networks=5):
    """Pairs of errors with a spread of seeds, the second of each worse by so much."""
    rng = random.Random(3)
    return [
        [(0.1 + rng.gauss(0, noise), 0.1 + shift + rng.gauss(0, noise)) for _ in range(n)]
        for _ in range(networks)
    ]


@pytest.mark.parametrize(
    ("shift", "within"), [(0.0, True), (0.001, True), (-0.001, True), (0.01, False), (-0.02, False)]
)
def test_equal_means_are_told_from_those_that_are_a_standard_deviation_apart(shift, within):
    found = judge(pairs(shift))

    assert found["within_seed_noise"] is within
    assert found["fp32_seed_std"] == pytest.approx(0.01, rel=0.3)
    low, high = found["difference_95"]
    assert low < shift < high


def test_too_few_pairs_show_nothing():
    assert judge(pairs(0.0, n=2, networks=2))["within_seed_noise"] is False


def test_a_row_gives_the_difference_and_its_interval():
    row = describe_pairs([(0.10, 0.12), (0.12, 0.12), (0.14, 0.18)])

    assert row["difference"] == pytest.approx(0.02)
    assert row["fp32_seed_std"] == pytest.approx(0.02)
    # t of 0.975 at two degrees of freedom is 4.303
    assert row["difference_95"] == pytest.approx(
        [0.02 - 4.303 * 0.02 / 3**0.5, 0.02 + 4.303 * 0.02 / 3**0.5], rel=1e-3
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not computes_bf16("cpu"), reason="this processor emulates bf16, which takes minutes")
def test_bf16_is_within_the_noise_of_seeds_over_all_families():
    found = judge([train_pairs(fields, seeds=6, epochs=4) for fields in NETWORKS.values()])

    assert found["n"] == 30
    assert found["within_seed_noise"], found
