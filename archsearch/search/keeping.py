"""What stays on disk of trainings: weights that the study's answer rests on, states while they are needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from archsearch.journal import RunFolder, TrialHistory
from archsearch.search.ranking import find_best
from archsearch.search.settling import UNDER_WAY, is_settled
from archsearch.study import StudyConfig, label_values
from archsearch.training.saving import PART_SUFFIX
from archsearch.training.values import Replicate


class Keeping:
    """Removes what is not to be kept, as trials end.

    Under ``keep: best`` a search keeps the weights of the best trial of each cell so far, with several
    objectives of its Pareto front; other phases keep all of theirs. ``none`` does the same until `empty`.

    Args:
        study: Its `execution.keep` and its objectives.
        folder: The run folder.
    """

    def __init__(self, study: StudyConfig, folder: RunFolder) -> None:
        self._keep = study.execution.keep
        self._objectives = study.objectives
        self._folder = folder
        self._best: dict[str, list[TrialHistory]] = {}
        self._lent: set[Replicate] = set()

    @property
    def best(self) -> list[TrialHistory]:
        """The best trials of searches so far, of all cells; none where all are kept.

        Under ``none`` the best of all cells together, for weights are then kept to be tested alone.
        """
        best = [trial for best in self._best.values() for trial in best]
        return self._choose(best) if self._keep == "none" else best

    def tidy(self, trials: Mapping[int, TrialHistory]) -> None:
        """Remove what a crash left: states of replicates that have ended, and halves of files."""
        under_way = {
            self._folder.checkpoint(trial.number, seed)
            for trial in trials.values()
            for seed in trial.seeds
            if seed not in trial.replicates or trial.replicates[seed].outcome in UNDER_WAY
        }
        checkpoints = set(self._folder.checkpoint(0, 0).parent.glob("*"))
        _remove(checkpoints - under_way)
        self._remove_halves()
        # what others took from a search must be known before that is looked at
        for trial in sorted(trials.values(), key=lambda trial: trial.phase == "search"):
            if trial.outcome is not None:
                self.note(trial)

    def end(self, trial: int, seed: int) -> None:
        """Remove the state of a replicate that has ended."""
        _remove([self._folder.checkpoint(trial, seed)])

    def note(self, trial: TrialHistory) -> None:
        """Take a trial into account that has ended."""
        if trial.phase != "search":
            for seed, replicate in trial.replicates.items():
                if replicate.repeated_of is not None:
                    self.lend(replicate.repeated_of, seed)
        elif self._keep != "all" and trial.objective_values is None:
            self._remove_weights(trial)
        elif self._keep != "all" and trial.outcome == "complete":
            cell = label_values(trial.cell)
            known = [other for other in self._best.get(cell, []) if other.number != trial.number]
            self._best[cell] = self._choose([*known, trial])
            for other in (*known, trial):
                if other not in self._best[cell]:
                    self._remove_weights(other)

    def lend(self, trial: int, seed: int) -> None:
        """Keep the weights of a replicate of a search which stands for a cell, too, or for a baseline."""
        self._lent.add((trial, seed))

    def empty(self, trials: Iterable[TrialHistory]) -> None:
        """Remove what nobody needs when a study has ended: under ``keep: none`` the weights of all trials.

        Those of a trial that a budget has cut short stay: they are tested with the ones that are missing.
        """
        self._remove_halves()
        if self._keep == "none":
            for trial in filter(is_settled, trials):
                _remove(self._folder.weights(trial.number, seed) for seed in trial.seeds)

    def _choose(self, trials: list[TrialHistory]) -> list[TrialHistory]:
        # Trials end in another order than that of their numbers, by which equals are ranked.
        return find_best(sorted(trials, key=lambda trial: trial.number), self._objectives)

    def _remove_halves(self) -> None:
        """Remove weights and states that a worker or conductor was killed over."""
        for kind in (self._folder.weights, self._folder.checkpoint):
            _remove(kind(0, 0).parent.glob(f"*{PART_SUFFIX}"))

    def _remove_weights(self, trial: TrialHistory) -> None:
        _remove(
            self._folder.weights(trial.number, seed)
            for seed in trial.seeds
            if (trial.number, seed) not in self._lent
        )


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
