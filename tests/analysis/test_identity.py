import pytest

from archsearch.analysis.identity import try_identity
from archsearch.errors import ArchitectureError, InputError


def test_a_residual_stack_learns_the_identity_and_a_plain_one_does_not():
    residual, plain = (try_identity(block, 3, steps=60, width=4) for block in ("residual", "plain"))

    assert residual.error < 0.01 < 0.3 < plain.error
    assert plain.blocks == residual.blocks == 3


def test_plain_stacks_are_the_worse_the_deeper():
    errors = [try_identity("plain", blocks, steps=60, width=4).error for blocks in (1, 4)]

    assert errors[0] < errors[1]


def test_the_same_seed_gives_the_same_figures():
    one, same, other = (try_identity("plain", 1, seed=seed, steps=20, width=4) for seed in (1, 1, 2))

    assert one == same
    assert one.error != other.error


def test_the_smaller_its_weights_the_nearer_a_residual_stack_begins():
    small, large = (try_identity("residual", 2, steps=20, width=4, std=std) for std in (0.01, 0.2))

    assert small.start_error < 1e-3 < large.start_error


def test_blocks_that_append_channels_are_refused():
    with pytest.raises(InputError, match="must be a block that keeps its dimensions, got dense"):
        try_identity("dense", 1)


def test_unknown_blocks_are_refused():
    with pytest.raises(ArchitectureError, match="block: must be one of"):
        try_identity("circular", 1)
