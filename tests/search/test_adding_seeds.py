"""Seeds are added where something is undecided, and nowhere else."""

from __future__ import annotations

import pytest

from archsearch.journal import read_journal
from tests.search.conftest import Laboratory, TableExecutor

STUDY = """
name: swept
data: digits
architecture: {layout: cifar, width: 8}
sweep: {depth: [8, 14, 20]}
seeds: {min: 2, max: 4}
objectives: {val_accuracy: maximize}
training: {epochs: 2}
"""


def seeds_of(conductor):
    return {number: tuple(sorted(trial.replicates)) for number, trial in conductor.trials.items()}


def never_decided(study, history):
    """The second trial needs as many as there are, the third one more."""
    return [1] if len(history.trials[2].seeds) == 3 else [1, 2]


def test_the_trials_that_are_named_get_one_after_the_other_up_to_the_most(laboratory: Laboratory) -> None:
    executor = TableExecutor()

    conductor = laboratory.run(STUDY, executor, undecided=never_decided)

    assert seeds_of(conductor) == {0: (0, 1), 1: (0, 1, 2, 3), 2: (0, 1, 2)}
    # the first seeds of all, then the one that two trials need, then the last
    assert [seed for _, seed in executor.trained] == [0, 1, 0, 1, 0, 1, 2, 2, 3]
    assert all(trial.outcome == "complete" for trial in conductor.trials.values())


def test_nobody_is_asked_about_a_fixed_number_of_seeds(laboratory: Laboratory) -> None:
    def refuse(study, history):
        raise AssertionError

    laboratory.run(STUDY.replace("{min: 2, max: 4}", "2"), undecided=refuse)


def test_what_was_killed_goes_on_and_what_is_decided_is_left(laboratory: Laboratory, tmp_path) -> None:
    whole = seeds_of(laboratory.run(STUDY, undecided=never_decided))
    records = len(read_journal(laboratory.folder.journal))
    for kept in range(1, records, 3):
        other = Laboratory(tmp_path / f"cut-{kept}")
        other.run(STUDY, undecided=never_decided)
        other.keep(kept)
        assert seeds_of(other.run(STUDY, undecided=never_decided)) == whole, f"cut after {kept} records"
    executor = TableExecutor()
    laboratory.run(STUDY, executor, undecided=lambda *_: [])
    assert not executor.trained


def test_a_budget_ends_it(laboratory: Laboratory) -> None:
    # three trials of two seeds of two epochs
    conductor = laboratory.run(STUDY + "budget: {epochs: 12}\n", undecided=never_decided)

    assert set(seeds_of(conductor).values()) == {(0, 1)}


@pytest.mark.parametrize("most", [5, 6])
def test_a_larger_most_goes_on(laboratory: Laboratory, most: int) -> None:
    laboratory.run(STUDY, undecided=never_decided)

    conductor = laboratory.run(STUDY.replace("max: 4", f"max: {most}"), undecided=never_decided)

    assert seeds_of(conductor)[1] == tuple(range(most))
