"""Deep networks are pruned by what their like came to, and not before they have had time to start."""

from __future__ import annotations

import pytest

from archsearch.search.cell_search import CellSearch
from archsearch.search.depth_fairness import count_grace_epochs, is_similar
from archsearch.study import parse_study
from tests.search.conftest import Laboratory

STUDY = """
name: fair
data: digits
architecture: {width: 8}
search: {training.learning_rate: {low: 0.01, high: 0.5}}
trials: 20
objectives: {val_accuracy: maximize}
training: {epochs: 9}
"""

PRUNERS = [
    "{name: median, n_startup_trials: 2, n_warmup_steps: 0}",
    "{name: percentile, n_startup_trials: 2}",
    "{name: successive_halving, min_resource: 1, reduction_factor: 3}",
    "{name: hyperband, reduction_factor: 3}",
]


class Cell:
    """The search of a cell whose trials are given their depth and their value."""

    def __init__(self, pruner: str, epochs: int = 9) -> None:
        text = STUDY.replace("epochs: 9", f"epochs: {epochs}")
        self.search = CellSearch(parse_study(text + f"pruner: {pruner}\n", "study.yaml"), "all", {})
        self.epochs = epochs
        self.made = 0

    def train(self, depth: int, value: float) -> int:
        """Return after how many epochs the trial ended."""
        number, self.made = self.made, self.made + 1
        self.search.ask(number)
        for epoch in range(self.epochs):
            if self.search.report(number, epoch, value, depth=depth) and epoch + 1 < self.epochs:
                self.search.tell(number, "pruned")
                return epoch + 1
        self.search.tell(number, "complete", [value])
        return self.epochs


@pytest.mark.parametrize("pruner", PRUNERS)
def test_bad_trials_are_pruned_by_those_of_similar_depth_alone(pruner: str) -> None:
    cell = Cell(pruner)
    for _ in range(12):
        cell.train(8, 0.9)

    # nobody like it
    deep = [cell.train(44, 0.5)]
    shallow = [cell.train(8, 0.4) for _ in range(4)]
    for _ in range(12):
        cell.train(44, 0.6)
    later = [cell.train(32, 0.3) for _ in range(4)]

    assert deep == [9]
    assert min(shallow) < 9
    assert min(later) < 9


@pytest.mark.parametrize("pruner", PRUNERS[:3])
def test_a_deep_network_has_time_to_start(pruner: str) -> None:
    cells = {depth: Cell(pruner, epochs=40) for depth in (8, 110)}
    for depth, cell in cells.items():
        for _ in range(4):
            cell.train(depth, 0.9)

    ended = {depth: cell.train(depth, 0.1) for depth, cell in cells.items()}

    assert ended[8] == 1
    assert ended[110] > 10


@pytest.mark.parametrize("pruner", PRUNERS)
def test_no_cell_is_pruned_empty(pruner: str) -> None:
    cell = Cell(pruner)
    for number in range(8):
        # each worse than all before it, and all under way at a time
        cell.search.ask(number)
    for epoch in range(8):
        assert not any(cell.search.report(n, epoch, 1 - n / 10, depth=8) for n in range(8))
    # median and percentile compare with two at least
    for n in range(2):
        cell.search.report(n, 8, 1 - n / 10, depth=8)
        cell.search.tell(n, "complete", [1 - n / 10])

    assert any(cell.search.report(n, 8, 1 - n / 10, depth=8) for n in range(2, 8))


def test_the_grace_grows_with_depth_and_is_bounded() -> None:
    assert [count_grace_epochs(depth, 100) for depth in (8, 20, 56, 110, 1202)] == [1, 4, 12, 25, 25]
    assert count_grace_epochs(20, 10) == 0


def test_neighbours_on_a_usual_scale_are_similar_and_others_are_not() -> None:
    assert is_similar(14, 20)
    assert is_similar(56, 44)
    assert not is_similar(20, 32)
    assert not is_similar(8, 110)


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_who_goes_on_prunes_as_who_was_never_interrupted(
    pruner: str, laboratory: Laboratory, tmp_path
) -> None:
    text = STUDY.replace("search: {", "search: {depth: [8, 14, 44], ") + f"pruner: {pruner}\n"

    def ends(conductor):
        return [(t.outcome, len(t.replicates[0].epochs)) for t in conductor.trials.values()]

    whole = ends(laboratory.run(text))
    records = len(laboratory.folder.journal.read_bytes().splitlines())
    assert any(outcome == "pruned" for outcome, _ in whole)
    for kept in range(20, records, 37):
        other = Laboratory(tmp_path / f"cut-{kept}")
        other.run(text)
        other.keep(kept)
        assert ends(other.run(text)) == whole, f"cut after {kept} records"
